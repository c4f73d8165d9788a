"""Rankings of a library's faces as histograms, without the pairs that do not count.

A histogram says how many faces, and how many of the query's person, lie at each distance; all
metrics follow from it, ties counted over all their orders (`facehash.retrieval.metrics`). What a
query does not count is taken out of its histogram again, so that codes are never sorted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facehash.bench.queries import Pairs, Trials
from facehash.codes import Packed
from facehash.hamming.search import Histograms, distance_histograms
from facehash.index.exact import vector_distances
from facehash.retrieval.vectors import CELLS, STEPS, ranked
from facehash.vectors import Ids

_NEVER = -np.iinfo(np.int32).max
"""Stands for a face that does not count: farther than any."""


def rank_codes(trials: Trials, codes: Packed, bits: int) -> Histograms:
    """Count faces by the Hamming distance of their codes.

    Args:
        trials: What is asked.
        codes: uint8 (n, ceil(bits / 8)), of every face.
        bits: Length of a code.

    Returns:
        int64 (q, bits + 1) each.
    """
    people = trials.faces.people
    found = distance_histograms(codes, codes[trials.asked], people, trials.people, bits)
    _take_out(found, trials, trials.left_out, codes)
    return found


def rank_vectors(trials: Trials) -> Iterator[Histograms]:
    """Rank faces by exact comparison of their vectors, some queries at a time.

    Distances are told apart to one part in 2^30 of the largest, as cosines are in
    `facehash.retrieval.vectors`.
    """
    faces = trials.faces
    rows = faces.rows.astype(np.float64)
    if faces.space.metric == "cosine":
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(length > 0, length, 1)
    squares = np.square(rows).sum(axis=1)
    unit = _scale(2 * np.sqrt(squares.max()))
    keys = trials.left_out.query
    order = np.argsort(keys, kind="stable")
    step = max(1, CELLS // len(faces))
    for start in range(0, len(trials.asked), step):
        asked = trials.asked[start : start + step]
        similarity = rows[asked] @ rows.T
        if faces.space.metric == "euclidean":
            far = np.maximum(squares[asked, None] + squares - 2 * similarity, 0)
            nearness = np.rint(-np.sqrt(far) * unit).astype(np.int32)
        else:
            nearness = np.rint(similarity * STEPS).astype(np.int32)
        first, last = np.searchsorted(keys[order], (start, start + step))
        pairs = order[first:last]
        rows_out, columns = keys[pairs] - start, trials.left_out.face[pairs]
        nearness[rows_out, columns] = _NEVER
        found = ranked(nearness, faces.people, faces.people[asked])
        _take_out_last(found, rows_out, faces.people[columns] == faces.people[asked[rows_out]])
        yield found


def rank_shortlist(trials: Trials, codes: Packed, bits: int, chosen: Ids) -> Histograms:
    """Rank a shortlist by vectors, and after it the other faces by their codes.

    Args:
        trials: What is asked.
        codes: uint8 (n, ceil(bits / 8)), of every face.
        bits: Length of a code.
        chosen: int64 (q, m), positions of the faces on each query's shortlist, all of which count;
            a negative one stands for none.

    Returns:
        int64 (q, m + bits + 1) each.
    """
    faces, none = trials.faces, chosen < 0
    behind = rank_codes(trials, codes, bits)
    query, column = np.nonzero(~none)
    _take_out(behind, trials, Pairs(query, chosen[query, column]), codes)
    distances = vector_distances(
        faces.rows, faces.rows[trials.asked], np.maximum(chosen, 0), faces.space
    )
    nearness = np.rint(-distances * _scale(distances.max(initial=0))).astype(np.int32)
    nearness[none] = _NEVER
    # A label that nobody has: what is none is of no person.
    right = np.where(none, -1, faces.people[chosen]) == trials.people[:, None]
    front = _ranked_rows(nearness, right)
    _take_out_last(front, np.nonzero(none)[0], np.zeros(none.sum(), bool))
    return Histograms(*(np.concatenate(sides, axis=1) for sides in zip(front, behind, strict=True)))


def _scale(largest: float) -> float:
    """Return by what distances are multiplied; where all are zero, by nothing."""
    return STEPS / largest if largest > 0 else 1.0


def _ranked_rows(nearness: NDArray[np.int32], right: NDArray[np.bool_]) -> Histograms:
    """Do as `ranked` where each query has items of its own."""
    parts = [
        ranked(near[None], own.astype(np.int64), np.ones(1, np.int64))
        for near, own in zip(nearness, right, strict=True)
    ]
    return Histograms(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _take_out(found: Histograms, trials: Trials, pairs: Pairs, codes: Packed) -> None:
    """Take pairs out of histograms of Hamming distances."""
    own, other = codes[trials.asked[pairs.query]], codes[pairs.face]
    distance = np.bitwise_count(own ^ other).sum(axis=1, dtype=np.int64)
    same = trials.people[pairs.query] == trials.faces.people[pairs.face]
    np.subtract.at(found.all_counts, (pairs.query, distance), 1)
    np.subtract.at(found.relevant, (pairs.query[same], distance[same]), 1)


def _take_out_last(found: Histograms, query: NDArray[np.int64], same: NDArray[np.bool_]) -> None:
    """Take items out of the last group of their queries, which holds nothing else."""
    width = found.all_counts.shape[1]
    last = width - 1 - np.argmax(found.all_counts[:, ::-1] > 0, axis=1)
    np.subtract.at(found.all_counts, (query, last[query]), 1)
    np.subtract.at(found.relevant, (query[same], last[query[same]]), 1)
