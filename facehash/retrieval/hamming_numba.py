"""Hamming kernels compiled by Numba; importing this file compiles them or loads them from a cache.

The same two functions as `facehash.retrieval.hamming_numpy`. They release the GIL, so the caller's
threads run them side by side, and no threading layer of Numba is involved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

# Distances of so many items (2 bytes each) stay in the first-level cache while they are counted.
BLOCK = 2048
# Queries that share the reading of a block, and neighbours whose candidates are kept at a time.
GROUP, KEPT = 32, 1 << 16
FARTHEST = np.uint16(65535)
# Items of a block of which the nearest is looked at before each of them is. A constant for LLVM.
RUN = 128
# Items a neighbour that are ranked by counting; farther on few are nearer than those found.
RANKED = 64

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


def _declare_popcount(typing_context: Any, word: Any) -> Any:
    """Count the set bits of a word by LLVM's ctpop, which becomes the processor's own."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_declare_popcount)


@_compile(f"void({_WORDS}, uint64, uint16[::1])")
def _first_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] = _popcount(words[i] ^ word)


@_compile(f"void({_WORDS}, uint64, uint16[::1])")
def _next_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] += _popcount(words[i] ^ word)


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
def _add(histograms, counts):  # type: ignore[no-untyped-def]
    for d in range(len(counts)):
        counts[d] = (
            np.int64(histograms[0, d]) + histograms[1, d] + histograms[2, d] + histograms[3, d]
        )


@_compile(f"void({_CODES}, {_CODES}, int64[:, ::1], int64[:, ::1], int64[:, ::1])")
def count_distances(gallery, query, slices, everyone, relevant):  # type: ignore[no-untyped-def]
    """Fill the histograms of distance of each query, as `hamming_numpy.count_distances`."""
    bins = everyone.shape[1]
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
            _add(histograms, everyone[row] if part == 0 else relevant[row])


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


@_compile("uint16(uint16[:, ::1], int64)")
def _least(block, run):  # type: ignore[no-untyped-def]
    least = FARTHEST
    for i in range(RUN):
        least = min(least, block[run, i])
    return least


@_compile("int64(uint16[:, ::1], int64, int64, int64, int64[::1], uint16[::1], int64)")
def _collect(block, run, start, bound, items, far, count):  # type: ignore[no-untyped-def]
    # All are written and the near ones kept: no branch that the processor could mispredict.
    for i in range(RUN):
        items[count] = start + i
        far[count] = block[run, i]
        count += block[run, i] < bound
    return count


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
    "UniTuple(int64, 3)(uint16[:, ::1], int64, int64, int64, int64, int64, int64[::1], uint16[::1],"
    "int64[::1])"
)
def _scan(block, start, k, held, nearer, bound, items, far, counts):  # type: ignore[no-untyped-def]
    """Collect what is nearer than the bound, and draw it closer; return the three numbers."""
    for run in range(len(block)):
        if _least(block, run) >= bound:
            continue
        if held + RUN > len(items):
            held = _drop(items, far, held, bound, k - nearer)
        old = held
        held = _collect(block, run, start + RUN * run, bound, items, far, old)
        for i in range(old, held):
            counts[far[i]] += 1
        nearer += held - old
        while nearer >= k:
            bound -= 1
            nearer -= counts[bound]
    return held, nearer, bound


@_compile(f"void({_CODES}, int64, int64, {_CODES}, int64, int64[:, ::1], int64[:, ::1])")
def find_nearest(gallery, first, last, query, bits, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `hamming_numpy.find_nearest`.

    The first items are ranked by counting how many lie at each distance. What is as far as the
    k-th of those or farther, and comes later, is no neighbour: so of the rest a run of items is
    passed over by its least distance, and what is nearer is collected, drawing the bound closer.
    """
    k = indices.shape[1]
    ranked = min(last, first + max(BLOCK, RANKED * k))
    numbers = np.arange(first, ranked)
    measured, block = np.empty(ranked - first, np.uint16), np.empty(BLOCK, np.uint16)
    runs = block.reshape((BLOCK // RUN, RUN))
    histograms = np.empty((4, bits + 1), np.uint32)
    group = max(1, min(GROUP, KEPT // k))
    room = 2 * k + 4 * RUN if ranked < last else 0
    items, far = np.empty((group, room), np.int64), np.empty((group, room), np.uint16)
    counts = np.empty((group, bits + 1), np.int64)
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
                counts[j] = 0
                for i in range(k):
                    items[j, i] = indices[begin + j, i]
                    far[j, i] = distances[begin + j, i]
                    counts[j, far[j, i]] += 1
                held[j], bounds[j] = k, far[j, k - 1]
                nearer[j] = k - counts[j, bounds[j]]
        if ranked == last:
            continue
        for start in range(ranked, last, BLOCK):
            stop = min(start + BLOCK, last)
            # Whole runs are looked at: beyond the last item nothing is near.
            block[stop - start :] = FARTHEST
            for j in range(rows):
                _measure(gallery, start, stop, query[begin + j], block[: stop - start])
                held[j], nearer[j], bounds[j] = _scan(
                    runs, start, k, held[j], nearer[j], bounds[j], items[j], far[j], counts[j]
                )
        for j in range(rows):
            here = held[j] = _drop(items[j], far[j], held[j], bounds[j], k - nearer[j])
            counts[j] = 0
            for i in range(here):
                counts[j, far[j, i]] += 1
            _sort(items[j], far[j, :here], counts[j], indices[begin + j], distances[begin + j])
