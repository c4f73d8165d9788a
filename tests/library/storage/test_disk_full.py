"""A full disk at different moments, simulated by a limit on the size of every file.

The vectors are long, so that index files are larger than what a small change writes to the
database and its log.
"""

import shutil

import numpy as np
import pytest

from facehash.library.upkeep.check import check
from tests.library.conftest import draw, rows, save, traces, what_is_stored_of, whole
from tests.library.forks import CHOICE, Command

LIMITS = [int(limit) for limit in np.geomspace(2_000, 3_000_000, 12)]
FULL = (
    "its disk is full or not writable (disk I/O error); the library is intact, and the same "
    "command continues when there is space\n"
)
PENDING = "forgotten, but not yet erased from the disk (the disk is full or not writable); "


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "album"
    for seed in range(40):
        save(folder / ("Annabel", "Boris")[seed % 2] / f"{seed:02}.png", draw(seed))
    return folder


@pytest.fixture(scope="module")
def library(album):
    directory = album.parent / "clean"
    assert Command(directory, *index_of(album)).end() == (0, "")
    return directory


def index_of(album):
    choice = [word.replace("cosine:12", "cosine:2000") for word in CHOICE]
    return ("index", album, "--names", "folders", "--codes", "lsh:64", *choice)


def limited(library, words, start):
    """Run a command under each limit; yield its error, or None if it succeeded."""
    for limit in LIMITS:
        shutil.rmtree(library, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, library)
        code, message = Command(library, *words, largest_file=limit).end()
        if code:
            assert (code, message.count("\n")) == (2, 1), message
            assert message.startswith(f"facehash: {library}")
        else:
            assert message == ""
        yield message.removeprefix(f"facehash: {library}") if code else None


@pytest.mark.full
def test_an_index_run_keeps_its_batches_and_continues_when_there_is_space(album, library, tmp_path):
    stored = set()
    for message in limited(tmp_path / "lib", index_of(album), None):
        assert message in (f": {FULL}", None)
        if (tmp_path / "lib" / "library.db").stat().st_size:
            stored.add(len(rows(tmp_path / "lib").get("faces", [])))
        assert Command(tmp_path / "lib", *index_of(album)).end() == (0, "")
        assert whole(tmp_path / "lib") == whole(library)
    # Some limits allowed a part of the batches.
    assert len(stored) > 3, stored


def test_forgetting_that_does_not_fit_is_undone_or_its_erasure_pending(library, tmp_path):
    words = ("forget", "--person", "Annabel")
    shutil.copytree(library, tmp_path / "after")
    assert Command(tmp_path / "after", *words).end() == (0, "")
    old, new = rows(library), rows(tmp_path / "after")
    gone, seen = what_is_stored_of(library, "Annabel"), set()
    for message in limited(tmp_path / "lib", words, library):
        left = rows(tmp_path / "lib")
        pending = left.pop("pending_erase")
        assert left == {key: (new if pending or not message else old)[key] for key in left}
        expected = f": {PENDING}to erase it later: facehash rebuild " if pending else f": {FULL}"
        assert message is None or message.startswith(expected)
        seen.add("pending" if pending else message and "undone")
        assert Command(tmp_path / "lib", *words).end()[0] == 0 or message is None
        assert check(tmp_path / "lib") == [] == traces(tmp_path / "lib", *gone)
        assert whole(tmp_path / "lib") == whole(tmp_path / "after")
    assert seen == {"undone", "pending", None}
