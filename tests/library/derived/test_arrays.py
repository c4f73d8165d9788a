import numpy as np
import pytest

from facehash.library.derived import arrays as derived
from facehash.library.derived.arrays import load, open_index, refresh_index, spaces, write_index
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.vectors import Space
from tests.library.conftest import draw, save


@pytest.fixture
def store(index, directory):
    index(codes="lsh:16")
    with Store.open(directory) as store:
        yield store


def files(store):
    return sorted(path.name for path in (store.directory / "index").iterdir())


def test_the_files_bear_the_generation_and_old_ones_go(store, index, photos):
    before = store.generation()
    kinds = ("code", "code-ids", "embedding", "embedding-ids")
    assert files(store) == [*(f"{kind}-{before}.npy" for kind in kinds), f"sums-{before}.json"]
    save(photos / "new.png", draw(70))
    index()
    after = store.generation()
    assert after > before
    assert files(store) == [*(f"{kind}-{after}.npy" for kind in kinds), f"sums-{after}.json"]


def test_vectors_compared_by_cosine_are_stored_with_length_one(store):
    ids, rows = load(store, "embedding", store.settings().space)
    assert isinstance(rows, np.memmap) and np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert ids.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_missing_or_old_files_are_replaced_by_the_database(store):
    space = Space("hamming", 16)
    mapped = open_index(store, "code", space)
    store.database.run("UPDATE generation SET number = number + 1")
    assert load(store, "code", space) is None
    read = open_index(store, "code", space)
    query = np.zeros((1, 2), np.uint8)
    assert np.array_equal(read.search(query, 7).ids, mapped.search(query, 7).ids)


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_damaged_files_are_told_and_written_again(store, content):
    space = Space("hamming", 16)
    path = store.directory / "index" / f"code-{store.generation()}.npy"
    if content is None:
        np.save(path, np.zeros((7, 3), np.uint8))
    else:
        path.write_bytes(content)
    with pytest.raises(LibraryError, match="index files are damaged .*; facehash rebuild"):
        load(store, "code", space)
    refresh_index(store, spaces(store.settings(), True))
    assert load(store, "code", space)[1].shape == (7, 2)


@pytest.mark.parametrize("write", [write_index, refresh_index])
def test_what_a_killed_writer_left_goes_with_the_next(store, write):
    folder, before = store.directory / "index", files(store)
    (folder / ".code-1.npy.abc").mkdir()
    (folder / ".code-1.npy.abc" / "code-1.npy").write_bytes(b"vectors")
    (folder / f"embedding-{store.generation() - 1}.npy").write_bytes(b"vectors")
    write(store, spaces(store.settings(), True))
    assert files(store) == before


def test_pickles_are_not_read(store):
    path = store.directory / "index" / f"code-{store.generation()}.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(LibraryError, match="damaged"):
        load(store, "code", Space("hamming", 16))


def test_nothing_is_written_that_is_there(store):
    times = {path: path.stat().st_mtime_ns for path in (store.directory / "index").iterdir()}
    refresh_index(store, spaces(store.settings(), True))
    assert times == {path: path.stat().st_mtime_ns for path in times}
    write_index(store, spaces(store.settings(), True))
    assert times.keys() == set((store.directory / "index").iterdir())


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["code", "code-ids", "sums"])
def test_no_neighbour_is_returned_from_damaged_files(store, name):
    space, query = Space("hamming", 16), np.zeros((1, 2), np.uint8)
    expected = open_index(store, "code", space).search(query, 7)
    [path] = (store.directory / "index").glob(f"{name}-[0-9]*.*")
    for at in range(path.stat().st_size):
        flip(path, at)
        try:
            found = open_index(store, "code", space).search(query, 7)
        except LibraryError as error:
            assert "index files are damaged" in str(error) and "facehash rebuild" in str(error)
        else:
            assert all(map(np.array_equal, found, expected)), at
        flip(path, at)


def test_opening_reads_no_rows_and_the_first_search_reads_them_once(store, monkeypatch):
    summed = []
    sums = derived._sum
    monkeypatch.setattr(derived, "_sum", lambda array: summed.append(array.shape) or sums(array))
    index = open_index(store, "code", Space("hamming", 16))
    assert len(index) == 7 and not summed
    for _ in range(2):
        index.search(np.zeros((1, 2), np.uint8), 1)
        assert summed == [(7,), (1, 7)]


def test_codes_are_stored_as_the_words_that_are_searched(store):
    index = open_index(store, "code", Space("hamming", 16))
    assert isinstance(index._rows.words, np.memmap)
    assert not index._rows.words.flags.owndata and not index._rows.words.flags.writeable


def test_a_file_that_was_cut_or_grew_is_told(store):
    space = Space("hamming", 16)
    path = store.directory / "index" / f"code-ids-{store.generation()}.npy"
    content = path.read_bytes()
    for other in (content[:-1], content + b"\0"):
        path.write_bytes(other)
        with pytest.raises(LibraryError, match="bytes, not"):
            open_index(store, "code", space)


def test_arrays_of_before_there_were_sums_are_not_read(store):
    (store.directory / "index" / f"sums-{store.generation()}.json").unlink()
    assert load(store, "code", Space("hamming", 16)) is None
    refresh_index(store, spaces(store.settings(), True))
    assert load(store, "code", Space("hamming", 16)) is not None
