"""Comparisons in planes against loops; on processors without AVX-512 by other instructions."""

import numpy as np
import pytest
from numba import njit

from facehash.hamming.llvm.intrinsics import LINE, find_line
from facehash.hamming.llvm.planes import (
    LEVELS,
    MANY_CODES,
    STEPS,
    TABLES,
    compare_planes,
    fill_planes,
    has_planes,
)
from facehash.hamming.nearest_numba import MANY, plan_query, set_limit
from facehash.hamming.search import top_k
from tests.hamming.test_nearest import assert_nearest, draw


@njit
def fill(gallery, first, tables):
    fill_planes(gallery, first, tables)


@njit
def compare(tables, steps, limits, row, masks):
    return compare_planes(tables, steps, limits, row, masks)


@pytest.mark.parametrize(
    ("features", "expected"),
    [("+avx2,+avx512f", True), ("-avx512f,+avx2", False), ("+neon", False), ("", False)],
)
def test_planes_need_instructions_of_three_operands(features, expected):
    assert has_planes(features) is expected


@pytest.mark.parametrize("bits", [1, 48, 63, 64])
def test_masks_equal_a_loop(bits):
    rng = np.random.default_rng(bits)
    gallery, queries = (rng.integers(0, 2**bits, n, np.uint64) for n in (MANY_CODES + 50, 5))
    queries[4] = ~np.uint64(0) >> np.uint64(64 - bits)
    gallery[33], gallery[44] = queries[4], queries[4] ^ queries[4]
    codes = gallery[33 : 33 + MANY_CODES]
    space = np.empty(TABLES + LINE, np.uint64)
    lead = find_line(space)
    tables = space[lead : lead + TABLES]
    fill(gallery[None], 33, tables)
    steps, limits = np.empty((5, STEPS), np.uint16), np.empty((5, LEVELS), np.int64)
    for row, query in enumerate(queries):
        far = np.bitwise_count(codes ^ query).astype(int)
        plan_query(query, steps[row])
        for bound in range(1, 65):
            set_limit(bound, row, limits)
            masks = np.zeros(MANY_CODES // 64, np.uint64)
            assert compare(tables, steps, limits, row, masks) == (far < bound).any()
            found = np.unpackbits(masks.view(np.uint8), bitorder="little")
            np.testing.assert_array_equal(found, far < bound)


@pytest.mark.parametrize("queries", [MANY - 1, MANY, 40])
@pytest.mark.parametrize("bits", [3, 48, 64])
@pytest.mark.parametrize("items", [2 * MANY_CODES, 9 * MANY_CODES + 77])
def test_many_queries_equal_brute_force(queries, bits, items):
    # Codes of 3 bits equal the query more than k times, so the bound becomes 0.
    gallery, query = draw(1, items, bits, noise=0.3), draw(2, queries, bits, noise=0.3)
    for k in (1, 60):
        found = top_k(gallery, query, bits, k, engine="numba", threads=1)
        assert_nearest(found, gallery, query, k)


@pytest.mark.parametrize("k", [1, 30, 600])
def test_many_queries_of_which_each_later_item_is_nearer(k):
    ones = np.arange(20_000)[::-1] // 320
    gallery = np.packbits(np.arange(64) < ones[:, None], axis=1, bitorder="little")
    query = np.zeros((MANY, 8), np.uint8)
    assert_nearest(top_k(gallery, query, 64, k, engine="numba"), gallery, query, k)
