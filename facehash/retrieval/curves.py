"""Precision-recall and precision-at-N curves from histograms of distances."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts

MAX_POINTS = 1000


class PrecisionRecall(NamedTuple):
    """Means over queries, one point per Hamming radius 0..bits."""

    recall: NDArray[np.float64]  # (bits + 1,), increasing to 1
    precision: NDArray[np.float64]  # (bits + 1,), in [0, 1]


def precision_recall(all_counts: Counts, relevant: Counts) -> PrecisionRecall:
    """Precision and recall within each Hamming radius 0..bits (inclusive), averaged over queries.

    A query with an empty ball has precision 0 there, so the curve of long codes starts low.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance, at least one per query.

    Example:
        >>> curve = precision_recall(np.array([[0, 2, 1]]), np.array([[0, 1, 1]]))
        >>> curve.recall, curve.precision.round(4)
        (array([0. , 0.5, 1. ]), array([0.    , 0.5   , 0.6667]))
    """
    balls = np.cumsum(all_counts, axis=1)  # (q, bits + 1)
    hits = np.cumsum(relevant, axis=1)
    return PrecisionRecall(
        (hits / hits[:, -1:]).mean(axis=0), (hits / np.maximum(balls, 1)).mean(axis=0)
    )


def precision_at_each(all_counts: Counts, relevant: Counts) -> NDArray[np.float64]:
    """Mean expected precision of the first N items, for N = 1..min(1000, gallery).

    Each rank within a group of n ties, r of them relevant, is relevant with probability r / n. This
    is constant within the group, so the curve sums only its steps: O(q bits) instead of O(q N).

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance, with equal sums.
        relevant: int64 (q, bits + 1), relevant items at each distance.

    Returns:
        float64 (points,) in [0, 1]; element N - 1 is the precision of the first N.

    Raises:
        CodesError: The queries have galleries of different size.

    Example:
        >>> precision_at_each(np.array([[0, 2, 1]]), np.array([[0, 1, 1]])).round(4)
        array([0.5   , 0.5   , 0.6667])
    """
    sizes = all_counts.sum(axis=1)
    if (sizes != sizes[0]).any():
        raise CodesError("precision at N needs the same gallery for every query")
    points = min(MAX_POINTS, int(sizes[0]))
    last = np.cumsum(all_counts, axis=1)  # (q, bits + 1), one past the last rank of each group
    first = last - all_counts
    probability = relevant / np.maximum(all_counts, 1)
    steps = _sum_at(first, probability, points) - _sum_at(last, probability, points)
    n = np.arange(1, points + 1)
    precision = np.cumsum(np.cumsum(steps)) / (n * len(all_counts))
    # The sums of steps have rounding errors, which must not leave the range.
    return np.clip(precision, 0.0, 1.0)


def _sum_at(rank: Counts, values: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Return the sum of the values at each rank, (points,); later ranks are dropped."""
    inside = (rank < points) & (values > 0)
    sums = np.bincount(rank[inside], weights=values[inside], minlength=points)
    return sums.astype(np.float64)
