"""A disk that is full at one place or another, played by the largest size that a file may have.

The vectors are long, so that the index files are larger than what a small change writes to the
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
    "its disk is full or cannot be written to (disk I/O error); what was there is whole, and the "
    "same command goes on when there is room\n"
)
NOT_WIPED = "forgotten, but the disk still holds it (its disk is full or cannot be written to); "


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "album"
    for seed in range(40):
        save(folder / ("Annabel", "Boris")[seed % 2] / f"{seed:02}.png", draw(seed))
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    output = tmp_path_factory.mktemp("output") / "stderr"

    def command(library, *words, **options):
        return Command(output, *words, "--library", library, **options).end()

    return command


@pytest.fixture(scope="module")
def library(album, command):
    directory = album.parent / "clean"
    assert command(directory, *index_of(album)) == (0, "")
    return directory


def index_of(album):
    choice = [word.replace("cosine:12", "cosine:2000") for word in CHOICE]
    return ("index", album, "--names", "folders", "--codes", "lsh:64", *choice)


def limited(command, library, words, start):
    """Run a command under each limit; yield what it told, None where it went through."""
    for limit in LIMITS:
        shutil.rmtree(library, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, library)
        code, told = command(library, *words, largest_file=limit)
        if code:
            assert (code, told.count("\n")) == (2, 1), told
            assert told.startswith(f"facehash: {library}")
        else:
            assert told == ""
        yield told.removeprefix(f"facehash: {library}") if code else None


def test_an_index_run_keeps_what_it_has_and_goes_on_when_there_is_room(
    album, command, library, tmp_path
):
    stored = set()
    for told in limited(command, tmp_path / "lib", index_of(album), None):
        assert told in (f": {FULL}", None)
        if (tmp_path / "lib" / "library.db").stat().st_size:
            stored.add(len(rows(tmp_path / "lib").get("faces", [])))
        assert command(tmp_path / "lib", *index_of(album)) == (0, "")
        assert whole(tmp_path / "lib") == whole(library)
    # Some limits let a part of the batches through.
    assert len(stored) > 3, stored


def test_index_files_that_do_not_fit_are_named_and_left_out(album, command, library, tmp_path):
    shutil.copytree(library, tmp_path / "without")
    shutil.rmtree(tmp_path / "without" / "index")
    [path] = (library / "index").glob("embedding-[0-9]*.npy")
    seen = []
    for told in limited(command, tmp_path / "lib", index_of(album), tmp_path / "without"):
        seen.append(told)
        assert rows(tmp_path / "lib") == rows(library)
        # A search reads the database instead; no half of a file is in the way.
        assert {problem.cure for problem in check(tmp_path / "lib")} <= {"rebuild"}
        assert command(tmp_path / "lib", *index_of(album)) == (0, "")
        assert whole(tmp_path / "lib") == whole(library)
    assert f"/index/{path.name}: File too large\n" in seen and None in seen


def test_a_rebuild_that_does_not_fit_leaves_what_it_would_replace(command, library, tmp_path):
    seen = set()
    for told in limited(command, tmp_path / "lib", ("rebuild",), library):
        seen.add(told)
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == whole(library)
    assert seen == {f": {FULL}", None}


@pytest.mark.parametrize(
    "words",
    [("forget", "--person", "Annabel"), ("people", "merge", "Annabel", "--into", "Boris")],
    ids=["forget", "merge"],
)
def test_what_does_not_fit_is_undone_or_not_wiped_and_told(command, library, tmp_path, words):
    shutil.copytree(library, tmp_path / "after")
    assert command(tmp_path / "after", *words) == (0, "")
    old, new = rows(library), rows(tmp_path / "after")
    gone = set() if words[0] == "people" else set(what_is_stored_of(library, "Annabel"))
    seen = set()
    for told in limited(command, tmp_path / "lib", words, library):
        left = rows(tmp_path / "lib")
        waiting = left["pending_erase"]
        if told is None:
            assert left == new
            seen.add("done")
            continue
        if waiting:
            assert left | {"pending_erase": []} == new
            assert told.startswith(f": {NOT_WIPED}facehash rebuild --library ")
            [*_, problem] = check(tmp_path / "lib")
            assert problem.cure == "rebuild"
        else:
            assert left == old and told == f": {FULL}"
        seen.add("not wiped" if waiting else "undone")
        assert command(tmp_path / "lib", *words)[0] == 0
        assert check(tmp_path / "lib") == [] == traces(tmp_path / "lib", *gone)
        assert whole(tmp_path / "lib") == whole(tmp_path / "after")
    assert seen == {"undone", "done"} | ({"not wiped"} if gone else set())
