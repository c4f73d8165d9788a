"""Exact search: FAISS compares vectors, our Hamming kernels compare codes."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords
from facehash.index.base import Found, check_ids, check_k
from facehash.vectors import Ids, IndexRowsError, Rows, Space, unit_rows

# Number of values whose distances are computed at a time: they fit into the second-level cache.
_VALUES_PER_STEP = 1 << 16


class ExactIndex:
    """Compares a query with every row.

    FAISS's flat kernel selects the k nearest vectors. Their distances are then recomputed in
    float64 from the differences, so that a photo has distance 0 from itself in any batch. A search
    converts only the rows it returns. Building copies codes into 64-bit words (unless they have 57
    to 64 bits), and vectors that are compared by cosine and do not have length 1. All other rows
    stay where they are, for example memory-mapped.

    Example:
        >>> rows = np.array([[1, 0], [0, 1]], np.float32)
        >>> index = ExactIndex.build(rows, np.array([7, 9]), Space("cosine", 2))
        >>> index.search(np.array([[2, 0]], np.float32), k=1).ids
        array([[7]])
    """

    def __init__(self, rows: Rows | CodeWords, ids: Ids, space: Space) -> None:
        """Use rows that are already prepared; `build` prepares them.

        Args:
            rows: float32 (n, dimension), finite, and of length 1 or 0 if compared by cosine; or
                the words of codes. May be memory-mapped.
            ids: int64 (n,), increasing.
            space: The metric and dimension of the rows.

        Raises:
            IndexRowsError: Another dtype or shape; the values are not checked.
        """
        if isinstance(rows, CodeWords):
            fits = space.metric == "hamming" and rows.bits == space.dimension
        else:
            fits = space.metric != "hamming" and rows.dtype == space.dtype
            fits &= rows.shape == (len(ids), space.dimension)
        if not fits or ids.dtype != np.int64 or ids.shape != (len(rows),):
            raise IndexRowsError(f"rows and ids are not prepared for {space}")
        self.space = space
        self._rows = rows
        self._ids = ids

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

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

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
        if isinstance(self._rows, CodeWords):
            nearest = top_k(self._rows, queries, self.space.dimension, k)
            return Found(nearest.distances.astype(np.float64), self._ids[nearest.indices])
        return self._search_vectors(self._rows, queries, k)

    def _search_vectors(
        self, rows: NDArray[np.float32], queries: NDArray[np.float32], k: int
    ) -> Found:
        # Imported here, as FAISS starts its threads when it is imported.
        import faiss

        cosine = self.space.metric == "cosine"
        if cosine:
            queries = unit_rows(queries)
        metric = faiss.METRIC_INNER_PRODUCT if cosine else faiss.METRIC_L2
        _, indices = faiss.knn(queries, rows, k, metric=metric)
        # Rows are in the order of their ids, and the stable sort keeps that order among ties.
        indices.sort(axis=1)
        distances = vector_distances(rows, queries, indices, self.space)
        order = np.argsort(distances, axis=1, kind="stable")
        chosen = np.take_along_axis(indices, order, axis=1)
        return Found(np.take_along_axis(distances, order, axis=1), self._ids[chosen])


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
