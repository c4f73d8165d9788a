"""Score codes: from packed codes and labels to every number and curve of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length
from facehash.hamming.search import Counts, Engine, Histograms, check_labels, distance_histograms
from facehash.retrieval import curves, metrics
from facehash.retrieval.ties import Values

RADIUS = 2
"""Of P@r2, R@r2 and empty@r2."""

FIRST = 50
"""Of P@50."""

CELLS = 2**20
"""Histogram cells scored at a time: it bounds the memory at 1,024 bits, and is one block at 48."""

MEANS = (
    ("precision_recall", "recall"),
    ("precision_recall", "precision"),
    ("precision_at", "precision"),
)
"""What of the curves is a mean over queries."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that one set of codes is scored by.

    Attributes:
        bits: Length of a code.
        metrics: The mean over queries under each key of a report: mAP, mAP_lower, mAP_upper, P@r2,
            R@r2, empty@r2, P@50, R-precision.
        curves: ``precision_recall`` ("radius", "recall", "precision") and ``precision_at`` ("n",
            "precision"), plain lists as a report holds them.
        per_query: The same keys as `metrics`, float64 (q,) each, in the order of the queries.
        same_distances: int64 (bits + 1,), pairs of a query and a gallery item of the same identity
            at each distance.
        different_distances: int64 (bits + 1,), pairs of different identities.
    """

    bits: int
    metrics: dict[str, float]
    curves: dict[str, dict[str, list[Any]]]
    per_query: dict[str, Values]
    same_distances: NDArray[np.int64]
    different_distances: NDArray[np.int64]


def evaluate(
    gallery_codes: Packed,
    query_codes: Packed,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    threads: int | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Score packed codes by every metric of a report.

    Args:
        gallery_codes: uint8 (n, ceil(bits / 8)), packed.
        query_codes: uint8 (q, ceil(bits / 8)), packed.
        gallery_labels: Integers (n,), identities.
        query_labels: Integers (q,), identities.
        bits: Length of a code, 1 to 1,024.
        threads: Threads to run on, by default the processors this process may use.
        engine: Hamming kernels, see `facehash.hamming.search`.

    Raises:
        CodesError: No query, no gallery, codes or labels of the wrong shape or dtype, or a query
            whose identity has no gallery item: it could never be found and has no score.
    """
    if len(gallery_codes) == 0 or len(query_codes) == 0:
        raise CodesError(
            f"nothing to score: {len(gallery_codes)} gallery and {len(query_codes)} query codes"
        )
    check_findable(
        check_labels(gallery_labels, len(gallery_codes), "gallery"),
        check_labels(query_labels, len(query_codes), "query"),
    )
    query_labels = np.asarray(query_labels)
    step = max(1, CELLS // (check_length(bits) + 1))
    parts = []
    for start in range(0, len(query_codes), step):
        rows = slice(start, start + step)
        histograms = distance_histograms(
            gallery_codes,
            query_codes[rows],
            gallery_labels,
            query_labels[rows],
            bits,
            threads=threads,
            engine=engine,
        )
        parts.append(_score(histograms, bits))
    return parts[0] if len(parts) == 1 else _join(parts)


def _score(histograms: Histograms, bits: int) -> Evaluation:
    per_query = _values(*histograms)
    same = histograms.relevant.sum(axis=0)
    return Evaluation(
        bits=int(bits),
        metrics={name: float(values.mean()) for name, values in per_query.items()},
        curves={
            "precision_recall": _as_lists(curves.precision_recall(*histograms)),
            "precision_at": _as_lists(curves.precision_at_each(*histograms)),
        },
        per_query=per_query,
        same_distances=same,
        different_distances=histograms.all_counts.sum(axis=0) - same,
    )


def _join(parts: list[Evaluation]) -> Evaluation:
    """Put blocks of queries together again."""
    per_query = {
        name: np.concatenate([part.per_query[name] for part in parts])
        for name in parts[0].per_query
    }
    shares = np.array([len(part.per_query["mAP"]) for part in parts], dtype=np.float64)
    shares /= shares.sum()
    joined = {name: dict(curve) for name, curve in parts[0].curves.items()}
    for name, axis in MEANS:
        values = np.array([part.curves[name][axis] for part in parts])
        joined[name][axis] = (shares @ values).tolist()
    return Evaluation(
        bits=parts[0].bits,
        metrics={name: float(values.mean()) for name, values in per_query.items()},
        curves=joined,
        per_query=per_query,
        same_distances=np.sum([part.same_distances for part in parts], axis=0),
        different_distances=np.sum([part.different_distances for part in parts], axis=0),
    )


def _values(all_counts: Counts, relevant: Counts) -> dict[str, Values]:
    ap = metrics.average_precision(all_counts, relevant)
    return {
        "mAP": ap.expected,
        "mAP_lower": ap.lower,
        "mAP_upper": ap.upper,
        f"P@r{RADIUS}": metrics.precision_at_radius(all_counts, relevant, RADIUS),
        f"R@r{RADIUS}": metrics.recall_at_radius(relevant, RADIUS),
        f"empty@r{RADIUS}": metrics.empty_at_radius(all_counts, RADIUS),
        f"P@{FIRST}": metrics.precision_at(all_counts, relevant, FIRST),
        "R-precision": metrics.r_precision(all_counts, relevant),
    }


def check_findable(gallery: NDArray[np.int64], query: NDArray[np.int64]) -> None:
    """Refuse queries that nothing in the gallery is relevant to.

    Args:
        gallery: int64 (n,), identities.
        query: int64 (q,), identities.

    Raises:
        CodesError: There are some; the first is named.
    """
    orphans = np.flatnonzero(~np.isin(query, gallery))
    if len(orphans):
        raise CodesError(
            f"{len(orphans)} of {len(query)} queries have an identity without any gallery item "
            f"(the first is query {orphans[0]}, label {query[orphans[0]]}); they cannot be scored, "
            "leave them out"
        )


def _as_lists(curve: curves.PrecisionRecall | curves.PrecisionAt) -> dict[str, list[Any]]:
    return {name: values.tolist() for name, values in curve._asdict().items()}
