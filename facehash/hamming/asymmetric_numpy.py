"""Asymmetric search in NumPy: the fallback without Numba, and the reference of its kernel."""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def find_nearest(
    gallery: Words,
    first: int,
    last: int,
    query: Words,
    weights: NDArray[np.float64],
    indices: NDArray[np.int64],
    distances: NDArray[np.float64],
) -> None:
    """Fill the k nearest gallery items of each query, ties by gallery index.

    Args:
        gallery: uint64 (words, n), first words first; items first..last - 1 are searched.
        first: First item.
        last: One past the last item.
        query: uint64 (q, words), the signs of the projections.
        weights: float64 (q, bits), their absolute values.
        indices: int64 (q, k), 1 <= k <= last - first, output: gallery indices, nearest first.
        distances: float64 (q, k), output: the sum of the weights of the unequal bits, added first
            bit first.
    """
    part = gallery[:, first:last]
    k = indices.shape[1]
    for row in range(len(query)):
        total = np.zeros(last - first)
        for bit, weight in enumerate(weights[row]):
            unequal = (part[bit // 64] ^ query[row, bit // 64]) >> np.uint64(bit % 64)
            total += weight * (unequal & np.uint64(1))
        order = np.argsort(total, kind="stable")[:k]
        indices[row], distances[row] = order + first, total[order]
