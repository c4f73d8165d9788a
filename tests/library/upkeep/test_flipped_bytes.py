"""Bytes of a library's files, flipped one at a time: `check` finds it, or nobody is misled."""

import hashlib
import os
from functools import partial

import faiss
import numpy as np
import pytest

from facehash.errors import InputError
from facehash.library.people.forget import forget_photo
from facehash.library.people.people import list_people, rename_person
from facehash.library.query.library import Library
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from facehash.library.upkeep.stats import count

# Of the bytes of a database one in so many is flipped, and every one where this is 1.
STEP = int(os.environ.get("FACEHASH_FLIP_STEP", "41"))
PAGE = 4096


@pytest.fixture
def library(index, directory, photos):
    index(names="folders", codes="lsh:16")
    with Store.open(directory) as store:
        rename_person(store, "Cy", "Cyprian")
        forget_photo(store, photos / "Ann" / "1.png")
        store.database.empty_log()
    faiss.omp_set_num_threads(1)  # for a dozen rows
    yield directory
    faiss.omp_set_num_threads(os.cpu_count() or 1)


def ask(store, *columns):
    """Return the neighbours of two faces by vectors and by codes."""
    queries = np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32)
    return [Library(store, column).search_vectors(queries, 4) for column in columns]


def answers(directory):
    """Return all that a library says: neighbours, people, numbers."""
    with Store.open(directory) as store:
        numbers = vars(count(store)) | {"bytes": 0}
        return [*ask(store, "embedding", "code"), list_people(store), numbers]


def same(asked, expected):
    """Whether a library says what the sound one says; None where it refuses in one line."""
    try:
        return asked() == expected
    except InputError as error:
        assert "\n" not in str(error)
        return None


def flipped(content, at, bits):
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


def test_no_byte_of_an_index_file_can_be_flipped_unseen(library):
    assert check(library) == []
    paths = sorted((library / "index").iterdir())
    assert len(paths) == 5
    unseen = 0
    with Store.open(library) as store:
        expected = {column: ask(store, column) for column in ("embedding", "code")}
        for path in paths:
            content = path.read_bytes()
            for at in range(len(content)):
                path.write_bytes(flipped(content, at, 1 << at % 8))
                unharmed = [same(partial(ask, store, one), expected[one]) for one in expected]
                assert False not in unharmed, f"a wrong answer: byte {at} of {path.name}"
                # A search by vectors needs no codes and none of their sums; check looks at all.
                unseen += all(unharmed) and not check(library)
            path.write_bytes(content)
    # White space of the sums, and of the headers.
    assert unseen < 60
    assert check(library) == []


def test_a_byte_of_the_database_that_is_flipped_is_found_or_harmless(library):
    path = library / "library.db"
    expected, content = answers(library), path.read_bytes()
    found = refused = 0
    for at in chosen(content):
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        bits = 1 << at % 8 if at % 3 else 0xFF
        path.write_bytes(flipped(content, at, bits))
        unharmed = same(partial(answers, library), expected)
        refused += unharmed is None
        try:
            problems = check(library)
        except InputError as error:
            problems = [error]
        assert problems or unharmed, f"byte {at} of {len(content)}, page {at // PAGE + 1}"
        assert all("\n" not in str(problem) for problem in problems)
        found += bool(problems)
    assert found > refused > 20
    path.write_bytes(content)
    assert check(library) == []


def chosen(content):
    """The header and the heads of all pages whole, of the rest some bytes that hold something."""
    places = set(range(100))
    for page in range(0, len(content), PAGE):
        places.update(range(page, page + 12))
        used = [at for at in range(page, page + PAGE) if content[at]]
        start = int(hashlib.sha256(b"%d" % page).hexdigest(), 16) % STEP
        places.update(used[start::STEP])
        places.update(range(page + start, page + PAGE, 10 * STEP if STEP > 1 else 1))
    return sorted(places)
