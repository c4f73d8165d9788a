"""LSH buckets in memory against a loop over the keys, and against the exact index."""

from __future__ import annotations

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.index import buckets
from facehash.index.base import Found
from facehash.index.buckets import LshIndex
from facehash.index.exact import ExactIndex
from facehash.vectors import IndexRowsError, Space, unit_rows

SPACES = [Space("cosine", 6), Space("euclidean", 6), Space("hamming", 21)]


def rows_of(space, count, seed=0):
    """Return rows in a few groups, with equal ones among them."""
    rng = np.random.default_rng(seed)
    if space.metric == "hamming":
        rows = np.bitwise_and(*rng.integers(0, 256, (2, count, 3), np.uint8))
        rows[:, 2] &= 31
    else:
        rows = (0.5 + rng.standard_normal((count, 6))).astype(np.float32)
    rows[count // 2 :: 3] = rows[: len(rows[count // 2 :: 3])]
    return rows


def exact_search(rows, ids, space, queries, k):
    """Search exactly; some more rows are asked for, as FAISS takes any of equal last ones."""
    found = ExactIndex.build(rows, ids, space).search(queries, k + 8)
    return Found(found.distances[:, :k], found.ids[:, :k])


@pytest.fixture(params=SPACES, ids=lambda space: space.metric)
def space(request):
    return request.param


@pytest.mark.parametrize(("bits", "probes"), [(1, 1), (3, 2), (9, 4), (20, 1), (20, 300)])
def test_candidates_are_the_rows_with_one_of_the_keys(space, bits, probes, monkeypatch):
    monkeypatch.setattr(buckets, "_BITS_PER_STEP", 1000)
    rows, queries = rows_of(space, 200), rows_of(space, 9, seed=5)
    index = LshIndex.build(rows, np.arange(200), space, tables=3, bits=bits, seed=2)
    if space.metric == "cosine":
        rows, queries = unit_rows(rows), unit_rows(queries)
    keys, asked = index.keys.keys(rows), index.keys.probes(queries, probes)
    found = index.candidates(queries, probes)
    for number, positions in enumerate(found):
        expected = [
            place for place in range(200)
            if any(keys[place, table] in asked[number, table] for table in range(3))
        ]  # fmt: skip
        assert positions.tolist() == expected
    assert bits > 3 or any(map(len, found))


def test_all_buckets_give_the_result_of_the_exact_index(space):
    rows, ids = rows_of(space, 300), 7 * np.arange(300)
    index = LshIndex.build(rows, ids, space, tables=1, bits=4)
    queries = np.concatenate([rows[:20], rows_of(space, 20, seed=3)])
    found, compared = index.search_counting(queries, 12, probes=16)
    exact = exact_search(rows, ids, space, queries, 12)
    np.testing.assert_array_equal(compared, 300)
    np.testing.assert_array_equal(found.distances, exact.distances)
    np.testing.assert_array_equal(found.ids, exact.ids)


def test_a_search_is_the_exact_search_among_the_candidates(space):
    rows, ids = rows_of(space, 300), np.arange(300) + 5
    index = LshIndex.build(rows, ids, space, tables=2, bits=9)
    queries = rows_of(space, 30, seed=8)
    found, compared = index.search_counting(queries, 8, probes=2)
    scaled = unit_rows(queries) if space.metric == "cosine" else queries
    for number, positions in enumerate(index.candidates(scaled, 2)):
        assert compared[number] == len(positions)
        chosen, query = (rows[positions], ids[positions]), queries[number : number + 1]
        nearest = exact_search(*chosen, space, query, 8) if len(positions) else None
        count = min(8, len(positions))
        assert (found.ids[number, count:] == -1).all()
        assert np.isinf(found.distances[number, count:]).all()
        if nearest:
            np.testing.assert_array_equal(found.ids[number, :count], nearest.ids[0])
            np.testing.assert_array_equal(found.distances[number, :count], nearest.distances[0])
    assert compared.min() < 8 < compared.max()


def test_more_tables_and_more_probes_find_more(space):
    rows = rows_of(space, 400)
    compared = [
        LshIndex.build(rows, np.arange(400), space, tables=tables, bits=8).search_counting(
            rows[:50], 5, probes
        )[1]
        for tables, probes in ((1, 1), (1, 20), (4, 20))
    ]
    assert (compared[0] <= compared[1]).all() and compared[0].sum() < compared[1].sum()
    assert (compared[1] <= compared[2]).all() and compared[1].sum() < compared[2].sum()


def test_the_hyperplanes_pass_through_the_mean_of_the_first_rows():
    space = Space("euclidean", 6)
    rows = rows_of(space, 5000) + 30
    index = LshIndex.build(rows, np.arange(5000), space, tables=4, bits=8)
    sizes = np.bincount(index.keys.keys(rows)[:, 0], minlength=256)
    assert sizes.max() < 1000  # around the origin all rows are in one bucket
    same = LshIndex.build(rows[:4096], np.arange(4096), space, tables=4, bits=8)
    assert same.keys.digest() == index.keys.digest()


def test_few_rows_and_few_queries(space):
    rows = rows_of(space, 4)
    index = LshIndex.build(rows, np.arange(4), space, tables=2, bits=2)
    assert len(index) == 4 and index.bytes() > 0
    assert index.search(rows[:2], 9, probes=4).ids.shape == (2, 4)
    assert index.search(rows[:0], 9).ids.shape == (0, 4)
    empty = LshIndex.build(rows[:0], np.arange(0), space, tables=2, bits=2)
    assert len(empty) == 0 and empty.search(rows, 3).ids.shape == (4, 0)


def test_what_cannot_be_searched(space):
    rows = rows_of(space, 5)
    with pytest.raises(IndexRowsError, match="increasing"):
        LshIndex.build(rows, np.zeros(5, np.int64), space)
    with pytest.raises(IndexRowsError, match="tables must be at least 1"):
        LshIndex.build(rows, np.arange(5), space, tables=0)
    with pytest.raises(InputError, match="1 to 24 bits, got 25|longer than a code of 21"):
        LshIndex.build(rows, np.arange(5), space, bits=25)
    index = LshIndex.build(rows, np.arange(5), space, bits=4)
    for k, probes in ((0, 1), (1, 0)):
        with pytest.raises(IndexRowsError, match="at least 1, got 0"):
            index.search(rows, k, probes)
