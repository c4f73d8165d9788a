"""Exact search: FAISS compares vectors, our Hamming kernels compare codes."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords
from facehash.index.base import Found, check_ids, check_k
from facehash.index.parts import PartsIndex, search_parts
from facehash.vectors import UNIT_TOLERANCE, Ids, Rows, Space, unit_rows

# Number of values whose distances are computed at a time: they fit into the second-level cache.
_VALUES_PER_STEP = 1 << 16
# Vectors that FAISS selects beyond k at first, and at most: 16 * 8^3.
_SPARE = 16
_MOST_SPARE = 8192


class ExactIndex(PartsIndex):
    """Compares a query with every row.

    FAISS's flat kernel selects the nearest vectors. Their distances are then recomputed in float64
    from the differences, so that a photo has distance 0 from itself, and every row the same
    distance, in any batch and any array. A search converts only the rows it returns. Building
    copies codes into 64-bit words (unless they have 57 to 64 bits), and vectors that are compared
    by cosine and do not have length 1. All other rows stay where they are, for example
    memory-mapped.

    Example:
        >>> rows = np.array([[1, 0], [0, 1]], np.float32)
        >>> index = ExactIndex.build(rows, np.array([7, 9]), Space("cosine", 2))
        >>> index.search(np.array([[2, 0]], np.float32), k=1).ids
        array([[7]])
    """

    @classmethod
    def build(cls, rows: Rows, ids: Ids, space: Space) -> Self:
        """Prepare rows (n, width) with increasing int64 ids (n,), see `base.Index`.

        Raises:
            IndexRowsError: Rows or ids of the wrong dtype or shape, or not finite.
            CodesError: Codes of the wrong dtype, shape or padding.
        """
        checked = space.check(rows)
        ids = check_ids(ids, len(checked))
        if space.metric == "hamming":
            return cls(CodeWords.of(checked, space.dimension), ids, space)
        return cls(unit_rows(checked) if space.metric == "cosine" else checked, ids, space)

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest rows to each query, see `base.Index`.

        Raises:
            IndexRowsError: k below 1, or queries of the wrong dtype or shape, or not finite.
            CodesError: Codes of the wrong dtype, shape or padding.
        """
        queries = self.space.check(queries, "queries")
        k = min(check_k(k), len(self))
        if not len(queries) or not k:
            shape = (len(queries), k)
            return Found(np.zeros(shape), np.zeros(shape, np.int64))
        if self.space.metric == "hamming":
            return self._search_codes(queries, k)
        return self._search_vectors(queries, k)

    def _search_codes(self, queries: Packed, k: int) -> Found:
        def find(rows: CodeWords, k: int) -> tuple[NDArray[np.int64], Ids]:
            nearest = top_k(rows, queries, self.space.dimension, k)
            return nearest.distances, nearest.indices

        distances, ids = search_parts(self._parts, k, find)
        return Found(distances.astype(np.float64), ids)

    def _search_vectors(self, queries: NDArray[np.float32], k: int) -> Found:
        if self.space.metric == "cosine":
            queries = unit_rows(queries)

        def find(rows: NDArray[np.float32], k: int) -> tuple[NDArray[np.float64], Ids]:
            return nearest_vectors(rows, queries, k, self.space)

        return Found(*search_parts(self._parts, k, find))


def nearest_vectors(
    rows: NDArray[np.float32], queries: NDArray[np.float32], k: int, space: Space
) -> tuple[NDArray[np.float64], Ids]:
    """Find the k nearest rows to each query by their distances in float64; ties by position.

    FAISS compares in float32, which may confuse rows at nearly the same distance. So it is asked
    for some rows more, and again for more of them where a row that it has not found might be
    nearer than one that it has, up to `_MOST_SPARE`.

    Args:
        rows: float32 (n, d), of length 1 or 0 if compared by cosine; rows of NaN are never found.
        queries: float32 (q, d), likewise.
        k: Number of rows, at most n.
        space: Cosine or Euclidean.

    Returns:
        Distances float64 (q, k), nearest first, and positions int64 (q, k); infinity and -1 if
        there are fewer rows.
    """
    # Imported here, as FAISS starts its threads when it is imported.
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT if space.metric == "cosine" else faiss.METRIC_L2
    distances = np.empty((len(queries), k), np.float64)
    chosen = np.empty((len(queries), k), np.int64)
    left, spare = np.arange(len(queries)), _SPARE
    while len(left):
        asked = queries[left]
        wanted = min(len(rows), k + spare)
        scores, positions = faiss.knn(asked, rows, wanted, metric=metric)
        found = vector_distances(rows, asked, np.maximum(positions, 0), space)
        found[positions < 0] = np.inf
        order = np.lexsort((positions, found), axis=1)[:, :k]
        distances[left] = np.take_along_axis(found, order, axis=1)
        chosen[left] = np.take_along_axis(positions, order, axis=1)
        if wanted == len(rows) or spare >= _MOST_SPARE:
            break
        enough = _is_beyond(scores[:, -1], distances[left, -1], asked, space)
        left = left[~(enough | (positions[:, -1] < 0))]
        spare *= 8
    return distances, chosen


def _is_beyond(
    last: NDArray[np.float32],
    distances: NDArray[np.float64],
    queries: NDArray[np.float32],
    space: Space,
) -> NDArray[np.bool_]:
    """Return whether rows beyond a score of FAISS are surely farther than a distance, (q,)."""
    rounding = (space.dimension + 8) * np.finfo(np.float32).eps
    if space.metric == "cosine":
        # Rows have length 1 up to UNIT_TOLERANCE.
        return np.asarray(1 - last.astype(np.float64) > distances + 2 * UNIT_TOLERANCE + rounding)
    # A row within the distance is not longer than the query and the distance together.
    longest = 2 * np.linalg.norm(queries.astype(np.float64), axis=1) + distances
    return np.asarray(last > np.square(distances) + rounding * np.square(longest))


def vector_distances(
    rows: NDArray[np.float32], queries: NDArray[np.float32], positions: Ids, space: Space
) -> NDArray[np.float64]:
    """Compute distances between queries and selected rows in float64, from the differences.

    Args:
        rows: float32 (n, d), of length 1 or 0 if compared by cosine.
        queries: float32 (q, d), likewise.
        positions: int64 (q, k), the selected rows for each query.
        space: Cosine or Euclidean.

    Returns:
        float64 (q, k).
    """
    found = np.empty(positions.shape, np.float64)
    step = max(1, _VALUES_PER_STEP // max(1, positions.shape[1] * space.dimension))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        found[part] = _distances(queries[part], rows[positions[part]], space)
    return found


def _distances(
    queries: NDArray[np.float32], rows: NDArray[np.float32], space: Space
) -> NDArray[np.float64]:
    """Return the distances between rows (q, k, d) and their queries (q, d), float64 (q, k)."""
    difference = rows - queries[:, None].astype(np.float64)
    squared = np.square(difference, out=difference).sum(axis=2)
    if space.metric == "euclidean":
        return np.asarray(np.sqrt(squared))
    # Half the squared difference of unit vectors is 1 - cosine. A vector of length 0 has no
    # direction and counts as perpendicular to any other.
    directed = rows.any(axis=2) & queries.any(axis=1, keepdims=True)
    return np.where(directed, squared / 2, 1.0)
