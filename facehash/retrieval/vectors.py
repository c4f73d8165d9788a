"""Score float vectors by exact cosine, and codes by float projections of the queries."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, signs_from_packed
from facehash.hamming.asymmetric import check_projections
from facehash.hamming.labels import (
    Labels,
    check_findable,
    check_label_pair,
    check_leave_one_out,
    relevance,
)
from facehash.hamming.search import Counts, Histograms
from facehash.retrieval import curves, metrics
from facehash.retrieval.evaluation import FIRST, scores_at
from facehash.retrieval.ties import Values

CELLS = 2**23  # similarities per block of queries: 64 MB for each of a few arrays

STEPS = 2**30
"""Cosines are rounded to multiples of 1 / STEPS: finer than float32 vectors, and much coarser than
the rounding of sums in double precision, so that equally near items stay tied."""

Vectors = NDArray[np.float64]


def normalized(vectors: ArrayLike) -> Vectors:
    """Scale vectors (n, d) to length 1 in float64; vectors of length 0 stay unchanged.

    Unlike `facehash.vectors.unit_rows` it scales in double precision, on which ties depend.

    Raises:
        CodesError: Not finite real numbers (n, d).
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise CodesError(
            f"vectors must be finite real numbers (n, d), got {array.dtype} {array.shape}"
        )
    rows = array.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)  # (n, 1)
    return np.asarray(rows / np.where(length > 0, length, 1))


def evaluate_vectors(
    gallery: ArrayLike,
    query: ArrayLike,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    *,
    at: Sequence[int] = (),
    leave_one_out: bool = False,
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Score the ranking of the gallery by cosine, with ties treated as those of codes.

    There is no P@r2, R@r2 or empty@r2, since a cosine has no Hamming radius.

    Args:
        gallery: Finite real numbers (n, d).
        query: Finite real numbers (q, d).
        gallery_labels: Integers (n,), identities; or bool (n, L), label sets.
        query_labels: Integers (q,) or bool (q, L); each query has a relevant gallery item.
        at: Values of K for mAP@K, each at least 1.
        leave_one_out: Whether the queries are the gallery, in the same order; they do not find
            themselves.

    Returns:
        mAP, mAP_lower, mAP_upper, P@50, R-precision and mAP@K with each denominator, means over
        queries; and the curve ``precision_at`` ("n", "precision").

    Raises:
        CodesError: Arrays with a wrong shape or dtype, no query, no gallery, a query without
            relevant items, or `leave_one_out` with queries other than the gallery.

    Example:
        >>> scores, curve = evaluate_vectors([[1, 0], [0, 1], [1, 1]], [[2, 1]], [7, 7, 8], [7])
        >>> round(scores["mAP"], 4), [round(p, 4) for p in curve["precision"]]
        (0.5833, [0.0, 0.5, 0.6667])
    """
    items, queries = normalized(gallery), normalized(query)
    if items.shape[1] != queries.shape[1]:
        raise CodesError(
            f"gallery vectors have length {items.shape[1]}, query vectors {queries.shape[1]}; "
            "they must be equal"
        )
    if not len(items) or not len(queries):
        raise CodesError(f"nothing to score: {len(items)} gallery and {len(queries)} query vectors")
    of_gallery, of_query = check_label_pair(gallery_labels, query_labels, len(items), len(queries))
    if leave_one_out:
        check_leave_one_out(items, queries, of_gallery, of_query)
    per_query, curve = _evaluate(items, queries, of_gallery, of_query, at, leave_one_out)
    return _means(per_query), curve


def evaluate_projections(
    gallery_codes: Packed,
    projections: ArrayLike,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    at: Sequence[int] = (),
    leave_one_out: bool = False,
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Score the ranking of codes by the float projections of the queries.

    The similarity is ``sum_j p_j s_j``, see `facehash.hamming.asymmetric`. All signs s have the
    same length, so this is the ranking by cosine, and ties are treated as there.

    Args:
        gallery_codes: uint8 (n, ceil(bits / 8)), packed.
        projections: Finite real numbers (q, bits).
        gallery_labels: Integers (n,), identities; or bool (n, L), label sets.
        query_labels: Integers (q,) or bool (q, L); each query has a relevant gallery item.
        bits: Length of a code, 1 to 1,024.
        at: Values of K for mAP@K, each at least 1.
        leave_one_out: Whether query i is gallery item i, which it does not find.

    Returns:
        As `evaluate_vectors`.

    Raises:
        CodesError: As `evaluate_vectors`.

    Example:
        >>> codes = np.uint8([[0b00], [0b11], [0b01]])
        >>> scores, _ = evaluate_projections(codes, [[2.0, 0.5]], [7, 8, 7], [7], bits=2)
        >>> round(scores["mAP"], 4)
        0.5833
    """
    per_query, curve = score_projections(
        *(gallery_codes, projections, gallery_labels, query_labels, bits),
        at=at,
        leave_one_out=leave_one_out,
    )
    return _means(per_query), curve


def score_projections(
    gallery_codes: Packed,
    projections: ArrayLike,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    at: Sequence[int] = (),
    leave_one_out: bool = False,
) -> tuple[dict[str, Values], dict[str, list[float]]]:
    """Score as `evaluate_projections`, without the means over queries.

    Returns:
        Each metric as float64 (q,), and the curve.

    Raises:
        CodesError: As `evaluate_vectors`.
    """
    values = check_projections(projections, bits, "query projections")
    signs = signs_from_packed(gallery_codes, bits)  # (n, bits)
    if not len(signs) or not len(values):
        raise CodesError(f"nothing to score: {len(signs)} gallery codes, {len(values)} queries")
    of_gallery, of_query = check_label_pair(gallery_labels, query_labels, len(signs), len(values))
    if leave_one_out and len(signs) != len(values):
        raise CodesError(f"leave-one-out: {len(values)} queries, but {len(signs)} gallery codes")
    items, queries = normalized(signs), normalized(values)
    return _evaluate(items, queries, of_gallery, of_query, at, leave_one_out)


def _evaluate(
    items: Vectors,
    queries: Vectors,
    of_gallery: Labels,
    of_query: Labels,
    at: Sequence[int],
    leave_one_out: bool,
) -> tuple[dict[str, Values], dict[str, list[float]]]:
    """Score the ranking of items (n, d) by their inner product with queries (q, d)."""
    check_findable(of_gallery, of_query, leave_one_out)
    step = max(1, CELLS // len(items))
    values: dict[str, list[Values]] = {}
    precision = np.zeros(min(curves.MAX_POINTS, len(items) - leave_one_out))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        similarity = np.rint(queries[rows] @ items.T * STEPS).astype(np.int32)  # (block, n)
        right = relevance(of_gallery, of_query[rows])
        if leave_one_out:
            others = np.arange(len(items)) != np.arange(len(queries))[rows, None]  # (block, n)
            similarity, right = (
                part[others].reshape(len(part), -1) for part in (similarity, right)
            )
        histograms = ranked(similarity, right)
        ap = metrics.average_precision(*histograms)
        for name, found in (
            ("mAP", ap.expected),
            ("mAP_lower", ap.lower),
            ("mAP_upper", ap.upper),
            (f"P@{FIRST}", metrics.precision_at(*histograms, FIRST)),
            ("R-precision", metrics.r_precision(*histograms)),
            *scores_at(histograms, at).items(),
        ):
            values.setdefault(name, []).append(found)
        precision += curves.precision_at_each(*histograms) * len(ap.expected)
    points = np.arange(1, len(precision) + 1).tolist()
    return (
        {name: np.concatenate(parts) for name, parts in values.items()},
        {"n": points, "precision": (precision / len(queries)).tolist()},
    )


def _means(per_query: dict[str, Values]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in per_query.items()}


def ranked(
    similarity: NDArray[np.floating] | NDArray[np.signedinteger], relevant: NDArray[np.bool_]
) -> Histograms:
    """Convert similarities to histograms over ranks; equal similarities share a rank.

    Args:
        similarity: (q, n), larger is nearer.
        relevant: bool (q, n), as from `facehash.hamming.labels.relevance`.

    Returns:
        int64 (q, n) each: the items, and the relevant items, with the largest similarity, the next,
        and so on. The metrics accept them like histograms of distances.
    """
    order = np.argsort(-similarity, axis=1, kind="stable")  # (q, n)
    sorted_values = np.take_along_axis(similarity, order, axis=1)
    new = np.ones(similarity.shape, dtype=np.int64)
    new[:, 1:] = sorted_values[:, 1:] != sorted_values[:, :-1]
    group = np.cumsum(new, axis=1) - 1  # (q, n), the rank of each item
    right = np.take_along_axis(relevant, order, axis=1)
    cell = (group + np.arange(len(group))[:, None] * group.shape[1]).reshape(-1)
    all_counts: Counts = np.bincount(cell, minlength=group.size).reshape(group.shape)
    hits: Counts = np.bincount(cell[right.reshape(-1)], minlength=group.size)
    return Histograms(all_counts, hits.reshape(group.shape))
