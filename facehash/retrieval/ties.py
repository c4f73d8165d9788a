"""Expectations over the orders of tied items, on which the metrics are built.

A group is the set of items at one distance: `size` items, of which `relevant` are relevant, after
`before` nearer items, of which `relevant_before` are relevant. All orders within a group are
equally likely, and groups are independent. Arrays are int64 (q, bits + 1), or any shapes that
broadcast.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts

Values = NDArray[np.float64]


class Groups(NamedTuple):
    """Groups of tied items, as defined in the module docstring."""

    size: Counts
    relevant: Counts
    before: Counts
    relevant_before: Counts


def groups_of(all_counts: Counts, relevant: Counts) -> Groups:
    """Make each distance of two histograms (q, bits + 1) a group.

    Raises:
        CodesError: Arrays of another shape.
    """
    if all_counts.ndim != 2 or all_counts.shape != relevant.shape or all_counts.size == 0:
        raise CodesError(
            f"histograms must both be (q, bits + 1), got {all_counts.shape} and {relevant.shape}"
        )
    return Groups(all_counts, relevant, _exclusive_sum(all_counts), _exclusive_sum(relevant))


def crossing_groups(groups: Groups, cut: NDArray[np.int64]) -> tuple[Groups, Counts]:
    """Return the group of each query that contains rank `cut` (q,), and its items up to there.

    If the gallery is smaller than the rank, this is the whole last group.
    """
    cumulative = groups.before + groups.size  # (q, bits + 1)
    index = np.minimum((cumulative < cut[:, None]).sum(axis=1), cumulative.shape[1] - 1)
    crossing = Groups(*(part[np.arange(len(index)), index] for part in groups))
    return crossing, np.minimum(cut - crossing.before, crossing.size)


def expected_hits(groups: Groups, cut: NDArray[np.int64]) -> Values:
    """Return the expected number of relevant items among the first `cut` (q,), float64 (q,)."""
    crossing, taken = crossing_groups(groups, cut)
    share = crossing.relevant / np.maximum(crossing.size, 1)
    return np.asarray(crossing.relevant_before + taken * share)


def expected_precisions(groups: Groups, taken: Counts, harmonic: Values) -> Values:
    """Return the expected sum of precisions at the relevant items of a group's first `taken`.

    With n = size, r = relevant, N = before, R = relevant_before, m = taken and
    a = (r - 1) / (n - 1): the item at position t of the group is relevant with probability r / n,
    and then (t - 1) a of the t - 1 group members before it are expected to be relevant::

        sum_{t=1..m} r/n (R + 1 + (t - 1) a) / (N + t)
            = r/n (a m + (R + 1 - a (N + 1)) (H[N + m] - H[N]))
    """
    size, relevant, before, relevant_before = groups
    share = relevant / np.maximum(size, 1)
    # In a group of one item the fraction or the share is 0.
    others = (relevant - 1) / np.maximum(size - 1, 1)
    span = harmonic[before + taken] - harmonic[before]
    return np.asarray(
        share * (others * taken + (relevant_before + 1 - others * (before + 1)) * span)
    )


def precisions_in_a_row(groups: Groups, harmonic: Values) -> Values:
    """Return the sum of precisions if a group's relevant items have the ranks after `before`.

    ``sum_{t=1..r} (R + t) / (N + t) = r + (R - N) (H[N + r] - H[N])``
    """
    span = harmonic[groups.before + groups.relevant] - harmonic[groups.before]
    return np.asarray(groups.relevant + (groups.relevant_before - groups.before) * span)


def harmonic_numbers(last: int) -> Values:
    """Return the harmonic numbers H[0..last], float64 (last + 1,)."""
    # In extended precision: the callers use differences of neighbors.
    table = np.zeros(last + 1, dtype=np.longdouble)
    np.cumsum(1 / np.arange(1, last + 1, dtype=np.longdouble), out=table[1:])
    return table.astype(np.float64)


def relevant_total(relevant: Counts) -> NDArray[np.int64]:
    """Return the number of relevant items of each query (q,).

    Raises:
        CodesError: A query has none and cannot be scored.
    """
    total = np.asarray(relevant.sum(axis=1))
    orphans = np.flatnonzero(total == 0)
    if len(orphans):
        raise CodesError(
            f"{len(orphans)} of {len(total)} queries have no relevant gallery item (the first is "
            f"query {orphans[0]}) and cannot be scored; exclude them"
        )
    return total


def check_k(k: int) -> int:
    """Return `k`; below 1 it is a CodesError."""
    if k < 1:
        raise CodesError(f"k must be at least 1, got {k}")
    return k


def _exclusive_sum(counts: Counts) -> Counts:
    return np.asarray(np.cumsum(counts, axis=1) - counts)
