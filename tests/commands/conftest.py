"""The commands about a library as a user runs them, on the fakes."""

import pytest

from facehash import pipeline
from facehash.command_line import make_app, run
from facehash.commands import bench, indexing, keeping, people, searching
from tests.library import fakes
from tests.library.conftest import ask, directory, index, photos  # noqa: F401


@pytest.fixture
def facehash(monkeypatch, capsys):
    """Run a command; return its exit code and what it printed on stdout and stderr."""
    for name in ("make_detector", "make_embedder", "crop_face"):
        monkeypatch.setattr(pipeline, name, getattr(fakes, name))
    app = make_app("Search photos by the faces on them.")
    for room in (indexing, searching, people, keeping):
        room.add_to(app)
    app.command()(bench.bench)

    def facehash(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run(app, "facehash", [str(word) for word in words])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return facehash


@pytest.fixture
def library(index, directory):  # noqa: F811
    """A library of the photos, named after their folders."""
    index(names="folders")
    return directory
