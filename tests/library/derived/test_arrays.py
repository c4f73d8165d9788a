import io

import numpy as np
import pytest

from facehash.library.derived.arrays import open_index, refresh_index, spaces, verify
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.vectors import Space

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
    [path] = (store.directory / "index").glob(f"{name}-[0-9]*.npy")
    return path


def test_codes_are_mapped_as_the_words_that_are_searched(store):
    [part] = open_index(store, "code", CODES)._parts
    words = part.rows.words
    assert isinstance(words, np.memmap)
    assert not words.flags.owndata and not words.flags.writeable


def test_stale_files_and_missing_ones_are_completed_from_the_database(store):
    mapped = open_index(store, "code", CODES)
    store.database.run("UPDATE generation SET number = number + 1")
    assert verify(store, "code", CODES) is None
    read = open_index(store, "code", CODES)
    assert np.array_equal(read.search(QUERY, 7).ids, mapped.search(QUERY, 7).ids)
    path_of(store, "code").unlink()
    read = open_index(store, "code", CODES)
    assert np.array_equal(read.search(QUERY, 7).ids, mapped.search(QUERY, 7).ids)
    refresh_index(store, spaces(store.settings(), True))
    assert verify(store, "code", CODES)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(shape):
    """Return an .npy file that has fewer values than its header announces."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<u8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + bytes(64)


@pytest.mark.parametrize(
    ("column", "content"),
    [
        ("code", b"not an array"),
        ("code", npy(np.zeros((1, 7), np.uint64))[:-1]),
        ("code", npy(np.zeros((7, 3), np.uint64))),
        ("code", npy(np.array([{}], object))),
        ("embedding", npy(np.asfortranarray(np.zeros((7, 12), np.float32)))),
        ("code", header((2**40, 2))),
        ("code", header((-1, 2))),
        ("code", header((7,)).replace(b"(7,)", b"((((((((((((((((7")),
    ],
    ids=range(8),
)
def test_damaged_files_are_an_error_and_are_written_again(store, column, content):
    space = spaces(store.settings(), True)[column]
    assert verify(store, column, space)
    path_of(store, column).write_bytes(content)
    with pytest.raises(LibraryError, match="index files are damaged .*; .*facehash rebuild"):
        open_index(store, column, space)
    refresh_index(store, spaces(store.settings(), True))
    assert verify(store, column, space)


def test_files_of_a_killed_writer_and_of_version_0_1_are_removed(store):
    folder, before = store.directory / "index", files(store)
    (folder / ".code-1.npy.abc").mkdir()
    (folder / ".code-1.npy.abc" / "code-1.npy").write_bytes(b"vectors")
    (folder / f"embedding-{store.generation() - 1}.npy").write_bytes(b"vectors")
    (folder / f"sums-{store.generation()}.json").write_text("{}")
    refresh_index(store, spaces(store.settings(), True))
    assert files(store) == before
