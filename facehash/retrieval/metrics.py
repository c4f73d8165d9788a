"""Retrieval metrics from histograms of distance, aware of ties.

A Hamming distance is a small integer, so many gallery items are equally far from a query and their
order is arbitrary. Whatever depends on that order is given here as its expectation over all orders
of the ties, in closed form; of the average precision also the worst and the best order. Nothing is
sorted and nothing is sampled (see `facehash.retrieval.ties`).

Every function takes the arrays of `facehash.hamming.search.Histograms`, int64 (q, bits + 1), and
returns one value a query, float64 (q,). A mean over queries is the caller's.

Reference:
    McSherry and Najork, Computing information retrieval performance measures efficiently in the
    presence of tied scores, ECIR 2008; He, Cakir, Bargal and Sclaroff, Hashing as tie-aware
    learning to rank, CVPR 2018 (arXiv 1705.08562).
"""

from __future__ import annotations

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

    Attributes:
        lower: With all ties broken in the worst way, relevant items last.
        expected: The mean over all orders of the ties.
        upper: With all ties broken in the best way, relevant items first.
    """

    lower: Values
    expected: Values
    upper: Values


def average_precision(all_counts: Counts, relevant: Counts) -> AveragePrecision:
    """Average precision over the full ranking: expected, worst and best over the orders of ties.

    AP is the mean, over all R relevant items, of the precision at the item's rank. With n_d tied
    items at distance d, r_d of them relevant, preceded by N_d and R_d, and H the harmonic numbers::

        AP = 1/R sum_d sum_{t=1..n_d} r_d/n_d (R_d + 1 + (t - 1) a_d) / (N_d + t)
           = 1/R sum_d r_d/n_d (a_d n_d + (R_d + 1 - a_d (N_d + 1)) (H[N_d + n_d] - H[N_d]))
        a_d = (r_d - 1) / (n_d - 1)

    The sums over t are the published ones; their closed form makes it O(bits) a query. In the best
    order the r_d relevant items hold the ranks after N_d, in the worst those after N_d + n_d - r_d.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant ones among them.

    Raises:
        CodesError: Arrays that are not such histograms, or a query without any relevant item.

    Reference:
        McSherry and Najork 2008 (average precision with ties); He et al. 2018, section 3.
    """
    groups = groups_of(all_counts, relevant)
    total = relevant_total(relevant)
    harmonic = harmonic_numbers(int(all_counts.sum(axis=1).max()))
    worst = groups._replace(before=groups.before + groups.size - groups.relevant)
    lower = precisions_in_a_row(worst, harmonic).sum(axis=1) / total
    expected = expected_precisions(groups, groups.size, harmonic).sum(axis=1) / total
    upper = precisions_in_a_row(groups, harmonic).sum(axis=1) / total
    # Three formulas round differently: without ties they would differ by an ulp, in any order.
    upper = np.minimum(upper, 1.0)
    lower = np.minimum(lower, upper)
    return AveragePrecision(lower, np.clip(expected, lower, upper), upper)


def precision_at_radius(all_counts: Counts, relevant: Counts, radius: int) -> Values:
    """Share of relevant items among those at distance 0..radius; 0 when there are none.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant ones among them.
        radius: Hamming radius, inclusive; one beyond `bits` is the whole gallery.

    Raises:
        CodesError: A negative radius.
    """
    return np.asarray(_within(relevant, radius) / np.maximum(_within(all_counts, radius), 1))


def recall_at_radius(relevant: Counts, radius: int) -> Values:
    """Share of the relevant items that lie at distance 0..radius (inclusive).

    Args:
        relevant: int64 (q, bits + 1), relevant gallery items at each distance.
        radius: Hamming radius, inclusive.

    Raises:
        CodesError: A negative radius, or a query without any relevant item.
    """
    return np.asarray(_within(relevant, radius) / relevant_total(relevant))


def empty_at_radius(all_counts: Counts, radius: int) -> Values:
    """1 where no gallery item lies at distance 0..radius (inclusive), else 0.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        radius: Hamming radius, inclusive.

    Raises:
        CodesError: A negative radius.
    """
    return np.asarray(_within(all_counts, radius) == 0, dtype=np.float64)


def precision_at(all_counts: Counts, relevant: Counts, k: int) -> Values:
    """Expected share of relevant items among the first k; the divisor is k in every case.

    Dividing by k also when the gallery is smaller keeps the number comparable between galleries:
    a position that no item fills is not right.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant ones among them.
        k: Number of items looked at, at least 1.

    Raises:
        CodesError: Arrays that are not such histograms, or k below 1.

    Reference:
        McSherry and Najork 2008 (precision at k with ties).
    """
    cut = np.full(len(all_counts), check_k(k))
    return np.asarray(expected_hits(groups_of(all_counts, relevant), cut) / k)


def r_precision(all_counts: Counts, relevant: Counts) -> Values:
    """Expected precision among the first R, where R is the number of the query's relevant items.

    Args:
        all_counts: int64 (q, bits + 1), gallery items at each distance.
        relevant: int64 (q, bits + 1), relevant ones among them.

    Raises:
        CodesError: Arrays that are not such histograms, or a query without any relevant item.

    Reference:
        McSherry and Najork 2008 (R-precision with ties).
    """
    total = relevant_total(relevant)
    return np.asarray(expected_hits(groups_of(all_counts, relevant), total) / total)


def _within(counts: Counts, radius: int) -> Counts:
    if radius < 0:
        raise CodesError(f"a Hamming radius is at least 0, got {radius}")
    return np.asarray(counts[:, : radius + 1].sum(axis=1))
