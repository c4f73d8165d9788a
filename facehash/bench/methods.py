"""Ways to search a library: by vectors, by codes, by codes whose shortlist vectors put in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from facehash.bench.queries import Trials
from facehash.bench.ranking import rank_codes, rank_shortlist, rank_vectors
from facehash.codes import Packed
from facehash.hamming.search import Histograms
from facehash.hashing import HASHERS, LinearHash
from facehash.index.base import Found
from facehash.index.exact import ExactIndex
from facehash.index.rerank import RerankIndex, rerank
from facehash.vectors import Ids, Rows, Space

Search = Callable[[Rows, int], Found]


@dataclass(frozen=True)
class Way:
    """A way to search, ready.

    Attributes:
        method: What is compared, in words.
        hasher: ``"itq"`` or ``"lsh"`` of codes made of vectors; None of the rows of an embedder.
        shortlist: Faces that vectors put in order; 0 without.
        bits: Length of its codes, None of vectors.
        bytes_a_face: What is stored of a face: its packed code, its vector, or both.
        build_seconds: For fitting a hasher, making codes, and making the index ready.
        search: Finds the k nearest of query rows; from vectors to an answer.
        asked: The rows that queries hand it.
        nearest: Finds the positions of the k nearest faces that count, int64 (q, k), negative ones
            where there are fewer.
        rank: Yields histograms, block by block of queries.
    """

    method: str
    hasher: str | None
    shortlist: int
    bits: int | None
    bytes_a_face: int
    build_seconds: float
    search: Search
    asked: Rows
    nearest: Callable[[int], Ids]
    rank: Callable[[], Iterator[Histograms]]


def by_rows(trials: Trials, method: str) -> Way:
    """Compare the rows themselves: vectors, or codes of a network."""
    faces, space = trials.faces, trials.faces.space
    start = time.perf_counter()
    index = ExactIndex.build(faces.rows, np.arange(len(faces)), space)
    seconds = time.perf_counter() - start
    asked = faces.rows[trials.asked]
    codes = space.metric == "hamming"

    def rank() -> Iterator[Histograms]:
        if codes:
            yield rank_codes(trials, faces.rows, space.dimension)
        else:
            yield from rank_vectors(trials)

    return Way(
        method,
        None,
        0,
        space.dimension if codes else None,
        space.width * space.dtype.itemsize,
        seconds,
        index.search,
        asked,
        lambda k: that_count(trials, index.search, asked, k),
        rank,
    )


def by_codes(trials: Trials, hasher: LinearHash, codes: Packed, fitting: float) -> Way:
    """Compare codes made of the vectors.

    Args:
        trials: What is asked.
        hasher: Fitted to the vectors.
        codes: Its codes of them.
        fitting: Seconds that both took.
    """
    space = Space("hamming", hasher.bits)
    start = time.perf_counter()
    index = ExactIndex.build(codes, np.arange(len(codes)), space)
    seconds = fitting + time.perf_counter() - start
    asked = trials.faces.rows[trials.asked]

    def search(queries: Rows, k: int) -> Found:
        return index.search(hasher.encode(queries), k)

    def rank() -> Iterator[Histograms]:
        yield rank_codes(trials, codes, hasher.bits)

    return Way(
        hasher.name,
        hasher.name,
        0,
        hasher.bits,
        space.width,
        seconds,
        search,
        asked,
        lambda k: that_count(trials, search, asked, k),
        rank,
    )


def by_shortlist(
    trials: Trials, hasher: LinearHash, codes: Packed, fitting: float, length: int
) -> Way:
    """Take a shortlist by codes, and put it in order by vectors.

    Args:
        trials: What is asked.
        hasher: Fitted to the vectors.
        codes: Its codes of them.
        fitting: Seconds that both took.
        length: Faces on a shortlist.
    """
    faces = trials.faces
    start = time.perf_counter()
    index = RerankIndex(faces.rows, codes, np.arange(len(faces)), faces.space, hasher, length)
    seconds = fitting + time.perf_counter() - start
    asked = faces.rows[trials.asked]
    chosen = that_count(trials, index.choose, asked, length)

    def rank() -> Iterator[Histograms]:
        yield rank_shortlist(trials, codes, hasher.bits, chosen)

    def nearest(k: int) -> Ids:
        found = rerank(faces.rows, asked, chosen, faces.space).ids[:, :k]
        return np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-1)

    return Way(
        f"{hasher.name}, {length} put in order by vectors",
        hasher.name,
        length,
        hasher.bits,
        codes.shape[1] + faces.rows[0].nbytes,
        seconds,
        index.search,
        asked,
        nearest,
        rank,
    )


def fit(trials: Trials, name: str, bits: int, seed: int) -> tuple[LinearHash, Packed, float]:
    """Fit a hasher to all vectors, as a library does, and make the named faces' codes.

    Returns:
        The hasher; uint8 (n, ceil(bits / 8)), the codes; seconds that both took.
    """
    start = time.perf_counter()
    hasher = HASHERS[name].fit(trials.faces.every, bits, seed)
    return hasher, hasher.encode(trials.faces.rows), time.perf_counter() - start


def that_count(trials: Trials, search: Search, asked: Rows, k: int) -> Ids:
    """Search for the k nearest faces that count.

    Returns:
        int64 (q, k), positions, nearest first; negative where there are no more.
    """
    size = len(trials.faces)
    query, face = trials.left_out
    most = int(np.bincount(query, minlength=1).max())
    found = search(asked, min(k + most, size)).ids
    key = np.arange(len(asked))[:, None] * size + found
    out = np.isin(key, query * size + face)
    # What counts comes first, in its order.
    order = np.argsort(out, axis=1, kind="stable")[:, :k]
    positions = np.full((len(asked), k), -1, np.int64)
    kept = np.where(np.take_along_axis(out, order, axis=1), -1, np.take_along_axis(found, order, 1))
    positions[:, : kept.shape[1]] = kept
    return positions
