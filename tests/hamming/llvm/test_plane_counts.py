"""Counts of distances by planes of bits, against loops and the kernel of other processors."""

import numpy as np
import pytest
from numba import njit

from facehash.hamming import count_numba
from facehash.hamming.llvm.intrinsics import LINE, find_line
from facehash.hamming.llvm.plane_counts import (
    AT_ONCE,
    BITS_AT_ONCE,
    COUNTS,
    PLANE,
    SIDE,
    SUMS,
    TABLES,
    add_planes,
    count_sums,
    fill_side,
    most_bits,
)


@njit
def count(codes, steps, planes, tables, places, row, sums, counts, bins):
    fill_side(codes, 3, steps, planes, tables, 0)
    add_planes(tables, 0, places, row, steps, sums)
    count_sums(sums, bins, counts)


def aligned(words):
    space = np.empty(words + LINE, np.uint64)
    lead = find_line(space)
    return space[lead : lead + words]


def draw(bits, items):
    """Draw codes at all distances from the first: uint64 (words, n), and their bits (n, bits)."""
    rng = np.random.default_rng(bits)
    unequal = rng.random((items, bits)) < rng.random((items, 1))
    unequal[0] = unequal[3] = False
    unequal[4] = True
    code = rng.integers(0, 2, bits).astype(bool)
    padded = np.zeros((items, -(-bits // 64) * 64), bool)
    padded[:, :bits] = code ^ unequal
    words = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    return np.ascontiguousarray(words.T), padded[:, :bits]


@pytest.mark.parametrize(
    ("features", "bits"),
    [("+avx2,+avx512f", 255), ("+avx2,-avx512f", 64), ("+ssse3,-avx2", 0), ("+neon", 0), ("", 0)],
)
def test_planes_count_where_registers_are_wide(features, bits):
    assert most_bits(features) == bits


@pytest.mark.parametrize("bits", [1, 7, 15, 16, 17, 48, 63, 64, 65, 128, 192, 255])
def test_counts_of_one_side_equal_a_loop(bits):
    codes, unpacked = draw(bits, SIDE + 9)
    steps = -(-bits // BITS_AT_ONCE)
    query = np.ascontiguousarray(codes[:, [8, 0]].T)
    places = np.empty((2, 2 * AT_ONCE * steps), np.uint32)
    count_numba.plan_queries(query, places)
    planes, tables = aligned((64 * len(codes) + BITS_AT_ONCE) * PLANE), aligned(steps * TABLES)
    sums, counts = aligned(SUMS * PLANE), aligned(COUNTS * PLANE)
    planes[:] = 0
    counts[:] = 5
    count(codes, steps, planes, tables, places, 1, sums, counts, bits + 1)
    far = (unpacked[3 : 3 + SIDE] != unpacked[0]).sum(axis=1)
    found = counts.reshape(COUNTS, PLANE)[: bits + 1].sum(axis=1) - 5 * PLANE
    np.testing.assert_array_equal(found, np.bincount(far, minlength=bits + 1))


@pytest.mark.parametrize("bits", [1, 48, 64])
@pytest.mark.parametrize("items", [SIDE, 3 * SIDE, count_numba.SIDES * SIDE + 5 * SIDE])
def test_both_kernels_count_alike(bits, items):
    codes, _ = draw(bits, items)
    query = np.ascontiguousarray(codes[:, [0, 5, 77, 100, 9]].T)
    found = np.full((2, len(query), bits + 1), -1, np.int64)
    count_numba._count_together(codes, items, query, found[0])
    count_numba._count_many(codes, items, query, found[1])
    np.testing.assert_array_equal(found[1], found[0])
    far = np.bitwise_count(codes ^ query[0][:, None]).sum(axis=0)
    np.testing.assert_array_equal(found[0, 0], np.bincount(far, minlength=bits + 1))
