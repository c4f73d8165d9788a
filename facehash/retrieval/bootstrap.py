"""Bootstrap bounds: how far a number may move with other queries or other people.

The bounds are percentiles of the number over resamples. A resample draws as many items (queries, or
people with all their queries) as there are, with replacement; it is a row of weights, how often
each item was drawn.

Reference:
    Efron and Tibshirani. An Introduction to the Bootstrap. 1993, chapters 13 (percentiles) and 8
    (resampling of groups).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 1000
SEED = 0

_CELLS = 2**22  # weights drawn at a time, which bounds the memory


class Bounds(NamedTuple):
    """Lower and upper bound of each number, float64 (m,)."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def resample(items: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield blocks of resamples, int64 (block, items): how often each item was drawn.

    Args:
        items: Number of items, at least 1; each row of weights has this sum.
        resamples: Number of rows in all, at least 1.
        seed: The same seed gives the same rows.

    Example:
        >>> [block] = resample(items=3, resamples=2, seed=0)
        >>> block.shape, block.sum(axis=1)
        ((2, 3), array([3, 3]))
    """
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // items)
    chances = np.full(items, 1 / items)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        yield rng.multinomial(items, chances, size=rows).astype(np.int64)


def percentiles(samples: NDArray[np.float64]) -> Bounds:
    """Return the bounds that hold the middle 95 % of samples (resamples, m)."""
    tail = (1 - LEVEL) / 2
    return Bounds(*np.quantile(samples, [tail, 1 - tail], axis=0))


def mean_samples(
    values: NDArray[np.float64], groups: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the means of values over resampled groups, float64 (resamples, m).

    Args:
        values: (q, m), a row per query.
        groups: int64 (q,), what is drawn together: the people of the queries, or
            ``np.arange(q)`` to draw single queries.
        resamples: Number of resamples.
        seed: Of the draws.

    Example:
        Both groups have the mean 2, and so has every resample.

        >>> mean_samples(np.array([[1.0], [3.0], [2.0]]), np.array([7, 7, 8]), 2, seed=0)
        array([[2.],
               [2.]])
    """
    _, group = np.unique(groups, return_inverse=True)
    size = np.bincount(group)  # (groups,)
    sums = np.zeros((len(size), values.shape[1]))
    np.add.at(sums, group, values)
    parts = [(w @ sums) / (w @ size)[:, None] for w in resample(len(size), resamples, seed)]
    return np.concatenate(parts)
