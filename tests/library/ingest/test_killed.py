"""Commands that are killed at any moment, and completed by running the same command again."""

import contextlib
import shutil
import signal

import numpy as np
import pytest

from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from tests.library.conftest import draw, rows, save, traces, what_is_stored_of, whole
from tests.library.forks import CHOICE, Command

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
def library(album):
    """The album, indexed without interruption."""
    directory = album.parent / "clean"
    assert Command(directory, *index_of(album)).end() == (0, "")
    return directory


def index_of(album):
    return ("index", album, "--names", "folders", "--codes", "lsh:64", *CHOICE)


def deaths(library, words, start, stride, last=0):
    """Let a command die at one moment after another; yield after each death.

    Args:
        library: The directory of the library.
        words: The command line.
        start: The library before, copied each time, or None.
        stride: Two deaths are so many moments apart on average; 1 means at each moment.
        last: The exit code of a command that has fewer moments.
    """
    rng, moment = np.random.default_rng(3), 0
    while True:
        moment += int(rng.integers(1, 2 * stride))
        shutil.rmtree(library, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, library)
        code, message = Command(library, *words, dies_at=moment).end()
        if code == last and (last or not message):  # it had fewer moments
            return
        assert code == -signal.SIGKILL, message
        yield


def without_index(tables):
    """Return tables without what says which index files there are, and what these lack."""
    settings = [row for row in tables["settings"] if row[0] != "index_files"]
    return {**tables, "settings": settings, "changes": [], "outbox": []}


@FEW_OR_MANY
def test_an_interrupted_index_run_is_resumed_to_the_same_library(album, library, tmp_path, many):
    words, expected, stored, count = index_of(album), whole(library), set(), 0
    for _ in deaths(tmp_path / "lib", words, None, stride=20 if many else 140):
        count += 1
        with contextlib.suppress(LibraryError):  # nothing was stored yet
            assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
            stored.add(len(rows(tmp_path / "lib")["faces"]))
        assert Command(tmp_path / "lib", *words).end() == (0, "")
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
    assert count >= (40 if many else 5) and len(stored) > 3


@FEW_OR_MANY
@pytest.mark.parametrize(
    "words",
    [
        ("forget", "--person", "Cyprian"),
        pytest.param(("people", "merge", "Annabel", "--into", "Boris"), marks=pytest.mark.full),
    ],
)
def test_an_interrupted_change_is_done_or_not_and_can_be_repeated(library, tmp_path, words, many):
    shutil.copytree(library, tmp_path / "after")
    assert Command(tmp_path / "after", *words).end() == (0, "")
    old, new = without_index(rows(library)), without_index(rows(tmp_path / "after"))
    expected = whole(tmp_path / "after")
    assert old.pop("pending_erase") == [] == new.pop("pending_erase")
    stored = [*what_is_stored_of(library, "Cyprian"), b"Cyprian"]
    gone = set(stored) - set(traces(tmp_path / "after", *stored))
    assert gone == (set(stored) if words[0] == "forget" else set())
    met = set()
    for _ in deaths(tmp_path / "lib", words, library, stride=1 if many else 6):
        left = without_index(rows(tmp_path / "lib"))
        pending = left.pop("pending_erase")
        assert left in (old, new)
        done = left == new and not pending
        met.add("old" if left == old else "new")
        assert {problem.fix for problem in check(tmp_path / "lib")} <= {"rebuild"}
        code, message = Command(tmp_path / "lib", *words).end()
        if words[0] == "forget" and done:
            # Killed after everything was done, so the person is already unknown.
            assert code == 2 and "nobody is called 'Cyprian'" in message
        else:
            assert (code, "erased from the disk" in message) == (0, bool(pending)), message
        assert check(tmp_path / "lib") == []
        assert whole(tmp_path / "lib") == expected
        assert traces(tmp_path / "lib", *gone) == []
    assert met == {"old", "new"}


SAID = (
    "SELECT photos.digest, x, y, name, named_by FROM faces JOIN people ON people.id = person_id "
    "JOIN photos ON photos.id = photo_id WHERE named_by = 'user' ORDER BY 1, 2",
    "SELECT digest, x, y, name, named_by, path, vector, reason FROM parked "
    "JOIN people ON people.id = person_id ORDER BY 1, 2",
    "SELECT path, photo_id FROM former_paths",
)


def said(directory):
    with Store.open(directory) as store:
        return [store.database.rows(query) for query in SAID]


@FEW_OR_MANY
def test_names_given_by_hand_survive_a_killed_run_over_changed_photos(
    library, album, tmp_path, many
):
    start, photos = tmp_path / "start", tmp_path / "album"
    shutil.copytree(album, photos)
    assert Command(start, *index_of(photos)).end() == (0, "")
    faces = [str(one) for (one,) in rows_of(start, "SELECT id FROM faces WHERE id % 3 = 0")]
    assert Command(start, "people", "name", "Zoe", *faces).end() == (0, "")
    before = said(start)[0]
    for number, path in enumerate(sorted(photos.rglob("*.png"))[::3]):
        content = path.read_bytes()
        if number % 3 == 0:
            path.unlink()
        else:  # a caption, or half a file
            path.write_bytes(content + b"!" if number % 3 == 1 else content[: len(content) // 2])
    words = ("index", photos, *CHOICE)
    clean = shutil.copytree(start, tmp_path / "clean")
    assert Command(clean, *words).end()[0] == 3
    expected = said(clean)
    names = [row[3] for rows in expected[:2] for row in rows]
    assert names == ["Zoe"] * len(before) and len(expected[1]) > 3 and not expected[2]
    count = 0
    for _ in deaths(tmp_path / "lib", words, start, stride=20 if many else 100, last=3):
        count += 1
        assert len(said(tmp_path / "lib")[0]) + len(said(tmp_path / "lib")[1]) >= len(before)
        assert Command(tmp_path / "lib", *words).end()[0] in (0, 3)
        assert said(tmp_path / "lib") == expected
        assert check(tmp_path / "lib") == []
    assert count >= (10 if many else 3)


def rows_of(directory, query):
    with Store.open(directory) as store:
        return store.database.rows(query)
