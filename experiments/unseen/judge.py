"""Score heads on held-out queries: by every distance, per person, and leave-one-out.

A comparison is an integer matrix (q, n), larger is nearer, so that equally near faces tie as in
`facehash.retrieval.vectors`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.unseen.config import Distance, Shortlist
from experiments.unseen.heads import Head, ProductCodes
from facehash.bench.queries import QuerySet
from facehash.bench.scores import recall
from facehash.codes import signs_from_packed
from facehash.hamming.asymmetric import weight_shares
from facehash.hamming.labels import relevance
from facehash.hamming.search import Histograms
from facehash.hashing import LinearHash
from facehash.retrieval import metrics
from facehash.retrieval.ties import Values
from facehash.retrieval.vectors import STEPS, normalized
from facehash.retrieval.verification import Pairs, rates_of
from facehash.vectors import Ids, Rows

Nearness = NDArray[np.int32]
Compared = dict[Distance, Nearness]

K = 10  # of the recall
RATE = "TAR@1e-3"
PER_QUERY = ("P@1", "mAP", "mAP_lower", "mAP_upper")
_OPQ_STEPS = 2**28  # squared distances of vectors of length 1 are at most 4, or a little more


@dataclass(frozen=True)
class Scores:
    """Scores of one comparison."""

    per_query: dict[str, Values]  # (q,) each, by the names of `PER_QUERY`
    recall: float  # of the 10 nearest by vectors
    # Share of the pairs of one person accepted where 1e-3 of the others are; None for ranks, which
    # are not comparable between queries.
    tar: float | None


def compare_vectors(queries: QuerySet, mean: Rows | None = None) -> Nearness:
    """Compare vectors by cosine, after subtracting a mean (d,) if there is one."""
    rows, own = (one if mean is None else one - mean for one in (queries.faces.rows, queries.rows))
    return _steps(normalized(own) @ normalized(rows).T)


def compare_head(
    head: Head,
    queries: QuerySet,
    shortlist: Shortlist | None = None,
    vectors: Nearness | None = None,
) -> Compared:
    """Compare queries with the codes of a gallery by every distance of a head.

    Args:
        head: Fitted.
        queries: Queries and gallery.
        shortlist: Also compare by a shortlist, for a `LinearHash`.
        vectors: The comparison by vectors, which a shortlist needs.
    """
    rows, own = queries.faces.rows, queries.rows
    if isinstance(head, ProductCodes):
        far = head.distances(own, head.encode(rows))
        return {"asymmetric": np.rint(-far * _OPQ_STEPS).astype(np.int32)}
    found = compare_codes(head, rows, own)
    if shortlist and vectors is not None:
        found["shortlist"] = shortlisted(found, vectors, shortlist)
    return found


def compare_codes(head: LinearHash, rows: Rows, own: Rows) -> Compared:
    """Compare queries (q, d) with the codes of faces (n, d) by both distances of codes."""
    signs = signs_from_packed(head.encode(rows), head.bits).astype(np.float64)  # (n, bits)
    asked = signs_from_packed(head.encode(own), head.bits).astype(np.float64)
    return {
        "hamming": np.rint(asked @ signs.T).astype(np.int32),  # bits - 2 * distance
        "asymmetric": _steps(weight_shares(head.projections(own)) @ signs.T),
    }


def shortlisted(codes: Compared, vectors: Nearness, shortlist: Shortlist) -> Nearness:
    """Order a shortlist by the Hamming distance asymmetrically, and its first faces by vectors.

    Args:
        codes: Comparisons by both distances of codes.
        vectors: Comparison by vectors, of which only `shortlist.last` of each query are used.
        shortlist: How many.

    Returns:
        Ranks, from 0 down: the faces compared by vectors, then the others of the shortlist, then
        those that are not in it, by the Hamming distance. Faces of the last kind that are equally
        near tie; of the others, the face with the lower index is nearer, as in a search.
    """
    hamming = codes["hamming"]
    result = hamming.astype(np.int64) - hamming.max() - hamming.shape[1] - 1
    order = _nearest(hamming, min(shortlist.candidates, hamming.shape[1]))
    for nearness, count in ((codes["asymmetric"], order.shape[1]), (vectors, shortlist.last)):
        first = np.sort(order[:, :count], axis=1)  # ties by index
        by = np.argsort(-np.take_along_axis(nearness, first, 1).astype(np.int64), 1, kind="stable")
        order = np.concatenate([np.take_along_axis(first, by, 1), order[:, count:]], axis=1)
    np.put_along_axis(result, order, -np.arange(order.shape[1])[None], axis=1)
    return result.astype(np.int32)


def score(queries: QuerySet, nearness: Nearness, exact: Ids, verify: bool = True) -> Scores:
    """Score a comparison of held-out queries.

    Args:
        queries: Held out, so that nothing is excluded.
        nearness: (q, n), larger is nearer.
        exact: int64 (q, 10), the nearest faces by vectors, from `nearest_faces`.
        verify: Whether the comparison is comparable between queries, see `Scores.tar`.
    """
    right = relevance(queries.faces.people, queries.people)
    found = recall(nearest_faces(nearness), exact)
    return Scores(_per_query(nearness, right), found, _tar(nearness, right) if verify else None)


def score_leave_one_out(queries: QuerySet, nearness: Nearness) -> dict[str, float]:
    """Return P@1 and mAP of queries that are faces of the gallery, and do not find themselves."""
    others = np.ones(nearness.shape, bool)
    others[queries.excluded.query, queries.excluded.face] = False
    shape = (len(nearness), nearness.shape[1] - 1)
    right = relevance(queries.faces.people, queries.people)
    found = _per_query(nearness[others].reshape(shape), right[others].reshape(shape))
    return {name: float(found[name].mean()) for name in ("P@1", "mAP")}


def nearest_faces(nearness: Nearness) -> Ids:
    """Return the positions of the ten nearest faces, int64 (q, 10), ties by position."""
    return _nearest(nearness, min(K, nearness.shape[1]))


def summarize(drawn: Sequence[Scores]) -> dict[str, Any]:
    """Summarize the scores of several draws, whose queries are the same people in one order.

    Returns:
        Means over draws, standard deviations of P@1 and mAP, and ``"people"``: P@1 and mAP of each
        person, means over draws in ten-thousandths, from which the bootstrap draws.
    """
    found: dict[str, Any] = {
        name: float(np.mean([one.per_query[name].mean() for one in drawn])) for name in PER_QUERY
    }
    for name in ("P@1", "mAP"):
        found[f"{name}_sd"] = float(np.std([one.per_query[name].mean() for one in drawn]))
    found[f"recall@{K}"] = float(np.mean([one.recall for one in drawn]))
    rates = [one.tar for one in drawn if one.tar is not None]
    found[RATE] = float(np.mean(rates)) if rates else None
    found["people"] = {
        name: np.rint(1e4 * np.mean([one.per_query[name] for one in drawn], axis=0))
        .astype(int)
        .tolist()
        for name in ("P@1", "mAP")
    }
    return found


def bytes_read(faces: int, bits: int, dimension: int, shortlist: Shortlist) -> int:
    """Return how many bytes a query with a shortlist reads: all codes, some twice, some vectors."""
    width = (bits + 7) // 8
    candidates = min(shortlist.candidates, faces)
    return width * (faces + candidates) + 4 * dimension * min(shortlist.last, candidates)


def relevant_groups(nearness: Nearness, right: NDArray[np.bool_]) -> Histograms:
    """Count faces as `facehash.retrieval.vectors.ranked` does, without sorting out every group.

    Only groups of equally near faces with a relevant one count in AP and P@1; all faces between
    two of them become one group, which makes histograms of thousands of faces a few columns wide.

    Args:
        nearness: (q, n), larger is nearer.
        right: bool (q, n), at least one in each row.

    Returns:
        int64 (q, groups) each, the nearest first: in turns faces between, and a group.
    """
    ordered = np.sort(nearness, axis=1)
    groups = 2 * int(right.sum(axis=1).max()) + 1
    all_counts, relevant = np.zeros((2, len(nearness), groups), np.int64)
    for row, mask in enumerate(right):
        levels, hits = np.unique(nearness[row, mask], return_counts=True)
        # Numbers of faces below, and not above, each level, the nearest level first.
        edges = [np.searchsorted(ordered[row], levels[::-1], side) for side in ("right", "left")]
        bounds = np.concatenate([[nearness.shape[1]], np.stack(edges, axis=1).reshape(-1), [0]])
        sizes = -np.diff(bounds)
        all_counts[row, : len(sizes)] = sizes
        relevant[row, 1 : 2 * len(hits) : 2] = hits[::-1]
    return Histograms(all_counts, relevant)


def _per_query(nearness: Nearness, right: NDArray[np.bool_]) -> dict[str, Values]:
    histograms = relevant_groups(nearness, right)
    lower, expected, upper = metrics.average_precision(*histograms)
    return dict(
        zip(PER_QUERY, (metrics.precision_at(*histograms, 1), expected, lower, upper), strict=True)
    )


def _tar(nearness: Nearness, right: NDArray[np.bool_]) -> float:
    """Return the rate of `RATE`. It changes only at values of genuine pairs, so others are counted.

    Below the last of them all pairs have one bin.
    """
    levels, genuine = np.unique(nearness[right], return_counts=True)
    bins = np.searchsorted(levels, nearness[~right], side="right")  # number of levels not above
    impostor = np.bincount(bins, minlength=len(levels) + 1)
    counts = [np.concatenate([part[::-1], [0]]) for part in (genuine, impostor[1:])]
    counts[1][-1] = impostor[0]
    return float(rates_of(Pairs(*(part[None] for part in counts)), [RATE])[0, 0])


def _nearest(nearness: Nearness, count: int) -> Ids:
    size = nearness.shape[1]
    keys = -nearness.astype(np.int64) * size + np.arange(size)
    first = np.argpartition(keys, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(keys, first, axis=1), axis=1)
    return np.take_along_axis(first, order, axis=1)


def _steps(similarity: NDArray[np.float64]) -> Nearness:
    return np.rint(similarity * STEPS).astype(np.int32)
