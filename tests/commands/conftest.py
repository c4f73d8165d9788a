"""The commands about a library as a user runs them, on the fakes."""

import pytest

from facehash import cli, pipeline
from facehash.command_line import run
from tests.library import fakes
from tests.library.conftest import ask, directory, index, photos  # noqa: F401


@pytest.fixture
def run_facehash(capsys, caplog):
    """Run a command; return its exit code and what it printed on stdout and stderr.

    pytest keeps log lines off stderr; they are put back before what the command printed itself.
    """

    def run_facehash(*words):
        capsys.readouterr()
        caplog.clear()
        with pytest.raises(SystemExit) as left:
            run(cli.app, "facehash", [str(word) for word in words])
        printed = capsys.readouterr()
        warnings = [one for one in caplog.records if one.name.startswith("facehash")]
        logged = "".join(f"facehash: {one.getMessage()}\n" for one in warnings)
        return left.value.code, printed.out, logged + printed.err

    return run_facehash


@pytest.fixture
def facehash(run_facehash, monkeypatch):
    for name in ("make_detector", "make_embedder", "crop_face"):
        monkeypatch.setattr(pipeline, name, getattr(fakes, name))
    return run_facehash


@pytest.fixture
def library(index, directory):  # noqa: F811
    """A library of the photos, named after their folders."""
    index(names="folders")
    return directory
