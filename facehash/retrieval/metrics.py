"""Retrieval metrics from histograms of Hamming distances, aware of ties.

A Hamming distance is a small integer, so many gallery items are equally far from a query and their
order is arbitrary. Every metric that depends on this order is its expectation over all orders of
the ties, in closed form; average precision also has its worst and best order. Nothing is sorted or
sampled (see `facehash.retrieval.ties`).

The arguments are those of `facehash.hamming.search.Histograms`, int64 (q, bits + 1): `all_counts`,
the gallery items at each distance, and `relevant`, those with the query's identity. Every function
returns one value per query, float64 (q,) in [0, 1]; reports state the mean over queries. All raise
CodesError for arrays of another shape, for k below 1 or a radius below 0, and, if they divide by
the number of relevant items, for a query that has none.

References:
    McSherry and Najork. Computing Information Retrieval Performance Measures Efficiently in the
    Presence of Tied Scores. ECIR 2008.
    He, Cakir, Bargal and Sclaroff. Hashing as Tie-Aware Learning to Rank. CVPR 2018 (arXiv
    1705.08562).
"""

from typing import NamedTuple

import numpy as np

from facehash.codes import CodesError
from facehash.hamming.search import Counts
from facehash.retrieval.ties import (
    Values,
    check_k,
    expected_hits,
    expected_precisions,
    groups_of,
    harmonic_numbers,
    precisions_in_a_row,
    relevant_total,
)


class AveragePrecision(NamedTuple):
    """Average precision of each query over the full ranking, float64 (q,).

    For every query 0 < lower <= expected <= upper <= 1.
    """

    lower: Values  # all ties in the worst order, relevant items last
    expected: Values  # mean over all orders of the ties
    upper: Values  # all ties in the best order, relevant items first


def average_precision(all_counts: Counts, relevant: Counts) -> AveragePrecision:
    """Average precision over the full ranking: expected, worst and best over the orders of ties.

    AP is the mean, over all R relevant items, of the precision at the rank of the item. Let n_d be
    the number of items at distance d, r_d of them relevant, preceded by N_d nearer items, R_d of
    them relevant, and H the harmonic numbers. Then::

        AP = 1/R sum_d sum_{t=1..n_d} r_d/n_d (R_d + 1 + (t - 1) a_d) / (N_d + t)
           = 1/R sum_d r_d/n_d (a_d n_d + (R_d + 1 - a_d (N_d + 1)) (H[N_d + n_d] - H[N_d]))
        a_d = (r_d - 1) / (n_d - 1)

    The first line is published; the second, its closed form, takes O(bits) per query. In the best
    order the r_d relevant items hold the ranks after N_d, in the worst those after N_d + n_d - r_d.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance, at least one per query.

    Example:
        Two items at distance 1, one of them relevant, and a relevant item at distance 2. With the
        relevant item first AP is (1/1 + 2/3) / 2, with it second (1/2 + 2/3) / 2.

        >>> ap = average_precision(np.array([[0, 2, 1]]), np.array([[0, 1, 1]]))
        >>> [float(value[0].round(4)) for value in ap]  # lower, expected, upper
        [0.5833, 0.7083, 0.8333]

    Reference:
        McSherry and Najork 2008 (average precision with ties); He et al. 2018, section 3.
    """
    groups = groups_of(all_counts, relevant)  # four arrays (q, bits + 1)
    total = relevant_total(relevant)  # (q,)
    harmonic = harmonic_numbers(int(all_counts.sum(axis=1).max()))  # (n + 1,)
    worst = groups._replace(before=groups.before + groups.size - groups.relevant)
    lower = precisions_in_a_row(worst, harmonic).sum(axis=1) / total
    expected = expected_precisions(groups, groups.size, harmonic).sum(axis=1) / total
    upper = precisions_in_a_row(groups, harmonic).sum(axis=1) / total
    # Without ties the three formulas would differ by rounding, in any order.
    upper = np.minimum(upper, 1.0)
    lower = np.minimum(lower, upper)
    return AveragePrecision(lower, np.clip(expected, lower, upper), upper)


def precision_at_radius(all_counts: Counts, relevant: Counts, radius: int) -> Values:
    """P@r: relevant share of the items at distance 0..radius (inclusive); 0 if there are none.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance.
        radius: Hamming radius, at least 0; beyond `bits` it covers the whole gallery.

    Example:
        >>> precision_at_radius(np.array([[0, 2, 1]]), np.array([[0, 1, 1]]), radius=1)
        array([0.5])
    """
    return np.asarray(_within(relevant, radius) / np.maximum(_within(all_counts, radius), 1))


def recall_at_radius(relevant: Counts, radius: int) -> Values:
    """R@r: share of the relevant items that are at distance 0..radius (inclusive).

    Args:
        relevant: int64 (q, bits + 1), relevant items at each distance, at least one per query.
        radius: Hamming radius, at least 0.

    Example:
        >>> recall_at_radius(np.array([[0, 1, 1]]), radius=1)
        array([0.5])
    """
    return np.asarray(_within(relevant, radius) / relevant_total(relevant))


def empty_at_radius(all_counts: Counts, radius: int) -> Values:
    """empty@r: 1 if no gallery item is at distance 0..radius (inclusive), else 0.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        radius: Hamming radius, at least 0.

    Example:
        >>> empty_at_radius(np.array([[0, 2, 1]]), radius=0)
        array([1.])
    """
    return np.asarray(_within(all_counts, radius) == 0, dtype=np.float64)


def precision_at(all_counts: Counts, relevant: Counts, k: int) -> Values:
    """P@k: expected number of relevant items among the first k, divided by k.

    The divisor is k even if the gallery is smaller, so that galleries stay comparable.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance.
        k: Number of items, at least 1.

    Example:
        >>> precision_at(np.array([[0, 2, 1]]), np.array([[0, 1, 1]]), k=4)
        array([0.5])

    Reference:
        McSherry and Najork 2008 (precision at k with ties).
    """
    cut = np.full(len(all_counts), check_k(k))
    return np.asarray(expected_hits(groups_of(all_counts, relevant), cut) / k)


def r_precision(all_counts: Counts, relevant: Counts) -> Values:
    """R-precision: P@R, where R is the number of relevant items of the query.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant items at each distance, at least one per query.

    Example:
        >>> r_precision(np.array([[0, 2, 1]]), np.array([[0, 1, 1]]))
        array([0.5])

    Reference:
        McSherry and Najork 2008 (R-precision with ties).
    """
    total = relevant_total(relevant)
    return np.asarray(expected_hits(groups_of(all_counts, relevant), total) / total)


def _within(counts: Counts, radius: int) -> Counts:
    if radius < 0:
        raise CodesError(f"a Hamming radius must be at least 0, got {radius}")
    return np.asarray(counts[:, : radius + 1].sum(axis=1))  # (q,)
