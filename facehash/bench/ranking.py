"""Rankings of a library's faces as histograms, without the pairs that do not count.

A histogram counts the faces, and the faces of the query's person, at each distance. All metrics
follow from it, with ties counted over all their orders (`facehash.retrieval.metrics`). Excluded
pairs are subtracted from the histograms of all pairs, so that codes are never sorted.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from facehash.bench.queries import Pairs, QuerySet
from facehash.codes import Packed, signs_from_packed
from facehash.hamming.asymmetric import weight_shares
from facehash.hamming.labels import relevance
from facehash.hamming.search import Histograms, distance_histograms
from facehash.index.exact import vector_distances
from facehash.retrieval.vectors import CELLS, STEPS, normalized, ranked
from facehash.vectors import Ids

_NEVER = -np.iinfo(np.int32).max
"""Nearness of a face that does not count: it ranks last."""


def rank_codes(queries: QuerySet, codes: Packed, own: Packed, bits: int) -> Histograms:
    """Count faces by the Hamming distance of their codes.

    Args:
        queries: The queries.
        codes: uint8 (n, ceil(bits / 8)), of every face.
        own: uint8 (q, ceil(bits / 8)), of every query.
        bits: Length of a code.

    Returns:
        int64 (q, bits + 1) each.
    """
    found = distance_histograms(codes, own, queries.faces.people, queries.people, bits)
    _subtract(found, queries, queries.excluded, codes, own)
    return found


def rank_vectors(queries: QuerySet) -> Iterator[Histograms]:
    """Rank faces by exact comparison of their vectors, a block of queries at a time.

    Two distances are a tie if they differ by less than one part in 2^30 of the largest, as for
    cosines in `facehash.retrieval.vectors`.
    """
    metric = queries.faces.space.metric
    rows, own = (one.rows.astype(np.float64) for one in (queries.faces, queries))
    if metric == "cosine":
        rows, own = normalized(rows), normalized(own)
    squares, own_squares = (np.square(one).sum(axis=1) for one in (rows, own))
    unit = _scale(2 * np.sqrt(max(squares.max(), own_squares.max())))

    def nearness(block: slice) -> NDArray[np.int32]:
        similarity = own[block] @ rows.T  # (b, n)
        if metric == "euclidean":
            far = np.maximum(own_squares[block, None] + squares - 2 * similarity, 0)
            return np.asarray(np.rint(-np.sqrt(far) * unit), np.int32)
        return np.asarray(np.rint(similarity * STEPS), np.int32)

    yield from _rank(queries, nearness)


def rank_asymmetric(
    queries: QuerySet, codes: Packed, projections: NDArray[np.float32]
) -> Iterator[Histograms]:
    """Rank faces by the asymmetric distance of their codes, with ties as in `rank_vectors`.

    Args:
        queries: The queries.
        codes: uint8 (n, ceil(bits / 8)), of every face.
        projections: float32 (q, bits), of every query.
    """
    signs = signs_from_packed(codes, projections.shape[1]).astype(np.float64)  # (n, bits)
    shares = weight_shares(projections)  # (q, bits)
    yield from _rank(
        queries, lambda block: np.rint(shares[block] @ signs.T * STEPS).astype(np.int32)
    )


def _rank(
    queries: QuerySet, nearness_of: Callable[[slice], NDArray[np.int32]]
) -> Iterator[Histograms]:
    """Rank faces by their nearness to a slice of the queries, int32 (b, n), larger is nearer."""
    people, of_query = queries.faces.people, queries.people
    keys = queries.excluded.query
    order = np.argsort(keys, kind="stable")
    step = max(1, CELLS // len(people))
    for start in range(0, len(of_query), step):
        nearness = nearness_of(slice(start, start + step))
        first, last = np.searchsorted(keys[order], (start, start + step))
        pairs = order[first:last]
        query, face = keys[pairs], queries.excluded.face[pairs]
        nearness[query - start, face] = _NEVER
        found = ranked(nearness, relevance(people, of_query[start : start + step]))
        _subtract_last(found, query - start, people[face] == of_query[query])
        yield found


def rank_reranked(
    queries: QuerySet, codes: Packed, own: Packed, bits: int, candidates: Ids
) -> Histograms:
    """Rank candidates by their vectors, and after them the other faces by their codes.

    Args:
        queries: The queries.
        codes: uint8 (n, ceil(bits / 8)), of every face.
        own: uint8 (q, ceil(bits / 8)), of every query.
        bits: Length of a code.
        candidates: int64 (q, m), positions of each query's candidates, all of which count; a
            negative one stands for none.

    Returns:
        int64 (q, m + bits + 1) each.
    """
    faces, none = queries.faces, candidates < 0
    rest = rank_codes(queries, codes, own, bits)
    query, column = np.nonzero(~none)
    _subtract(rest, queries, Pairs(query, candidates[query, column]), codes, own)
    distances = vector_distances(
        faces.rows, queries.rows, np.maximum(candidates, 0), faces.space
    )  # (q, m)
    nearness = np.rint(-distances * _scale(distances.max(initial=0))).astype(np.int32)
    nearness[none] = _NEVER
    relevant = np.where(none, -1, faces.people[candidates]) == queries.people[:, None]
    front = ranked(nearness, relevant)
    _subtract_last(front, np.nonzero(none)[0], np.zeros(none.sum(), bool))
    return Histograms(*(np.concatenate(sides, axis=1) for sides in zip(front, rest, strict=True)))


def _scale(largest: float) -> float:
    """Return the factor from distances to integer steps; 1 where all distances are zero."""
    return STEPS / largest if largest > 0 else 1.0


def _subtract(
    found: Histograms, queries: QuerySet, pairs: Pairs, codes: Packed, own: Packed
) -> None:
    """Subtract pairs from histograms of Hamming distances."""
    unequal = own[pairs.query] ^ codes[pairs.face]
    distance = np.bitwise_count(unequal).sum(axis=1, dtype=np.int64)
    same = queries.people[pairs.query] == queries.faces.people[pairs.face]
    np.subtract.at(found.all_counts, (pairs.query, distance), 1)
    np.subtract.at(found.relevant, (pairs.query[same], distance[same]), 1)


def _subtract_last(found: Histograms, query: NDArray[np.int64], same: NDArray[np.bool_]) -> None:
    """Subtract items from the last group of their queries, which holds nothing else."""
    width = found.all_counts.shape[1]
    last = width - 1 - np.argmax(found.all_counts[:, ::-1] > 0, axis=1)
    np.subtract.at(found.all_counts, (query, last[query]), 1)
    np.subtract.at(found.relevant, (query[same], last[query[same]]), 1)
