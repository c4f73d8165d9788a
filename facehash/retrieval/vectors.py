"""Score float vectors by exact cosine: the ceiling that codes of the same vectors are held to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts, Histograms, check_labels
from facehash.retrieval import curves, metrics
from facehash.retrieval.evaluation import FIRST, check_findable
from facehash.retrieval.ties import Values

CELLS = 2**23
"""Similarities held at a time: 64 MB each of a few arrays."""

STEPS = 2**30
"""Cosines are told apart to one part in these: finer than float32 vectors can mean, and far coarser
than what summation in double precision rounds, so that equally near items stay tied."""

Vectors = NDArray[np.float64]


def normalized(vectors: ArrayLike) -> Vectors:
    """Bring vectors to length 1, float64 (n, d); one of length 0 stays as it is.

    Raises:
        CodesError: Not finite real numbers (n, d).
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise CodesError(
            f"vectors must be finite real numbers (n, d), got {array.dtype} {array.shape}"
        )
    rows = array.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1))


def evaluate_vectors(
    gallery: ArrayLike, query: ArrayLike, gallery_labels: ArrayLike, query_labels: ArrayLike
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Score the ranking of the gallery by cosine, with ties counted as those of codes are.

    A radius means nothing here, so there is no P@r2, R@r2 or empty@r2.

    Args:
        gallery: Finite real numbers (n, d).
        query: Finite real numbers (q, d).
        gallery_labels: Integers (n,), identities.
        query_labels: Integers (q,); each with at least one gallery item.

    Returns:
        mAP, mAP_lower, mAP_upper, P@50 and R-precision, means over queries; and the curve
        ``precision_at`` ("n", "precision").

    Raises:
        CodesError: Arrays of the wrong shape or dtype, vectors of two lengths, nothing to score, or
            a query whose identity has no gallery item.
    """
    items, asked = normalized(gallery), normalized(query)
    if items.shape[1] != asked.shape[1]:
        raise CodesError(
            f"gallery vectors have length {items.shape[1]}, query vectors {asked.shape[1]}: "
            "cosine needs them alike"
        )
    of_gallery = check_labels(gallery_labels, len(items), "gallery")
    of_query = check_labels(query_labels, len(asked), "query")
    if not len(items) or not len(asked):
        raise CodesError(f"nothing to score: {len(items)} gallery and {len(asked)} query vectors")
    check_findable(of_gallery, of_query)
    step = max(1, CELLS // len(items))
    values: dict[str, list[Values]] = {}
    precision = np.zeros(min(curves.MAX_POINTS, len(items)))
    for start in range(0, len(asked), step):
        rows = slice(start, start + step)
        similarity = np.rint(asked[rows] @ items.T * STEPS).astype(np.int32)
        histograms = ranked(similarity, of_gallery, of_query[rows])
        ap = metrics.average_precision(*histograms)
        for name, found in (
            ("mAP", ap.expected),
            ("mAP_lower", ap.lower),
            ("mAP_upper", ap.upper),
            (f"P@{FIRST}", metrics.precision_at(*histograms, FIRST)),
            ("R-precision", metrics.r_precision(*histograms)),
        ):
            values.setdefault(name, []).append(found)
        precision += curves.precision_at_each(*histograms).precision * len(ap.expected)
    points = np.arange(1, len(precision) + 1).tolist()
    return (
        {name: float(np.concatenate(parts).mean()) for name, parts in values.items()},
        {"n": points, "precision": (precision / len(asked)).tolist()},
    )


def ranked(
    similarity: NDArray[np.floating] | NDArray[np.signedinteger],
    gallery_labels: NDArray[np.int64],
    query_labels: NDArray[np.int64],
) -> Histograms:
    """Turn similarities into histograms over ranks, equal similarities sharing one.

    Args:
        similarity: (q, n), larger is nearer.
        gallery_labels: int64 (n,).
        query_labels: int64 (q,).

    Returns:
        int64 (q, n) each: items, and relevant items, of the largest similarity, the next, ...;
        the metrics read them as they read histograms of distance.
    """
    order = np.argsort(-similarity, axis=1, kind="stable")
    sorted_values = np.take_along_axis(similarity, order, axis=1)
    new = np.ones(similarity.shape, dtype=np.int64)
    new[:, 1:] = sorted_values[:, 1:] != sorted_values[:, :-1]
    group = np.cumsum(new, axis=1) - 1
    right = gallery_labels[order] == query_labels[:, None]
    cell = (group + np.arange(len(group))[:, None] * group.shape[1]).reshape(-1)
    all_counts: Counts = np.bincount(cell, minlength=group.size).reshape(group.shape)
    relevant: Counts = np.bincount(cell[right.reshape(-1)], minlength=group.size)
    return Histograms(all_counts, relevant.reshape(group.shape))
