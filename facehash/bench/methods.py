"""Search methods: by vectors, by codes in two distances, and with re-ranking by vectors."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from facehash.bench.queries import QuerySet
from facehash.bench.ranking import rank_asymmetric, rank_codes, rank_reranked, rank_vectors
from facehash.codes import Packed
from facehash.hamming.search import Histograms
from facehash.hashing import LinearHash
from facehash.hashing.library import fit_hasher
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.base import Found
from facehash.index.exact import ExactIndex
from facehash.index.rerank import RerankIndex, rerank
from facehash.vectors import CodeDistance, Ids, Rows, Space

Search = Callable[[Rows, int], Found]


@dataclass(frozen=True, kw_only=True)
class SearchMethod:
    """A search method with its index built.

    `search` finds the k nearest faces of query vectors. `nearest` finds, for each query of the
    benchmark, the positions of the k nearest faces that count: int64 (q, k), negative where there
    are fewer. `rank` yields the histograms of the full rankings, block by block of queries.
    """

    name: str
    hasher: str | None = None  # such as "itq"; None for the rows of an embedder
    distance: CodeDistance | None = None  # of codes; None for vectors
    rerank: int = 0  # number of candidates that vectors re-rank
    bits: int | None  # None for vectors
    bytes_per_face: int  # of the packed code, the vector, or both
    build_seconds: float  # to fit the hasher, make the codes and build the index
    search: Search
    nearest: Callable[[int], Ids]
    rank: Callable[[], Iterator[Histograms]]


@dataclass(frozen=True)
class FittedCodes:
    """Codes of the named faces, made of their vectors."""

    hasher: LinearHash  # fitted to the vectors of all faces
    codes: Packed  # uint8 (n, ceil(bits / 8)), of the named faces
    seconds: float  # to fit the hasher and make the codes


def fit_codes(
    queries: QuerySet, name: str, bits: int, seed: int, embedder: str = ""
) -> FittedCodes:
    """Fit a hasher to the vectors of all faces, as a library does, and encode the named ones.

    Args:
        queries: The queries, and the faces.
        name: A key of `facehash.hashing.library.LIBRARY_HASHERS`.
        bits: Length of a code.
        seed: Seed of the codes.
        embedder: The identity of the embedder, which learned and adapted codes need.
    """
    start = time.perf_counter()
    hasher = fit_hasher(name, queries.faces.all_rows, bits, seed, embedder)
    codes = hasher.encode(queries.faces.rows)
    return FittedCodes(hasher, codes, time.perf_counter() - start)


def compare_rows(queries: QuerySet, name: str) -> SearchMethod:
    """Compare the rows of an embedder: vectors, or the codes of a network."""
    return _search_exactly(queries, name, queries.faces.rows, queries.faces.space)


def compare_codes(queries: QuerySet, fitted: FittedCodes) -> SearchMethod:
    """Compare codes made of the vectors."""
    space = Space("hamming", fitted.hasher.bits)
    return _search_exactly(queries, fitted.hasher.name, fitted.codes, space, fitted)


def _search_exactly(
    queries: QuerySet, name: str, rows: Rows, space: Space, fitted: FittedCodes | None = None
) -> SearchMethod:
    is_code = space.metric == "hamming"
    start = time.perf_counter()
    index = ExactIndex.build(rows, np.arange(len(rows)), space)
    seconds = time.perf_counter() - start

    def search(vectors: Rows, k: int) -> Found:
        return index.search(fitted.hasher.encode(vectors) if fitted else vectors, k)

    def rank() -> Iterator[Histograms]:
        if is_code:
            own = fitted.hasher.encode(queries.rows) if fitted else queries.rows
            yield rank_codes(queries, rows, own, space.dimension)
        else:
            yield from rank_vectors(queries)

    return SearchMethod(
        name=name,
        hasher=fitted.hasher.name if fitted else None,
        distance="hamming" if is_code else None,
        bits=space.dimension if is_code else None,
        bytes_per_face=space.width * space.dtype.itemsize,
        build_seconds=seconds + (fitted.seconds if fitted else 0),
        search=search,
        nearest=lambda k: search_counted(queries, search, k),
        rank=rank,
    )


def compare_asymmetrically(queries: QuerySet, fitted: FittedCodes) -> SearchMethod:
    """Compare the projections of a query with codes made of the vectors."""
    hasher, codes = fitted.hasher, fitted.codes
    start = time.perf_counter()
    positions = np.arange(len(codes))
    index = AsymmetricIndex.build(codes, positions, Space("hamming", hasher.bits))
    seconds = fitted.seconds + time.perf_counter() - start

    def search(vectors: Rows, k: int) -> Found:
        return index.search(hasher.projections(vectors), k)

    return SearchMethod(
        name=f"{hasher.name}, asymmetric",
        hasher=hasher.name,
        distance="asymmetric",
        bits=hasher.bits,
        bytes_per_face=codes.shape[1],
        build_seconds=seconds,
        search=search,
        nearest=lambda k: search_counted(queries, search, k),
        rank=lambda: rank_asymmetric(queries, codes, hasher.projections(queries.rows)),
    )


def compare_projections(queries: QuerySet, name: str) -> tuple[QuerySet, SearchMethod]:
    """Compare the projections of a query, by a network, with the codes of the faces.

    Args:
        queries: The queries; their faces have projections.
        name: Of the network.

    Returns:
        The same queries with their projections as rows, and the method.
    """
    own = np.asarray(queries.asking.projections)
    queries = replace(queries, held_out=replace(queries.asking, rows=own))
    codes, space = queries.faces.rows, queries.faces.space
    start = time.perf_counter()
    index = AsymmetricIndex.build(codes, np.arange(len(codes)), space)
    seconds = time.perf_counter() - start
    method = SearchMethod(
        name=f"{name}, asymmetric",
        distance="asymmetric",
        bits=space.dimension,
        bytes_per_face=codes.shape[1],
        build_seconds=seconds,
        search=index.search,
        nearest=lambda k: search_counted(queries, index.search, k),
        rank=lambda: rank_asymmetric(queries, codes, queries.rows),
    )
    return queries, method


def rerank_codes(queries: QuerySet, fitted: FittedCodes, candidates: int) -> SearchMethod:
    """Find candidates by codes made of the vectors, and re-rank them by the vectors.

    Args:
        queries: The queries.
        fitted: The codes.
        candidates: Number of faces that are re-ranked.
    """
    hasher, codes, faces = fitted.hasher, fitted.codes, queries.faces
    start = time.perf_counter()
    index = RerankIndex(faces.rows, codes, np.arange(len(faces)), faces.space, hasher, candidates)
    seconds = fitted.seconds + time.perf_counter() - start
    chosen = search_counted(queries, index.choose, candidates)  # (q, candidates)

    def rank() -> Iterator[Histograms]:
        own = hasher.encode(queries.rows)
        yield rank_reranked(queries, codes, own, hasher.bits, chosen)

    def nearest(k: int) -> Ids:
        found = rerank(faces.rows, queries.rows, chosen, faces.space).ids[:, :k]
        return np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-1)

    return SearchMethod(
        name=f"{hasher.name}, top {candidates} re-ranked",
        hasher=hasher.name,
        distance="hamming",
        rerank=candidates,
        bits=hasher.bits,
        bytes_per_face=codes.shape[1] + faces.rows[0].nbytes,
        build_seconds=seconds,
        search=index.search,
        nearest=nearest,
        rank=rank,
    )


def search_counted(queries: QuerySet, search: Search, k: int) -> Ids:
    """Find the k nearest faces of each query, without those that it ignores.

    Returns:
        int64 (q, k), positions, nearest first; negative where there are no more.
    """
    size, count = len(queries.faces), len(queries.query_indices)
    query, face = queries.excluded
    # Enough more that k remain, whatever is excluded.
    most = int(np.bincount(query, minlength=1).max())
    found = search(queries.rows, min(k + most, size)).ids
    key = np.arange(count)[:, None] * size + found
    excluded = np.isin(key, query * size + face)
    # A stable sort puts the faces that count first, and keeps their order.
    order = np.argsort(excluded, axis=1, kind="stable")[:, :k]
    counted = np.where(
        np.take_along_axis(excluded, order, axis=1), -1, np.take_along_axis(found, order, axis=1)
    )
    positions = np.full((count, k), -1, np.int64)
    positions[:, : counted.shape[1]] = counted
    return positions
