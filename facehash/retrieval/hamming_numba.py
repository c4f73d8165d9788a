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


@_compile("void(uint64[::1], uint64, uint16[::1])")
def _first_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] = _popcount(words[i] ^ word)


@_compile("void(uint64[::1], uint64, uint16[::1])")
def _next_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] += _popcount(words[i] ^ word)


@_compile("void(uint64[:, ::1], int64, int64, uint64[::1], uint16[::1])")
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


@_compile("void(uint64[:, ::1], uint64[:, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1])")
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
            target = everyone[row] if part == 0 else relevant[row]
            for d in range(bins):
                target[d] = (
                    np.int64(histograms[0, d])
                    + histograms[1, d]
                    + histograms[2, d]
                    + histograms[3, d]
                )


@_compile("void(uint64[:, ::1], uint64[:, ::1], int64, int64[:, ::1], int64[:, ::1])")
def find_nearest(gallery, query, bits, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `hamming_numpy.find_nearest`.

    A counting sort: the histogram tells where the items of each distance begin in the ranking, and
    a second pass in gallery order, which is what breaks ties, puts the first k into their places.
    """
    size = gallery.shape[1]
    k = indices.shape[1]
    measured = np.empty(size, np.uint16)
    histograms = np.empty((4, bits + 1), np.uint32)
    place = np.empty(bits + 1, np.int64)
    for row in range(len(query)):
        histograms[:] = 0
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            _measure(gallery, start, stop, query[row], measured[start:stop])
            _count(measured[start:stop], histograms)
        before = 0
        for d in range(bits + 1):
            place[d] = before
            before += (
                np.int64(histograms[0, d]) + histograms[1, d] + histograms[2, d] + histograms[3, d]
            )
        for i in range(size):
            rank = place[measured[i]]
            if rank < k:
                indices[row, rank] = i
                distances[row, rank] = measured[i]
                place[measured[i]] = rank + 1
