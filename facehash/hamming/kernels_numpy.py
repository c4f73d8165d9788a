"""Hamming kernels in NumPy: what is used without Numba, and what the Numba kernels must equal.

One query at a time against the whole gallery, so memory is a few times the gallery's words. Both
files of kernels offer the same two functions and write into arrays that the caller made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def count_distances(
    gallery: Words,
    query: Words,
    slices: NDArray[np.int64],
    all_counts: NDArray[np.int64],
    relevant: NDArray[np.int64],
) -> None:
    """Fill the histograms of distance of each query.

    Args:
        gallery: uint64 (words, n), codes stored word by word, sorted by identity.
        query: uint64 (q, words).
        slices: int64 (q, 2), the first and one past the last gallery position of the query's
            identity.
        all_counts: int64 (q, bits + 1), filled with the gallery items at each distance.
        relevant: int64 (q, bits + 1), filled with those of the query's identity.
    """
    bins = all_counts.shape[1]
    for row in range(len(query)):
        distances = _distances(gallery, query[row])
        start, stop = slices[row]
        all_counts[row] = np.bincount(distances, minlength=bins)
        relevant[row] = np.bincount(distances[start:stop], minlength=bins)


def find_nearest(
    gallery: Words,
    first: int,
    last: int,
    query: Words,
    bits: int,
    indices: NDArray[np.int64],
    distances: NDArray[np.int64],
) -> None:
    """Fill the k nearest gallery items of each query, ties by gallery index.

    Args:
        gallery: uint64 (words, n), codes stored word by word.
        first: The first item that is looked at.
        last: One past the last.
        query: uint64 (q, words).
        bits: Length of a code; no distance is larger.
        indices: int64 (q, k), 1 <= k <= last - first, filled with gallery indices, nearest first.
        distances: int64 (q, k), filled with their distances.
    """
    part = gallery[:, first:last]
    size = last - first
    k = indices.shape[1]
    for row in range(len(query)):
        # One number that orders by distance and then by gallery index.
        keys = _distances(part, query[row]) * size + np.arange(size)
        nearest = np.sort(np.partition(keys, k - 1)[:k])
        distances[row], indices[row] = np.divmod(nearest, size)
    indices += first


def _distances(gallery: Words, code: Words) -> NDArray[np.int64]:
    total = np.zeros(gallery.shape[1], dtype=np.int64)
    for word in range(len(gallery)):
        total += np.bitwise_count(gallery[word] ^ code[word])
    return total
