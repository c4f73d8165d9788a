"""What is told of a way to search: how often it is right, and how long it takes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.bench.methods import Way
from facehash.bench.queries import Trials
from facehash.retrieval import metrics
from facehash.vectors import Ids

FIRST = (1, 5)
K = 10
NEIGHBOURS = 9
_TIMED = 300
_WARMING = 5

Values = NDArray[np.float64]


def score(way: Way) -> dict[str, float]:
    """Score the rankings of a way: P@1, P@5, mAP with its tie bounds; means over queries."""
    found: dict[str, list[Values]] = {}
    for histograms in way.rank():
        for k in FIRST:
            found.setdefault(f"P@{k}", []).append(metrics.precision_at(*histograms, k))
        ap = metrics.average_precision(*histograms)
        for name, values in (
            ("mAP", ap.expected),
            ("mAP_lower", ap.lower),
            ("mAP_upper", ap.upper),
        ):
            found.setdefault(name, []).append(values)
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def recall(nearest: Ids, exact: Ids) -> float:
    """Return the share of the exactly nearest faces that are among the nearest.

    Args:
        nearest: int64 (q, k), positions found; negative for none.
        exact: int64 (q, k), positions that exact search finds.
    """
    alike = (nearest[:, :, None] == exact[:, None, :]) & (exact >= 0)[:, None, :]
    return float((alike.sum(axis=(1, 2)) / np.maximum((exact >= 0).sum(axis=1), 1)).mean())


def vote(trials: Trials, nearest: Ids) -> list[float]:
    """Name each query after most of its k nearest neighbours, and count how often that is right.

    Leave-one-out: the query, its photo and its near duplicates have no vote. Of names with as many
    votes, that of the nearest face wins.

    Args:
        trials: What was asked.
        nearest: int64 (q, at least 9), positions, nearest first; negative for none.

    Returns:
        Accuracy for k = 1 to 9.
    """
    named = np.where(nearest >= 0, trials.faces.people[nearest], -1)[:, :NEIGHBOURS]
    same = (named[:, :, None] == named[:, None, :]) & (named >= 0)[:, None, :]
    accuracies = []
    for k in range(1, named.shape[1] + 1):
        votes = np.where(named[:, :k] >= 0, same[:, :k, :k].sum(axis=2), 0)
        # The first of the largest is the nearest.
        winner = named[np.arange(len(named)), votes.argmax(axis=1)]
        accuracies.append(float((winner == trials.people).mean()))
    return accuracies


def time_searches(way: Way) -> dict[str, float]:
    """Time queries one by one, from a vector to its ten nearest: 50th and 99th percentile in ms."""
    size = len(way.asked)
    chosen = np.random.default_rng(0).permutation(size)[:_TIMED]
    seconds = []
    for number, position in enumerate([*chosen[:_WARMING], *chosen]):
        start = time.perf_counter()
        way.search(way.asked[position : position + 1], K)
        if number >= min(_WARMING, size):
            seconds.append(time.perf_counter() - start)
    return {f"p{p}_ms": float(np.percentile(seconds, p) * 1e3) for p in (50, 99)}


def measure(trials: Trials, way: Way, exact: Ids | None) -> dict[str, Any]:
    """Measure a way.

    Args:
        trials: What is asked.
        way: The way.
        exact: int64 (q, 10), what exact search of the library's vectors finds; None of a library
            without vectors.
    """
    nearest = way.nearest(K)
    return {
        "method": way.method,
        "of_embedder": way.hasher is None,
        "hasher": way.hasher,
        "shortlist": way.shortlist,
        "bits": way.bits,
        "bytes_a_face": way.bytes_a_face,
        **score(way),
        f"recall@{K}": None if exact is None else recall(nearest, exact),
        **time_searches(way),
        "build_seconds": way.build_seconds,
        "neighbours": vote(trials, nearest),
    }
