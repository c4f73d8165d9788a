"""Hamming kernels in NumPy: the fallback without Numba, and the reference of the Numba kernels.

They compare one query at a time with the whole gallery, so memory is a few times that of the
gallery. Both files of kernels define the same three functions and fill arrays of the caller.
"""

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
    """Fill the histogram of distances of each query.

    Args:
        gallery: uint64 (words, n), first words first, items sorted by identity.
        query: uint64 (q, words).
        slices: int64 (q, 2), first and one past the last gallery item of the query's identity.
        all_counts: int64 (q, bits + 1), output: gallery items at each distance.
        relevant: int64 (q, bits + 1), output: those of the query's identity.
    """
    bins = all_counts.shape[1]
    for row in range(len(query)):
        distances = _distances(gallery, query[row])
        start, stop = slices[row]
        all_counts[row] = np.bincount(distances, minlength=bins)
        relevant[row] = np.bincount(distances[start:stop], minlength=bins)


def count_sharing(
    gallery: Words,
    query: Words,
    gallery_sets: Words,
    query_sets: Words,
    all_counts: NDArray[np.int64],
    relevant: NDArray[np.int64],
) -> None:
    """Fill the histogram of distances of each query where codes have several labels.

    Args:
        gallery: uint64 (words, n), first words first.
        query: uint64 (q, words).
        gallery_sets: uint64 (label words, n), one bit per label, first words first.
        query_sets: uint64 (q, label words).
        all_counts: int64 (q, bits + 1), output: gallery items at each distance.
        relevant: int64 (q, bits + 1), output: those that share a label with the query.
    """
    bins = all_counts.shape[1]
    for row in range(len(query)):
        distances = _distances(gallery, query[row])
        shared = (gallery_sets & query_sets[row][:, None]).any(axis=0)
        all_counts[row] = np.bincount(distances, minlength=bins)
        relevant[row] = np.bincount(distances[shared], minlength=bins)


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
        gallery: uint64 (words, n), first words first; items first..last - 1 are searched.
        first: First item.
        last: One past the last item.
        query: uint64 (q, words).
        bits: Length of a code, the largest possible distance.
        indices: int64 (q, k), 1 <= k <= last - first, output: gallery indices, nearest first.
        distances: int64 (q, k), output: their distances.
    """
    part = gallery[:, first:last]
    size = last - first
    k = indices.shape[1]
    for row in range(len(query)):
        # One number per item, (last - first,), that sorts by distance and then by index.
        keys = _distances(part, query[row]) * size + np.arange(size)
        nearest = np.sort(np.partition(keys, k - 1)[:k])
        distances[row], indices[row] = np.divmod(nearest, size)
    indices += first


def _distances(gallery: Words, code: Words) -> NDArray[np.int64]:
    total = np.zeros(gallery.shape[1], dtype=np.int64)
    for word in range(len(gallery)):
        total += np.bitwise_count(gallery[word] ^ code[word])
    return total
