"""Keys of LSH tables against loops, and the order of probing against all keys."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from facehash.codes import bits_from_packed, packed_from_bits
from facehash.errors import InputError
from facehash.index.lsh import (
    HyperplaneKeys,
    SampledBitKeys,
    _count_below,
    _first_patterns,
    center_of,
    table_keys,
)
from facehash.vectors import Space

COSINE = Space("cosine", 12)
EUCLIDEAN = Space("euclidean", 12)


def rows_of(count, seed=0, dimension=12):
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


@pytest.mark.parametrize("space", [COSINE, EUCLIDEAN])
@pytest.mark.parametrize("centered", [False, True])
def test_hyperplane_keys_against_a_loop(space, centered):
    center = np.linspace(-0.3, 0.3, 12).astype(np.float32) if centered else None
    maker = table_keys(space, 5, 7, 3, center)
    rows = 3 * rows_of(20)
    expected = np.zeros((20, 5), np.uint32)
    for row, table, bit in itertools.product(range(20), range(5), range(7)):
        vector = rows[row].astype(np.float64)
        if space.metric == "cosine":
            vector = vector / np.sqrt((vector * vector).sum())
        if centered:
            vector = vector - center
        if (vector * maker._directions[7 * table + bit]).sum() >= 0:
            expected[row, table] += 1 << bit
    np.testing.assert_array_equal(maker.keys(rows), expected)


def test_sampled_bits_against_a_loop():
    space = Space("hamming", 21)
    maker = table_keys(space, 6, 5, 1)
    bits = np.random.default_rng(2).integers(0, 2, (30, 21), np.uint8)
    expected = [
        [sum(int(row[position]) << j for j, position in enumerate(table))
         for table in maker._positions] for row in bits
    ]  # fmt: skip
    np.testing.assert_array_equal(maker.keys(packed_from_bits(bits)), expected)
    counts = np.bincount(maker._positions.ravel(), minlength=21)
    assert counts.max() - counts.min() <= 1 and counts.sum() == 30
    assert all(len(set(table)) == 5 for table in maker._positions.tolist())


@pytest.mark.parametrize("degrees", [10, 30, 60, 90, 150])
def test_a_bit_differs_with_the_angle_over_pi(degrees):
    angle = np.deg2rad(degrees)
    pair = np.zeros((2, 40), np.float32)
    pair[0, 0], pair[1, :2] = 1, (np.cos(angle), np.sin(angle))
    keys = HyperplaneKeys(Space("cosine", 40), 1000, 20, seed=7).keys(pair)
    differ = int(np.bitwise_count(keys[0] ^ keys[1]).sum())
    share, deviation = angle / np.pi, np.sqrt(20_000 * angle / np.pi * (1 - angle / np.pi))
    assert abs(differ - 20_000 * share) < 4 * deviation


def test_two_codes_share_a_key_with_the_probability_of_the_sample():
    space, distance = Space("hamming", 64), 8
    bits = np.zeros((2, 64), np.uint8)
    bits[1, :distance] = 1
    shared = 0
    for seed in range(400):
        keys = SampledBitKeys(space, 4, 6, seed).keys(packed_from_bits(bits))
        shared += np.count_nonzero(keys[0] == keys[1])
    expected = np.prod([(64 - distance - i) / (64 - i) for i in range(6)])
    assert abs(shared - 1600 * expected) < 5 * np.sqrt(1600 * expected * (1 - expected))


@pytest.mark.parametrize(("bits", "count"), [(1, 1), (1, 9), (5, 32), (8, 3), (9, 40), (10, 300)])
def test_probes_are_in_the_order_of_their_sums(bits, count):
    maker = HyperplaneKeys(COSINE, 4, bits, seed=1)
    queries = rows_of(6, seed=9)
    found = maker.probes(queries, count)
    assert found.shape == (6, 4, min(count, 1 << bits))
    own, margins = maker.keys(queries), np.abs(maker._sides(queries)).astype(np.float64)
    for query, table in itertools.product(range(6), range(4)):
        sums = np.array([
            sum(margins[query, table, bit] for bit in range(bits) if flips >> bit & 1)
            for flips in range(1 << bits)
        ])  # fmt: skip
        assert found[query, table, 0] == own[query, table]
        proposed = sums[found[query, table] ^ own[query, table]]
        np.testing.assert_allclose(proposed, np.sort(sums)[: len(proposed)], atol=1e-6)
        assert len(set(found[query, table].tolist())) == len(proposed)


def test_probes_of_many_queries_are_those_of_each(monkeypatch):
    monkeypatch.setattr("facehash.index.lsh._SUMS_PER_STEP", 100)
    maker = HyperplaneKeys(EUCLIDEAN, 3, 6, seed=1)
    queries = rows_of(9)
    together = maker.probes(queries, 10)
    for query, expected in zip(queries, together, strict=True):
        np.testing.assert_array_equal(maker.probes(query[None], 10)[0], expected)


def test_codes_are_probed_by_the_number_of_flips():
    maker = SampledBitKeys(Space("hamming", 32), 3, 6, seed=5)
    codes = np.random.default_rng(1).integers(0, 256, (4, 4), np.uint8)
    flips = maker.probes(codes, 64) ^ maker.keys(codes)[:, :, None]
    numbers = np.bitwise_count(flips)
    assert (np.diff(numbers.astype(int), axis=2) >= 0).all()
    assert (np.sort(flips, axis=2) == np.arange(64)).all()
    assert maker.probes(codes, 22).shape == (4, 3, 22)


@pytest.mark.parametrize("bits", [1, 4, 7])
def test_the_sets_that_a_set_exceeds(bits):
    sets = [s for size in range(bits + 1) for s in itertools.combinations(range(bits), size)]

    def exceeds(larger, smaller):
        pairs = zip(reversed(smaller), reversed(larger), strict=False)
        return len(smaller) <= len(larger) and all(a <= b for a, b in pairs)

    below = {s: sum(exceeds(s, other) for other in sets) for s in sets}
    for members, count in below.items():
        assert _count_below(tuple(reversed(members))) == count
    for count in (1, 2, 5, 100):
        expected = {s for s in sets if below[s] <= count}
        found = {tuple(np.flatnonzero(row).tolist()) for row in _first_patterns(bits, count)}
        assert found == expected


def test_the_same_seed_gives_the_same_keys():
    for space in (COSINE, Space("hamming", 64)):
        same, other = table_keys(space, 4, 8, 0), table_keys(space, 4, 8, 1)
        assert same.digest() == table_keys(space, 4, 8, 0).digest() != other.digest()
    shifted = table_keys(COSINE, 4, 8, 0, np.ones(12, np.float32))
    assert shifted.digest() != table_keys(COSINE, 4, 8, 0).digest()


def test_the_center():
    rows = 2 + rows_of(1500)
    assert center_of(rows[:999], EUCLIDEAN) is None
    center = center_of(rows, EUCLIDEAN)
    assert center.dtype == np.float32
    np.testing.assert_allclose(center, rows.mean(axis=0), rtol=1e-4)
    lengths = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(center_of(rows, COSINE), (rows / lengths).mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("bits", [0, 25, 17])
def test_lengths_that_cannot_be(bits):
    with pytest.raises(InputError, match=f"{bits}"):
        table_keys(Space("hamming", 16), 2, bits, 0)
    if bits != 17:
        with pytest.raises(InputError, match=f"{bits}"):
            table_keys(COSINE, 2, bits, 0)


def test_keys_of_no_rows():
    assert HyperplaneKeys(COSINE, 3, 4, 0).keys(rows_of(0)).shape == (0, 3)
    assert HyperplaneKeys(COSINE, 3, 4, 0).probes(rows_of(0), 5).shape == (0, 3, 5)
    codes = np.zeros((0, 2), np.uint8)
    assert SampledBitKeys(Space("hamming", 16), 3, 4, 0).probes(codes, 5).shape == (0, 3, 5)
    assert bits_from_packed(codes, 16).shape == (0, 16)
