"""Codes choose a shortlist, vectors put it in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.hashing import LinearHash
from facehash.index.base import Found, check_ids, check_k
from facehash.index.exact import ExactIndex, vector_distances
from facehash.vectors import Ids, IndexRowsError, Rows, Space, unit_rows


class RerankIndex:
    """Finds the rows whose codes are nearest, and of these the k nearest by their vectors.

    It reads bits / 8 bytes of every row, and vectors of the shortlist only; what is not on the
    shortlist is not found. Of codes equally far the smaller id comes on the shortlist.

    Args:
        rows: float32 (n, dimension).
        codes: uint8 (n, ceil(bits / 8)), the hasher's of the rows.
        ids: int64 (n,), increasing.
        space: How vectors are compared: cosine or Euclidean.
        hasher: Makes the codes of vectors, those of length 1 where they are compared by cosine.
        length: Rows on a shortlist, at least 1.

    Raises:
        IndexRowsError: A space of codes; rows, codes or ids of another dtype or shape; a length
            below 1.
    """

    def __init__(
        self, rows: Rows, codes: Packed, ids: Ids, space: Space, hasher: LinearHash, length: int
    ) -> None:
        if space.metric == "hamming":
            raise IndexRowsError("a shortlist is put in order by vectors, and codes have none")
        self.space = space
        self._rows = self._prepare(rows, "rows")
        self._ids = check_ids(ids, len(self._rows))
        self._hasher, self._length = hasher, check_k(length)
        positions = np.arange(len(self._rows))
        self._codes = ExactIndex.build(codes, positions, Space("hamming", hasher.bits))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest rows of each query among those on its shortlist.

        Args:
            queries: float32 (q, dimension).
            k: How many to find, at least 1; a shorter shortlist is returned whole.

        Raises:
            IndexRowsError: k below 1, or queries of the wrong dtype or shape, or not finite.
        """
        check_k(k)
        queries = self._prepare(queries, "queries")
        chosen = self.choose(queries, self._length).ids
        distances, positions = rerank(self._rows, queries, chosen, self.space)
        return Found(distances[:, :k], self._ids[positions[:, :k]])

    def choose(self, queries: Rows, k: int) -> Found:
        """Find the positions of the k rows whose codes are nearest, and the distances of these.

        Args:
            queries: float32 (q, dimension), of length 1 if compared by cosine.
            k: How many.
        """
        return self._codes.search(self._hasher.encode(queries), k)

    def _prepare(self, rows: Rows, name: str) -> NDArray[np.float32]:
        checked = self.space.check(rows, name)
        return unit_rows(checked) if self.space.metric == "cosine" else checked


def rerank(
    rows: NDArray[np.float32], queries: NDArray[np.float32], chosen: Ids, space: Space
) -> Found:
    """Put chosen rows in order by their distance from each query.

    Args:
        rows: float32 (n, dimension), of length 1 or 0 if compared by cosine.
        queries: float32 (q, dimension), likewise.
        chosen: int64 (q, m), positions of rows; a negative one stands for none.
        space: How they are compared.

    Returns:
        Distances float64 (q, m), nearest first, infinite for none; positions int64 (q, m), of
        those equally far the smaller first.
    """
    chosen = np.sort(chosen, axis=1)
    distances = vector_distances(rows, queries, np.maximum(chosen, 0), space)
    distances[chosen < 0] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    return Found(
        np.take_along_axis(distances, order, axis=1), np.take_along_axis(chosen, order, axis=1)
    )
