"""The comparisons of many codes with a bound, against loops."""

import numpy as np
import pytest
from numba import njit

from facehash.hamming.llvm.intrinsics import RUN, WIDE, nearer_bits, skip_far


@njit
def nearer(gallery, start, queries, row, bound):
    return nearer_bits(gallery, start, queries, row, bound)


@njit
def skip(gallery, start, stop, queries, row, bound):
    return skip_far(gallery, start, stop, queries, row, bound)


def draw(words, items):
    rng = np.random.default_rng(words)
    gallery = rng.integers(0, 2**64, (words, items), np.uint64)
    queries = rng.integers(0, 2**64, (3, words), np.uint64)
    return gallery, queries, np.bitwise_count(gallery[None] ^ queries[:, :, None]).sum(axis=1)


@pytest.mark.parametrize("words", [1, 2, 3, 16])
def test_bits_of_a_run_equal_a_loop(words):
    gallery, queries, far = draw(words, 200)
    for row in range(3):
        for bound in (0, int(np.median(far)), int(far.max()), int(far.max()) + 1):
            bits = int(nearer(gallery, 77, queries, row, bound))
            found = [bits >> i & 1 for i in range(RUN)]
            np.testing.assert_array_equal(found, far[row, 77 : 77 + RUN] < bound)


@pytest.mark.parametrize("words", [1, 2, 3, 16])
def test_runs_without_a_nearer_item_are_passed_over(words):
    gallery, queries, far = draw(words, 20 * WIDE + 40)
    for row in range(3):
        for start, stop in ((5, far.shape[1]), (5, 5 + 7 * WIDE), (5, 4 + WIDE), (5, 5)):
            last = (stop - start) // WIDE * WIDE + start
            for bound in (0, *np.sort(far[row])[[0, 1, 5, 40]], 64 * words + 1):
                runs = far[row, start:last].reshape(-1, WIDE).min(axis=1, initial=9999) < bound
                expected = start + WIDE * int(np.argmax(runs)) if runs.any() else last
                assert skip(gallery, start, stop, queries, row, int(bound)) == expected
