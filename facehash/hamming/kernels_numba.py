"""Hamming kernels compiled by Numba; importing this file compiles them or loads them from a cache.

The same two functions as `facehash.hamming.kernels_numpy`. They release the GIL, so the caller's
threads run them side by side, and no threading layer of Numba is involved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from facehash.hamming.intrinsics import RUN, nearer_bits, popcount

# Distances of so many items (2 bytes each) stay in the first-level cache while they are counted.
BLOCK = 2048
# Queries that share the reading of a block, and neighbours whose candidates are kept at a time.
GROUP, KEPT = 32, 1 << 16
_ONE, _ALL = np.uint64(1), np.uint64(2**64 - 1)
# Items a neighbour that are ranked by counting; farther on few are nearer than those found.
RANKED = 16

# The gallery may be mapped from a file that must not be written.
_WORDS, _CODES = "Array(uint64, 1, 'C', True)", "Array(uint64, 2, 'C', True)"


def _compile(signature: str) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, nogil=True, cache=True)(function)
        except (RuntimeError, OSError):
            # Neither the package's nor the user's cache directory can be written to.
            return njit(signature, nogil=True)(function)

    return decorate


@_compile(f"void({_WORDS}, uint64, uint16[::1])")
def _first_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] = popcount(words[i] ^ word)


@_compile(f"void({_WORDS}, uint64, uint16[::1])")
def _next_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] += popcount(words[i] ^ word)


@_compile(f"void({_CODES}, int64, int64, {_WORDS}, uint16[::1])")
def _measure(gallery, start, stop, code, distances):  # type: ignore[no-untyped-def]
    # Slices rather than indices go to the inner loops: only then LLVM vectorises them.
    _first_word(gallery[0, start:stop], code[0], distances)
    for w in range(1, len(code)):
        _next_word(gallery[w, start:stop], code[w], distances)


@_compile("void(uint16[::1], uint32[:, ::1])")
def _count(distances, histograms):  # type: ignore[no-untyped-def]
    # Neighbours often share a distance; one histogram would wait for its own last store each time.
    first, second, third, fourth = histograms[0], histograms[1], histograms[2], histograms[3]
    quads = len(distances) // 4
    for i in range(quads):
        first[distances[4 * i]] += 1
        second[distances[4 * i + 1]] += 1
        third[distances[4 * i + 2]] += 1
        fourth[distances[4 * i + 3]] += 1
    for i in range(4 * quads, len(distances)):
        first[distances[i]] += 1


@_compile("void(uint32[:, ::1], int64[::1])")
def _add(four, counts):  # type: ignore[no-untyped-def]
    for d in range(len(counts)):
        # In 64 bits: four histograms that are full together hold more than one can.
        counts[d] = np.int64(four[0, d]) + four[1, d] + four[2, d] + four[3, d]


@_compile(f"void({_CODES}, {_CODES}, int64[:, ::1], int64[:, ::1], int64[:, ::1])")
def count_distances(gallery, query, slices, all_counts, relevant):  # type: ignore[no-untyped-def]
    """Fill the histograms of distance of each query, as `hamming_numpy.count_distances`."""
    bins = all_counts.shape[1]
    histograms = np.empty((4, bins), np.uint32)
    buffer = np.empty(BLOCK, np.uint16)
    for row in range(len(query)):
        for part in range(2):
            histograms[:] = 0
            first = 0 if part == 0 else slices[row, 0]
            last = gallery.shape[1] if part == 0 else slices[row, 1]
            for start in range(first, last, BLOCK):
                stop = min(start + BLOCK, last)
                distances = buffer[: stop - start]
                _measure(gallery, start, stop, query[row], distances)
                _count(distances, histograms)
            _add(histograms, all_counts[row] if part == 0 else relevant[row])


@_compile("void(int64[::1], uint16[::1], int64[::1], int64[::1], int64[::1])")
def _sort(items, far, counts, indices, distances):  # type: ignore[no-untyped-def]
    """Put the nearest items into their places: a counting sort, stable, which is what breaks ties.

    `counts` tells how many items are at each distance, and holds where the next goes afterwards.
    """
    before = 0
    for d in range(len(counts)):
        counts[d], before = before, before + counts[d]
    for i in range(len(far)):
        rank = counts[far[i]]
        if rank < len(indices):
            indices[rank] = items[i]
            distances[rank] = far[i]
            counts[far[i]] = rank + 1


@_compile("void(uint16[::1], int64[::1])")
def _tally(far, counts):  # type: ignore[no-untyped-def]
    counts[:] = 0
    for distance in far:
        counts[distance] += 1


@_compile("int64(int64[::1], uint16[::1], int64, int64, int64)")
def _drop(items, far, count, bound, ties):  # type: ignore[no-untyped-def]
    """Keep what is nearer than the bound and the first `ties` at it; return how many those are."""
    kept = 0
    for i in range(count):
        distance = far[i]
        if distance < bound or (distance == bound and ties > 0):
            ties -= distance == bound
            items[kept] = items[i]
            far[kept] = distance
            kept += 1
    return kept


@_compile(
    f"UniTuple(int64, 3)({_CODES}, int64, int64, {_WORDS}, int64, int64, int64, int64, int64[::1],"
    "uint16[::1], int64[::1])"
)
def _scan(gallery, start, stop, code, k, held, nearer, bound, items, far, counts):  # type: ignore[no-untyped-def]
    """Collect what is nearer than the bound, and draw it closer; return the three numbers."""
    for run in range(start, stop, RUN):
        # The last run may reach back to items that were compared before; their bits are cleared.
        first = min(run, stop - RUN)
        near = nearer_bits(gallery, first, code, bound) & (_ALL << np.uint64(run - first))
        if near == 0:
            continue
        if held + RUN > len(items):
            held = _drop(items, far, held, bound, k - nearer)
        while near != 0:
            # How many zeros end the word: where the next of them is.
            item = first + np.int64(popcount(~near & (near - _ONE)))
            distance = np.int64(0)
            for w in range(len(code)):
                distance += np.int64(popcount(gallery[w, item] ^ code[w]))
            items[held] = item
            far[held] = distance
            counts[distance] += 1
            held += 1
            nearer += 1
            near &= near - _ONE
        while nearer >= k:
            bound -= 1
            nearer -= counts[bound]
    return held, nearer, bound


@_compile(f"void({_CODES}, int64, int64, {_CODES}, int64, int64[:, ::1], int64[:, ::1])")
def find_nearest(gallery, first, last, query, bits, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `hamming_numpy.find_nearest`.

    The first items are ranked by counting how many lie at each distance. What is as far as the
    k-th of those or farther, and comes later, is no neighbour: so the rest is compared with that
    bound, run by run, and the few items that are nearer are collected, drawing the bound closer.
    """
    k = indices.shape[1]
    ranked = min(last, first + max(BLOCK, RANKED * k))
    numbers = np.arange(first, ranked)
    measured = np.empty(ranked - first, np.uint16)
    group = max(1, min(GROUP, KEPT // k))
    room = 2 * k + 4 * RUN if ranked < last else 0
    items, far = np.empty((group, room), np.int64), np.empty((group, room), np.uint16)
    histograms, counts = np.empty((4, bits + 1), np.uint32), np.empty((group, bits + 1), np.int64)
    # Of each query: candidates held, those among them nearer than the bound, and the bound.
    held, nearer, bounds = np.empty((3, group), np.int64)
    for begin in range(0, len(query), group):
        rows = min(group, len(query) - begin)
        for j in range(rows):
            histograms[:] = 0
            for start in range(first, ranked, BLOCK):
                stop = min(start + BLOCK, ranked)
                part = measured[start - first : stop - first]
                _measure(gallery, start, stop, query[begin + j], part)
                _count(part, histograms)
            _add(histograms, counts[j])
            _sort(numbers, measured, counts[j], indices[begin + j], distances[begin + j])
            if ranked < last:
                items[j, :k], far[j, :k] = indices[begin + j], distances[begin + j]
                _tally(far[j, :k], counts[j])
                held[j], bounds[j] = k, far[j, k - 1]
                nearer[j] = k - counts[j, bounds[j]]
        if ranked == last:
            continue
        for start in range(ranked, last, BLOCK):
            stop = min(start + BLOCK, last)
            for j in range(rows):
                held[j], nearer[j], bounds[j] = _scan(
                    gallery, start, stop, query[begin + j], k, held[j], nearer[j], bounds[j],
                    items[j], far[j], counts[j],
                )  # fmt: skip
        for j in range(rows):
            here = _drop(items[j], far[j], held[j], bounds[j], k - nearer[j])
            _tally(far[j, :here], counts[j])
            _sort(items[j], far[j, :here], counts[j], indices[begin + j], distances[begin + j])
