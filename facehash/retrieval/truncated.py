"""Average precision of the first k items; the name always includes the denominator.

The literature calls three numbers mAP@k. They divide the sum of precisions at the relevant items
among the first k by

* ``"found"``: the relevant items among the first k (a single one at rank 1 scores 1);
* ``"relevant"``: all relevant items of the gallery (below 1 if there are more than k);
* ``"min"``: the smaller of k and all relevant items.
"""

from typing import Literal, get_args

import numpy as np

from facehash.codes import CodesError
from facehash.errors import did_you_mean
from facehash.hamming.search import Counts
from facehash.retrieval.ties import (
    Groups,
    Values,
    check_k,
    crossing_groups,
    expected_precisions,
    groups_of,
    harmonic_numbers,
    relevant_total,
)

Denominator = Literal["relevant", "min", "found"]
DENOMINATORS: tuple[Denominator, ...] = get_args(Denominator)


def average_precision_at(
    all_counts: Counts, relevant: Counts, k: int, denominator: Denominator
) -> Values:
    """AP@k: expected average precision of the first k items over all orders of the ties.

    ``AP@k = 1/D sum_{t=1..k} [item t is relevant] (relevant items among the first t) / t``

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance, at least one per query.
        k: Number of items, at least 1; beyond the gallery it is the whole ranking.
        denominator: D, see the module docstring. ``"found"`` also depends on the order of ties: the
            result is the expectation of the ratio (0 if nothing is found), not a ratio of
            expectations.

    Returns:
        float64 (q,) in [0, 1]; report it with its denominator, for example as mAP@50/found.

    Raises:
        CodesError: Arrays of another shape, k below 1, an unknown denominator, or a query without
            relevant items.

    Example:
        Relevant items at ranks 1 and 3 of three: (1/1 + 2/3) / 2 with k = 3, 1/1 with k = 2.

        >>> counts, relevant = np.array([[1, 1, 1]]), np.array([[1, 0, 1]])
        >>> average_precision_at(counts, relevant, 3, "found").round(4)
        array([0.8333])
        >>> average_precision_at(counts, relevant, 2, "found")
        array([1.])
    """
    if denominator not in DENOMINATORS:
        raise CodesError(
            f"denominator {denominator!r} is unknown{did_you_mean(str(denominator), DENOMINATORS)}"
        )
    groups = groups_of(all_counts, relevant)
    total = relevant_total(relevant)
    harmonic = harmonic_numbers(int(all_counts.sum(axis=1).max()))
    cut = np.full(len(all_counts), check_k(k))
    if denominator == "found":
        return _expected_ratio(groups, cut, harmonic)
    taken = np.clip(cut[:, None] - groups.before, 0, groups.size)
    precisions = expected_precisions(groups, taken, harmonic).sum(axis=1)
    return np.asarray(precisions / (np.minimum(k, total) if denominator == "min" else total))


def _expected_ratio(groups: Groups, cut: Counts, harmonic: Values) -> Values:
    """Return the expected (sum of precisions) / (relevant items found) among the first `cut`.

    The number found depends only on the group that contains the cut: X of its m items up to the cut
    are relevant, where X is hypergeometric. Given X = x, all positions are equally likely, so these
    items are a group of size m with x relevant. The precisions A of nearer groups do not depend on
    X::

        E = sum_x P(X = x) (A + S(x)) / (R + x),  S(x) = expected_precisions(size m, relevant x)
    """
    crossing, taken = crossing_groups(groups, cut)
    nearer = groups.before < crossing.before[:, None]
    settled = np.where(nearer, expected_precisions(groups, groups.size, harmonic), 0).sum(axis=1)
    result = np.empty(len(cut))
    for row in range(len(cut)):
        size, relevant, before, relevant_before = (part[row] for part in crossing)
        found, probability = _hypergeometric(int(size), int(relevant), int(taken[row]))
        part = Groups(taken[row], found, before, relevant_before)
        precisions = settled[row] + expected_precisions(part, taken[row], harmonic)
        result[row] = (probability * precisions / np.maximum(relevant_before + found, 1)).sum()
    return result


def _hypergeometric(size: int, relevant: int, taken: int) -> tuple[Counts, Values]:
    """Return each possible number of relevant items among `taken`, and its probability.

    The ratio of adjacent probabilities is more precise than factorials of large numbers::

        P(x + 1) / P(x) = (relevant - x) (taken - x) / ((x + 1) (size - relevant - taken + x + 1))
    """
    x = np.arange(max(0, taken - (size - relevant)), min(relevant, taken) + 1)
    y = x[:-1]
    ratios = (relevant - y) * (taken - y) / ((y + 1) * (size - relevant - taken + y + 1))
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    weights = np.exp(logarithms - logarithms.max())
    return x, weights / weights.sum()
