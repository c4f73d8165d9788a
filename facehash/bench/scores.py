"""What is measured of a search method: how often it is right, and how long a query takes."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from facehash.bench.methods import SearchMethod
from facehash.bench.queries import QuerySet
from facehash.retrieval import metrics
from facehash.retrieval.ties import Values
from facehash.vectors import Ids

FIRST = (1, 5)
K = 10
NEIGHBOURS = 9
_TIMED = 300
_WARM_UP = 5


def score(method: SearchMethod) -> dict[str, float]:
    """Return P@1, P@5, and mAP with its bounds over the orders of ties; means over queries."""
    found: dict[str, list[Values]] = {}
    for histograms in method.rank():
        for k in FIRST:
            found.setdefault(f"P@{k}", []).append(metrics.precision_at(*histograms, k))
        ap = metrics.average_precision(*histograms)
        found.setdefault("mAP", []).append(ap.expected)
        found.setdefault("mAP_lower", []).append(ap.lower)
        found.setdefault("mAP_upper", []).append(ap.upper)
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def recall(nearest: Ids, exact: Ids) -> float:
    """Return the share of the exact nearest neighbors that a method finds.

    Args:
        nearest: int64 (q, k), positions found; negative for none.
        exact: int64 (q, k), positions that exact search finds.
    """
    alike = (nearest[:, :, None] == exact[:, None, :]) & (exact >= 0)[:, None, :]  # (q, k, k)
    return float((alike.sum(axis=(1, 2)) / np.maximum((exact >= 0).sum(axis=1), 1)).mean())


def knn_accuracy(queries: QuerySet, nearest: Ids) -> list[float]:
    """Identify each query by a vote of its k nearest neighbors; return the accuracy for k = 1 to 9.

    Leave-one-out: faces that a query ignores have no vote. In a tie the nearest face decides.

    Args:
        queries: The queries.
        nearest: int64 (q, at least 9), positions, nearest first; negative for none.
    """
    person = np.where(nearest >= 0, queries.faces.people[nearest], -1)[:, :NEIGHBOURS]  # (q, 9)
    same = (person[:, :, None] == person[:, None, :]) & (person >= 0)[:, None, :]  # (q, 9, 9)
    accuracies = []
    for k in range(1, person.shape[1] + 1):
        votes = np.where(person[:, :k] >= 0, same[:, :k, :k].sum(axis=2), 0)
        # argmax returns the first of the largest, which is the nearest.
        winner = person[np.arange(len(person)), votes.argmax(axis=1)]
        accuracies.append(float((winner == queries.people).mean()))
    return accuracies


def time_searches(method: SearchMethod, rows: Any) -> dict[str, float]:
    """Time queries one by one, from a vector to its ten nearest: 50th and 99th percentile in ms."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:_TIMED]
    warm_up = chosen[:_WARM_UP]
    seconds = []
    for position in [*warm_up, *chosen]:
        start = time.perf_counter()
        method.search(rows[position : position + 1], K)
        seconds.append(time.perf_counter() - start)
    timed = seconds[len(warm_up) :]
    return {f"p{p}_ms": float(np.percentile(timed, p) * 1e3) for p in (50, 99)}


def measure(queries: QuerySet, method: SearchMethod, exact: Ids | None) -> dict[str, Any]:
    """Measure a search method.

    Args:
        queries: The queries, leave-one-out.
        method: The method.
        exact: int64 (q, 10), what exact search of the library's vectors finds; None for a library
            without vectors.

    Returns:
        An entry of ``methods`` in ``bench.json``.
    """
    nearest = method.nearest(K)
    return {
        "name": method.name,
        "is_embedder": method.hasher is None,
        "hasher": method.hasher,
        "distance": method.distance,
        "rerank": method.rerank,
        "bits": method.bits,
        "bytes_per_face": method.bytes_per_face,
        **score(method),
        f"recall@{K}": None if exact is None else recall(nearest, exact),
        **time_searches(method, queries.rows),
        "build_seconds": method.build_seconds,
        "knn_accuracy": knn_accuracy(queries, nearest),
    }


def measure_held_out(parts: Sequence[tuple[SearchMethod, Ids | None]]) -> dict[str, Any] | None:
    """Score a method on several draws of held-out queries.

    Args:
        parts: For each draw the method, and what exact search of the vectors finds, int64 (q, 10),
            or None.

    Returns:
        ``held_out`` of an entry of ``methods``: the number of draws, the means over draws of what
        `score` returns and of recall@10, and the standard deviations of P@1 and mAP. None without
        draws.
    """
    if not parts:
        return None
    scores = [score(method) for method, _ in parts]
    recalls = [recall(method.nearest(K), exact) for method, exact in parts if exact is not None]
    spread = {f"{name}_sd": [one[name] for one in scores] for name in ("P@1", "mAP")}
    return {
        "draws": len(parts),
        **{name: float(np.mean([one[name] for one in scores])) for name in scores[0]},
        **{name: float(np.std(values)) for name, values in spread.items()},
        f"recall@{K}": float(np.mean(recalls)) if recalls else None,
    }
