import numpy as np
import pytest

from facehash.library.derived.arrays import (
    open_index,
    refresh_index,
    spaces,
    verify,
    write_index,
)
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.vectors import Space
from tests.library.conftest import draw, save

CODES = Space("hamming", 16)
QUERY = np.zeros((1, 2), np.uint8)


@pytest.fixture
def store(index, directory):
    index(codes="lsh:16")
    with Store.open(directory) as store:
        yield store


def files(store):
    return sorted(path.name for path in (store.directory / "index").iterdir())


def path_of(store, name):
    return store.directory / "index" / f"{name}-{store.generation()}.npy"


def test_file_names_contain_the_generation_and_stale_files_are_removed(store, index, photos):
    before = store.generation()
    kinds = ("code", "code-ids", "embedding", "embedding-ids")
    assert files(store) == [f"{kind}-{before}.npy" for kind in kinds]
    save(photos / "new.png", draw(70))
    index()
    after = store.generation()
    assert after > before and files(store) == [f"{kind}-{after}.npy" for kind in kinds]


def test_vectors_compared_by_cosine_are_stored_with_length_one(store):
    index = open_index(store, "embedding", store.settings().space)
    assert isinstance(index._rows, np.memmap)
    assert np.allclose(np.linalg.norm(index._rows, axis=1), 1)
    assert index._ids.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_codes_are_mapped_as_the_words_that_are_searched(store):
    words = open_index(store, "code", CODES)._rows.words
    assert isinstance(words, np.memmap)
    assert not words.flags.owndata and not words.flags.writeable


def test_missing_or_stale_files_are_replaced_by_the_database(store):
    mapped = open_index(store, "code", CODES)
    store.database.run("UPDATE generation SET number = number + 1")
    assert verify(store, "code", CODES) is None
    read = open_index(store, "code", CODES)
    assert np.array_equal(read.search(QUERY, 7).ids, mapped.search(QUERY, 7).ids)


def other_shape(path):
    np.save(path, np.zeros((7, 3), np.uint64))


def by_columns(path):
    np.save(path, np.asfortranarray(np.zeros((7, 12), np.float32)))


def pickled(path):
    np.save(path, np.array([{}], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("code", lambda path: path.write_bytes(b"")),
        ("code", lambda path: path.write_bytes(b"not an array")),
        ("code-ids", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("code-ids", lambda path: path.write_bytes(path.read_bytes() + b"\0")),
        ("code", other_shape),
        ("code", pickled),
        ("embedding", by_columns),
    ],
)
def test_damaged_files_are_an_error_and_are_written_again(store, name, damage):
    column = name.partition("-")[0]
    space = spaces(store.settings(), True)[column]
    assert verify(store, column, space)
    damage(path_of(store, name))
    with pytest.raises(LibraryError, match="index files are damaged .*; .*facehash rebuild"):
        open_index(store, column, space)
    refresh_index(store, spaces(store.settings(), True))
    assert verify(store, column, space)


@pytest.mark.parametrize("write", [write_index, refresh_index])
def test_files_of_a_killed_writer_and_of_version_0_1_are_removed(store, write):
    folder, before = store.directory / "index", files(store)
    (folder / ".code-1.npy.abc").mkdir()
    (folder / ".code-1.npy.abc" / "code-1.npy").write_bytes(b"vectors")
    (folder / f"embedding-{store.generation() - 1}.npy").write_bytes(b"vectors")
    (folder / f"sums-{store.generation()}.json").write_text("{}")
    write(store, spaces(store.settings(), True))
    assert files(store) == before


def test_current_files_are_not_written_again(store):
    times = {path: path.stat().st_mtime_ns for path in (store.directory / "index").iterdir()}
    refresh_index(store, spaces(store.settings(), True))
    assert times == {path: path.stat().st_mtime_ns for path in times}
