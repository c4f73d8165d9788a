"""Retrieval metrics as loops written from their definitions, to test the fast ones.

A ranking is a list of booleans, relevant or not, nearest first. The expectation of a metric is its
plain average over all orders of the ties.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np


def hamming_distance(one, other):
    return sum(int(a) != int(b) for a, b in zip(one, other, strict=True))


def rankings(distances, relevant) -> Iterator[list[bool]]:
    """Yield the relevance of every order that sorts the distances."""
    groups = [
        [bool(r) for d, r in zip(distances, relevant, strict=True) if d == distance]
        for distance in sorted(set(distances))
    ]
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield list(itertools.chain(*orders))


def expectation(metric: Callable[[list[bool]], float], distances, relevant) -> float:
    values = [metric(ranking) for ranking in rankings(distances, relevant)]
    return sum(values) / len(values)


def average_precision(ranking) -> float:
    return average_precision_at(ranking, len(ranking), "relevant")


def precision_at(ranking, k) -> float:
    return sum(ranking[:k]) / k


def r_precision(ranking) -> float:
    return precision_at(ranking, sum(ranking))


def average_precision_at(ranking, k, denominator) -> float:
    hits, total = 0, 0.0
    for position, relevant in enumerate(ranking[:k], start=1):
        if relevant:
            hits += 1
            total += hits / position
    divisor = {"found": hits, "relevant": sum(ranking), "min": min(k, sum(ranking))}[denominator]
    return total / divisor if divisor else 0.0


def stable_ranking(distances, relevant) -> list[bool]:
    order = sorted(range(len(distances)), key=lambda item: (distances[item], item))
    return [bool(relevant[item]) for item in order]


def best_ranking(distances, relevant) -> list[bool]:
    pairs = zip(distances, relevant, strict=True)
    return [bool(r) for _, r in sorted(pairs, key=lambda pair: (pair[0], not pair[1]))]


def worst_ranking(distances, relevant) -> list[bool]:
    return [bool(r) for _, r in sorted(zip(distances, relevant, strict=True))]


def _ball(distances, relevant, radius) -> list[bool]:
    return [r for d, r in zip(distances, relevant, strict=True) if d <= radius]


def precision_in_ball(distances, relevant, radius) -> float:
    inside = _ball(distances, relevant, radius)
    return sum(inside) / len(inside) if inside else 0.0


def recall_in_ball(distances, relevant, radius) -> float:
    return sum(_ball(distances, relevant, radius)) / sum(relevant)


def histograms(distances, relevant, bits):
    """Count one query's gallery items and relevant items at each distance, int64 (1, bits + 1)."""
    all_counts = np.zeros((1, bits + 1), dtype=np.int64)
    right = np.zeros((1, bits + 1), dtype=np.int64)
    for distance, is_relevant in zip(distances, relevant, strict=True):
        all_counts[0, distance] += 1
        right[0, distance] += bool(is_relevant)
    return all_counts, right


def verification_rates(distances, genuine, bits, enough=10):
    """TAR at three FARs and EER from a list of pairs, by trying every threshold on every pair."""
    same = [d for d, one in zip(distances, genuine, strict=True) if one]
    other = [d for d, one in zip(distances, genuine, strict=True) if not one]
    points = [(0.0, 0.0)]  # FAR, TAR of accepting nothing
    for threshold in range(bits + 1):
        far = sum(d <= threshold for d in other) / len(other) if other else 0.0
        points.append((far, sum(d <= threshold for d in same) / len(same)))
    rates = {}
    for name, wanted in (("1e-2", 0.01), ("1e-3", 0.001), ("1e-4", 0.0001)):
        known = len(other) >= enough / wanted
        rates[f"TAR@{name}"] = max(t for f, t in points if f <= wanted) if known else None
    rates["EER"] = None
    if other:
        for (f0, t0), (f1, t1) in itertools.pairwise(points):
            if f1 >= 1 - t1:  # the lines from f0 to f1 and from 1 - t0 to 1 - t1 cross here
                part = (1 - t0 - f0) / ((1 - t0 - f0) + (f1 - 1 + t1))
                rates["EER"] = f0 + part * (f1 - f0)
                break
    return rates
