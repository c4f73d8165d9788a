"""What the benchmark of indexes on servers concludes from their candidates."""

import json

import numpy as np
import pytest

from benchmarks.search import engines
from facehash.index.exact import ExactIndex
from facehash.vectors import Space, unit_rows


@pytest.fixture(params=[Space("hamming", 16), Space("cosine", 8)], ids=["codes", "vectors"])
def case(request):
    """Rows with many ties, queries, and the exact result."""
    space, rng = request.param, np.random.default_rng(0)
    if space.metric == "hamming":
        rows, queries = (rng.integers(0, 256, (n, 2), np.uint8) for n in (300, 20))
    else:
        rows, queries = (unit_rows(rng.normal(size=(n, 8)).astype(np.float32)) for n in (300, 20))
    index = ExactIndex.build(rows, np.arange(300) + 1, space)
    return rows, queries, index.search(queries, engines.K), space


def test_all_rows_as_candidates_give_the_exact_result_in_any_order(case):
    rows, queries, exact, space = case
    candidates = np.random.default_rng(1).permuted(np.tile(np.arange(300) + 1, (20, 1)), axis=1)
    found = engines.judge(rows, queries, candidates, exact.distances, space)
    assert found == {"candidates": 300, "recall@10": 1, "same_distances": 1}


def test_missing_candidates_are_not_found(case):
    rows, queries, exact, space = case
    candidates = exact.ids.copy()
    candidates[:, 0] = -1
    candidates[:5] = -1
    found = engines.judge(rows, queries, candidates, exact.distances, space)
    # A face at the distance of the tenth counts, so nothing replaces what is missing.
    assert found == {"candidates": 6.8, "recall@10": 15 * 9 / 200, "same_distances": 0}


def test_another_face_at_the_distance_of_the_tenth_counts_as_found():
    space = Space("hamming", 16)
    rows = np.zeros((30, 2), np.uint8)
    rows[20:] = 255
    queries = np.zeros((1, 2), np.uint8)
    exact = ExactIndex.build(rows, np.arange(30) + 1, space).search(queries, engines.K).distances
    others = np.arange(11, 21)[None]
    found = engines.judge(rows, queries, others, exact, space)
    assert found == {"candidates": 10, "recall@10": 1, "same_distances": 1}
    far = np.arange(16, 26)[None]
    assert engines.judge(rows, queries, far, exact, space)["recall@10"] == 0.5


def test_the_committed_result_reaches_its_bars():
    result = json.loads(engines.RESULT.read_text(encoding="utf-8"))
    kinds = [engine["kind"] for engine in result["engines"]]
    assert kinds == ["elasticsearch", "postgresql", "redis"]
    for engine in result["engines"]:
        assert engine["codes"]["rows"] == engine["vectors"]["rows"] == 10**5
        assert engine["codes"]["recall@10"] >= 0.99
        assert engine["vectors"]["recall@10"] >= (0.95 if engine["kind"] == "redis" else 0.99)
