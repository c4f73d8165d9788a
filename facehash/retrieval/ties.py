"""The algebra of tied items on which the metrics stand.

In every function a group is the items at one distance: `size` of them, `relevant` of these
relevant, preceded in the ranking by `before` nearer items, `relevant_before` of these relevant. All
orders of a group are equally likely, and groups are independent. Arrays are int64, (q, bits + 1) or
any other shape that fits together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts

Values = NDArray[np.float64]


class Groups(NamedTuple):
    """Groups of tied items and what precedes them, as the module says."""

    size: Counts
    relevant: Counts
    before: Counts
    relevant_before: Counts


def groups_of(all_counts: Counts, relevant: Counts) -> Groups:
    """Take every distance of two histograms (q, bits + 1) as a group.

    Raises:
        CodesError: Not two such histograms of the same shape.
    """
    if all_counts.ndim != 2 or all_counts.shape != relevant.shape or all_counts.size == 0:
        raise CodesError(
            f"histograms must both be (q, bits + 1), got {all_counts.shape} and {relevant.shape}"
        )
    return Groups(all_counts, relevant, _exclusive_sum(all_counts), _exclusive_sum(relevant))


def crossing_groups(groups: Groups, cut: NDArray[np.int64]) -> tuple[Groups, Counts]:
    """Take of each query the group that holds rank `cut` (q,), and how many of it are within.

    When the gallery is smaller than the rank, it is the last group, whole.
    """
    cumulative = groups.before + groups.size
    index = np.minimum((cumulative < cut[:, None]).sum(axis=1), cumulative.shape[1] - 1)
    crossing = Groups(*(part[np.arange(len(index)), index] for part in groups))
    return crossing, np.minimum(cut - crossing.before, crossing.size)


def expected_hits(groups: Groups, cut: NDArray[np.int64]) -> Values:
    """Expect the number of relevant items among the first `cut` (q,), float64 (q,)."""
    crossing, taken = crossing_groups(groups, cut)
    share = crossing.relevant / np.maximum(crossing.size, 1)
    return np.asarray(crossing.relevant_before + taken * share)


def expected_precisions(groups: Groups, taken: Counts, harmonic: Values) -> Values:
    """Expect the sum of the precisions at the relevant ones among a group's first `taken` items.

    With n = size, r = relevant, N = before, R = relevant_before, m = taken and
    a = (r - 1) / (n - 1), the item at position t is relevant with probability r / n, and then
    (t - 1) a of the t - 1 items before it in the group are expected to be relevant::

        sum_{t=1..m} r/n (R + 1 + (t - 1) a) / (N + t)
            = r/n (a m + (R + 1 - a (N + 1)) (H[N + m] - H[N]))
    """
    size, relevant, before, relevant_before = groups
    share = relevant / np.maximum(size, 1)
    # A single item has nothing tied before it: the fraction is 0, or its share is.
    others = (relevant - 1) / np.maximum(size - 1, 1)
    span = harmonic[before + taken] - harmonic[before]
    return np.asarray(
        share * (others * taken + (relevant_before + 1 - others * (before + 1)) * span)
    )


def precisions_in_a_row(groups: Groups, harmonic: Values) -> Values:
    """Sum the precisions at a group's relevant items when they hold the ranks after `before`.

    ``sum_{t=1..r} (R + t) / (N + t) = r + (R - N) (H[N + r] - H[N])``
    """
    span = harmonic[groups.before + groups.relevant] - harmonic[groups.before]
    return np.asarray(groups.relevant + (groups.relevant_before - groups.before) * span)


def harmonic_numbers(last: int) -> Values:
    """Return H[0..last], float64 (last + 1,).

    Summed in extended precision, because differences of neighbours are what is used.
    """
    table = np.zeros(last + 1, dtype=np.longdouble)
    np.cumsum(1 / np.arange(1, last + 1, dtype=np.longdouble), out=table[1:])
    return table.astype(np.float64)


def relevant_total(relevant: Counts) -> NDArray[np.int64]:
    """Return the relevant items of each query (q,).

    Raises:
        CodesError: A query has none, and cannot be scored.
    """
    total = np.asarray(relevant.sum(axis=1))
    orphans = np.flatnonzero(total == 0)
    if len(orphans):
        raise CodesError(
            f"{len(orphans)} of {len(total)} queries have no relevant gallery item (the first is "
            f"query {orphans[0]}) and cannot be scored; leave them out"
        )
    return total


def check_k(k: int) -> int:
    """Return `k`, or refuse one below 1.

    Raises:
        CodesError: k is below 1.
    """
    if k < 1:
        raise CodesError(f"k must be at least 1, got {k}")
    return k


def _exclusive_sum(counts: Counts) -> Counts:
    return np.asarray(np.cumsum(counts, axis=1) - counts)
