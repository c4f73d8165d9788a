"""Commands that are killed at any moment, and completed by running the same command again."""

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
FEW_OR_MANY = pytest.mark.parametrize(
    "many", [False, pytest.param(True, marks=pytest.mark.full)], ids=["few", "many"]
)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A hundred photos of five people; every fifth photo has two faces."""
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
    """The album, indexed without interruption."""
    directory = album.parent / "clean"
    assert command(directory, *index_of(album)).end() == (0, "")
    return directory


def index_of(album):
    return ("index", album, "--names", "folders", "--codes", "lsh:64", *CHOICE)


def copy(start, library):
    """Replace a library by a copy of another one, or by nothing."""
    shutil.rmtree(library, ignore_errors=True)
    if start is not None:
        shutil.copytree(start, library)


def kills(command, library, words, start, seed, enough):
    """Kill a command at uniformly drawn moments, at least `KILLS` times; yield after each kill.

    Args:
        command: Starts it.
        library: The directory of the library.
        words: The command line.
        start: The library before, copied each time, or None.
        seed: Seed of the moments.
        enough: Returns whether the kills met all expected states. On a busy machine the moments
            are not uniform, so more kills may be needed.
    """
    rng = np.random.default_rng(seed)
    killed, duration = 0, None
    while killed < KILLS or not enough():
        assert killed < 5 * KILLS, "all kills meet the same state"
        copy(start, library)
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
    """Let a command die before one database statement after another; yield after each death.

    Two deaths are `stride` statements apart on average; 1 means before each statement.
    """
    rng, statement = np.random.default_rng(3), 0
    while True:
        statement += int(rng.integers(1, 2 * stride))
        copy(start, library)
        running = command(library, *words, dies_at=statement)
        if running.end() == (0, ""):  # it had fewer statements
            return
        assert running.process.exitcode == -signal.SIGKILL
        yield


@FEW_OR_MANY
def test_an_interrupted_index_run_is_resumed_to_the_same_library(
    album, command, library, tmp_path, many
):
    words, expected, stored = index_of(album), whole(library), set()
    interruptions = deaths(command, tmp_path / "lib", words, None, stride=35 if many else 140)
    if many:
        enough = kills(command, tmp_path / "lib", words, None, 1, lambda: len(stored) > KILLS // 4)
        interruptions = itertools.chain(enough, interruptions)
    count = 0
    for _ in interruptions:
        count += 1
        with contextlib.suppress(LibraryError):  # nothing was stored yet
            assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
            stored.add(len(rows(tmp_path / "lib")["faces"]))
        assert command(tmp_path / "lib", *words).end() == (0, "")
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
    assert count >= (2 * KILLS if many else 5)


@FEW_OR_MANY
@pytest.mark.parametrize(
    "words",
    [
        ("forget", "--person", "Cyprian"),
        ("people", "merge", "Annabel", "Boris", "--into", "Edward"),
    ],
    ids=["forget", "merge"],
)
def test_an_interrupted_change_is_done_or_not_and_can_be_repeated(
    command, library, tmp_path, words, many
):
    copy(library, tmp_path / "after")
    assert command(tmp_path / "after", *words).end() == (0, "")
    old, new, expected = rows(library), rows(tmp_path / "after"), whole(tmp_path / "after")
    assert old.pop("pending_erase") == [] == new.pop("pending_erase")
    stored = [*what_is_stored_of(library, "Cyprian"), b"Cyprian"]
    gone = set(stored) - set(traces(tmp_path / "after", *stored))
    assert gone == (set(stored) if words[0] == "forget" else set())
    met = set()
    interruptions = deaths(command, tmp_path / "lib", words, library, stride=1 if many else 6)
    if many:
        enough = kills(command, tmp_path / "lib", words, library, 2, lambda: len(met) == 2)
        interruptions = itertools.chain(enough, interruptions)
    for _ in interruptions:
        left = rows(tmp_path / "lib")
        pending = left.pop("pending_erase")
        assert left in (old, new)
        done = left == new and not pending
        met.add("old" if left == old else "new")
        assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
        code, message = command(tmp_path / "lib", *words).end()
        if words[0] == "forget" and done:
            # Killed after everything was done, so the person is already unknown.
            assert code == 2 and "nobody is called 'Cyprian'" in message
        else:
            assert (code, "erased from the disk" in message) == (0, bool(pending)), message
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
        assert traces(tmp_path / "lib", *gone) == []
    assert met
