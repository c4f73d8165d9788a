"""Commands that are killed at any moment, and what the same command makes of it afterwards."""

import contextlib
import itertools
import shutil
import signal
import time

import numpy as np
import pytest

from facehash.library.storage.database import LibraryError
from facehash.library.upkeep.check import check
from tests.library.conftest import draw, rows, save, traces, what_is_stored_of, whole
from tests.library.forks import CHOICE, Command

KILLS = 20
PEOPLE = ("Annabel", "Boris", "Cyprian", "Deirdre", "Edward")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A hundred photos of five people, one in five with two faces."""
    folder = tmp_path_factory.mktemp("killed") / "album"
    for seed in range(100):
        save(folder / PEOPLE[seed % 5] / f"{seed:02}.png", draw(seed, 80 if seed % 5 == 4 else 40))
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    output = tmp_path_factory.mktemp("output") / "stderr"

    def command(library, *words, **options):
        return Command(output, *words, "--library", library, **options)

    return command


@pytest.fixture(scope="module")
def library(album, command):
    """The album, indexed by a run that nobody stopped."""
    directory = album.parent / "clean"
    assert command(directory, *index_of(album)).end() == (0, "")
    return directory


def index_of(album):
    return ("index", album, "--names", "folders", "--codes", "lsh:64", *CHOICE)


def kills(command, library, words, start, seed, enough):
    """Kill a command at moments drawn evenly from the time it takes; yield after each of them.

    Args:
        command: Starts it.
        library: A folder for the library.
        words: The command line.
        start: The library before, copied each time; None for none.
        seed: Of the moments.
        enough: Whether the kills met all that they should meet, or there are to be more of them:
            a busy machine is not evenly busy.
    """
    rng = np.random.default_rng(seed)
    killed, duration = 0, None
    while killed < KILLS or not enough():
        assert killed < 5 * KILLS, "the kills meet one state only"
        shutil.rmtree(library, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, library)
        running = command(library, *words)
        begun = time.monotonic()
        if duration is None:
            assert running.end() == (0, "")
            duration = time.monotonic() - begun
        elif running.kill(rng.uniform(0, duration)):
            killed += 1
            yield
        else:
            duration = time.monotonic() - begun
    shutil.rmtree(library)


def deaths(command, library, words, start, stride):
    """Kill a command before one of its statements after the other; yield after each death.

    Args:
        command: Starts it.
        library: A folder for the library.
        words: The command line.
        start: The library before, copied each time; None for none.
        stride: So many statements lie between two deaths on average; 1 dies before each.
    """
    rng, statement = np.random.default_rng(3), 0
    while True:
        statement += int(rng.integers(1, 2 * stride))
        shutil.rmtree(library, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, library)
        running = command(library, *words, dies_at=statement)
        if running.end() == (0, ""):  # it had fewer statements
            return
        assert running.process.exitcode == -signal.SIGKILL
        yield


def test_indexing_is_resumed_to_what_a_run_that_nobody_stopped_makes(
    album, command, library, tmp_path
):
    words, expected, stored = index_of(album), whole(library), set()
    points = 0
    for _ in itertools.chain(
        kills(command, tmp_path / "lib", words, None, 1, lambda: len(stored) > KILLS // 4),
        deaths(command, tmp_path / "lib", words, None, stride=35),
    ):
        points += 1
        with contextlib.suppress(LibraryError):  # nothing was stored yet
            assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
            stored.add(len(rows(tmp_path / "lib")["faces"]))
        assert command(tmp_path / "lib", *words).end() == (0, "")
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
    assert points >= 2 * KILLS


@pytest.mark.parametrize(
    "words",
    [
        ("forget", "--person", "Cyprian"),
        ("people", "merge", "Annabel", "Boris", "--into", "Edward"),
    ],
    ids=["forget", "merge"],
)
def test_what_is_killed_is_done_or_not_and_then_done(command, library, tmp_path, words):
    shutil.copytree(library, tmp_path / "after")
    assert command(tmp_path / "after", *words).end() == (0, "")
    old, new, expected = rows(library), rows(tmp_path / "after"), whole(tmp_path / "after")
    assert old.pop("pending_erase") == [] == new.pop("pending_erase")
    stored = [*what_is_stored_of(library, "Cyprian"), b"Cyprian"]
    gone = set(stored) - set(traces(tmp_path / "after", *stored))
    assert gone == (set(stored) if words[0] == "forget" else set())
    met = set()
    for _ in itertools.chain(
        kills(command, tmp_path / "lib", words, library, 2, lambda: met == {"old", "new"}),
        deaths(command, tmp_path / "lib", words, library, stride=1),
    ):
        left = rows(tmp_path / "lib")
        waiting = left.pop("pending_erase")
        assert left in (old, new)
        done = left == new and not waiting
        met.add("old" if left == old else "new")
        assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
        code, told = command(tmp_path / "lib", *words).end()
        if words[0] == "forget" and done:
            # Killed when all was done: there is nobody left to be forgotten.
            assert code == 2 and "nobody is called 'Cyprian'" in told
        else:
            assert (code, "erased from the disk" in told) == (0, bool(waiting)), told
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
        assert traces(tmp_path / "lib", *gone) == []
