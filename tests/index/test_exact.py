import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from facehash.hamming.words import CodeWords
from facehash.index.exact import ExactIndex
from facehash.vectors import IndexRowsError, Space, unit_rows


def vectors(seed, n, d=7):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def distances_by_loops(rows, queries, metric):
    table = np.zeros((len(queries), len(rows)))
    for q, query in enumerate(queries.astype(np.float64)):
        for r, row in enumerate(rows.astype(np.float64)):
            if metric == "euclidean":
                table[q, r] = np.sqrt(sum((a - b) ** 2 for a, b in zip(query, row, strict=True)))
            else:
                table[q, r] = 1 - query @ row / np.sqrt((query @ query) * (row @ row))
    return table


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("n", "queries", "k"), [(40, 3, 5), (40, 30, 40), (1, 2, 1)])
def test_nearest_vectors_agree_with_loops(metric, n, queries, k):
    rows, asked = vectors(0, n) * 3, vectors(1, queries)
    ids = np.arange(n) * 2 + 10
    index = ExactIndex.build(rows, ids, Space(metric, 7))
    found = index.search(asked, k)
    with pytest.raises(IndexRowsError, match="k must be at least 1, got 0"):
        index.search(asked, 0)
    table = distances_by_loops(rows, asked, metric)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]
    assert np.array_equal(found.ids, ids[order])
    assert np.allclose(found.distances, np.take_along_axis(table, order, axis=1), atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("batch", [1, 64])
def test_a_row_has_distance_zero_from_itself_in_any_batch(metric, batch):
    rows = vectors(2, 64) * 1000
    found = ExactIndex.build(rows, np.arange(64), Space(metric, 7)).search(rows[:batch], 1)
    assert np.array_equal(found.ids[:, 0], np.arange(batch))
    assert found.distances.max() < 1e-12


def test_codes_are_compared_by_unequal_bits():
    codes = np.array([[0b1111, 0], [0b0001, 0], [0b0001, 0], [0, 0b1]], np.uint8)
    index = ExactIndex.build(codes, np.array([3, 5, 6, 9]), Space("hamming", 9))
    found = index.search(np.array([[0b0001, 0]], np.uint8), 4)
    assert found.ids.tolist() == [[5, 6, 9, 3]]
    assert found.distances.tolist() == [[0, 0, 2, 3]]


@pytest.mark.parametrize("space", [Space("cosine", 7), Space("hamming", 56)])
def test_an_empty_index_finds_nothing(space):
    index = ExactIndex.build(np.zeros((0, 7), space.dtype), np.arange(0), space)
    assert len(index) == 0
    assert index.search(np.ones((2, 7), space.dtype), 5).distances.shape == (2, 0)


def test_a_vector_of_length_zero_counts_as_perpendicular():
    rows = np.array([[0, 0], [2, 0], [-1, 0], [0, 3]], np.float32)
    index = ExactIndex.build(rows, np.arange(4), Space("cosine", 2))
    found = index.search(np.array([[1, 0], [0, 0]], np.float32), 4)
    assert found.distances.tolist() == [[0, 1, 1, 2], [1, 1, 1, 1]]


def test_rows_of_length_one_are_not_copied_and_may_be_memory_mapped(tmp_path):
    rows = unit_rows(vectors(5, 20))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    index = ExactIndex.build(mapped, np.arange(20), Space("cosine", 7))
    assert np.shares_memory(index._parts[0].rows, mapped)
    assert np.array_equal(index.search(rows, 1).ids[:, 0], np.arange(20))


def test_only_a_search_imports_faiss():
    script = "import sys, facehash.index.exact; print(sorted({'faiss', 'keras'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_search_does_not_convert_the_gallery(tmp_path):
    # Python and NumPy allocate far less while searching than the codes take.
    codes = np.random.default_rng(0).integers(0, 256, (500_000, 16), np.uint8)
    np.save(tmp_path / "words.npy", CodeWords.of(codes, 128).words)
    mapped = CodeWords(np.load(tmp_path / "words.npy", mmap_mode="r"), 128)
    space = Space("hamming", 128)
    for index in (
        ExactIndex.build(codes, np.arange(500_000), space),
        ExactIndex(mapped, np.arange(500_000), space),
    ):
        index.search(codes[:1], 1)
        tracemalloc.start()
        found = index.search(codes[7:9], 10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000 and found.ids[:, 0].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("rows", "ids", "space"),
    [
        (vectors(8, 4), np.arange(3), Space("cosine", 7)),
        (vectors(8, 4).astype(float), np.arange(4), Space("cosine", 7)),
        (CodeWords.of(np.zeros((4, 1), np.uint8), 7), np.arange(4), Space("hamming", 8)),
    ],
)
def test_rows_that_are_not_prepared_for_the_space_are_refused(rows, ids, space):
    with pytest.raises(IndexRowsError, match="not prepared for Space"):
        ExactIndex(rows, ids, space)
