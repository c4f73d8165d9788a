import numpy as np
import pytest

from facehash.hashing import RandomHyperplanes
from facehash.index.exact import ExactIndex
from facehash.index.rerank import RerankIndex, rerank
from facehash.vectors import IndexRowsError, Space, unit_rows


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)


def build(rows, metric, candidates):
    hasher = RandomHyperplanes.fit(rows, 16, 0)
    codes = hasher.encode(unit_rows(rows) if metric == "cosine" else rows)
    ids = np.arange(60) * 3
    return RerankIndex(rows, codes, ids, Space(metric, 7), hasher, candidates), hasher, codes


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_with_all_rows_as_candidates_the_search_is_exact(rows, metric):
    index, _, _ = build(rows, metric, 60)
    exact = ExactIndex.build(rows, np.arange(60) * 3, Space(metric, 7)).search(rows[:5], 9)
    found = index.search(rows[:5], 9)
    assert len(index) == 60
    assert np.array_equal(found.ids, exact.ids)
    assert np.array_equal(found.distances, exact.distances)


def test_only_candidates_with_the_nearest_codes_are_ranked(rows):
    index, _, codes = build(rows, "euclidean", 8)
    found = index.search(rows[:1], 20)
    unequal = np.unpackbits(codes ^ codes[:1], axis=1).sum(axis=1)
    candidates = np.argsort(unequal, kind="stable")[:8]
    distances = np.linalg.norm(rows[candidates] - rows[0], axis=1)
    assert found.ids.tolist() == [(candidates[np.argsort(distances)] * 3).tolist()]


def test_a_negative_position_is_no_candidate(rows):
    distances, positions = rerank(rows, rows[:1], np.array([[4, -1, 0]]), Space("euclidean", 7))
    assert positions.tolist() == [[0, 4, -1]]
    assert distances[0, 0] == 0 and np.isinf(distances[0, 2])


def test_codes_cannot_be_reranked_and_there_is_at_least_one_candidate(rows):
    _, hasher, codes = build(rows, "cosine", 5)
    with pytest.raises(IndexRowsError, match="re-ranking needs vectors"):
        RerankIndex(codes, codes, np.arange(60), Space("hamming", 16), hasher, 5)
    with pytest.raises(IndexRowsError, match="at least 1, got 0"):
        build(rows, "cosine", 0)
