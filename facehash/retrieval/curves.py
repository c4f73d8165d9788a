"""Curves over queries from histograms of distance: precision-recall, and precision at N."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts

MAX_POINTS = 1000


class PrecisionRecall(NamedTuple):
    """One point for each Hamming radius, averaged over queries.

    Attributes:
        radius: int64 (bits + 1,), 0..bits.
        recall: float64 (bits + 1,), in [0, 1], growing to 1.
        precision: float64 (bits + 1,), in [0, 1].
    """

    radius: NDArray[np.int64]
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


class PrecisionAt(NamedTuple):
    """Expected precision among the first N items, averaged over queries.

    Attributes:
        n: int64 (points,), 1..points.
        precision: float64 (points,), in [0, 1].
    """

    n: NDArray[np.int64]
    precision: NDArray[np.float64]


def precision_recall(all_counts: Counts, relevant: Counts) -> PrecisionRecall:
    """Mean precision and mean recall within each Hamming radius 0..bits (inclusive).

    The average is over queries (macro), and a query with an empty ball has precision 0 there: at
    small radii the curve of long codes therefore starts low.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant ones among them; at least one a query.
    """
    balls = np.cumsum(all_counts, axis=1)
    hits = np.cumsum(relevant, axis=1)
    return PrecisionRecall(
        np.arange(all_counts.shape[1]),
        (hits / hits[:, -1:]).mean(axis=0),
        (hits / np.maximum(balls, 1)).mean(axis=0),
    )


def precision_at_each(all_counts: Counts, relevant: Counts) -> PrecisionAt:
    """Mean expected precision among the first N items, for N = 1..min(1000, gallery).

    The item at any rank within a group of n ties, r of them relevant, is relevant with probability
    r / n. That is constant over the group, so only where it rises and falls is added up, and the
    curve costs O(q bits) instead of O(q N).

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance, equally many a query.
        relevant: int64 (q, bits + 1), relevant ones among them.

    Raises:
        CodesError: Queries against galleries of different size.
    """
    sizes = all_counts.sum(axis=1)
    if (sizes != sizes[0]).any():
        raise CodesError("precision at N needs the same gallery for every query")
    points = min(MAX_POINTS, int(sizes[0]))
    last = np.cumsum(all_counts, axis=1)
    first = last - all_counts
    probability = relevant / np.maximum(all_counts, 1)
    steps = _sum_at(first, probability, points) - _sum_at(last, probability, points)
    n = np.arange(1, points + 1)
    precision = np.cumsum(np.cumsum(steps)) / (n * len(all_counts))
    # Adding up and down again leaves rounding errors, of which none may show beyond the range.
    return PrecisionAt(n, np.clip(precision, 0.0, 1.0))


def _sum_at(rank: Counts, values: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Add each value at its rank; those beyond the curve are dropped."""
    inside = (rank < points) & (values > 0)
    sums = np.bincount(rank[inside], weights=values[inside], minlength=points)
    return sums.astype(np.float64)
