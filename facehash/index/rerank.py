"""Re-ranking: codes select candidates, vectors rank them."""

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.hashing import LinearHash
from facehash.index.base import Found, check_ids, check_k
from facehash.index.exact import ExactIndex, vector_distances
from facehash.vectors import Ids, IndexRowsError, Rows, Space, unit_rows


class RerankIndex:
    """Selects the rows with the nearest codes and ranks these candidates by their vectors.

    A search reads bits / 8 bytes per row, and the vectors of the candidates only. Rows that are not
    candidates are not found. Ties between codes are sorted by id.

    Args:
        rows: float32 (n, dimension).
        codes: uint8 (n, ceil(bits / 8)), the hasher's codes of the rows.
        ids: int64 (n,), increasing.
        space: Cosine or Euclidean.
        hasher: Computes the codes of vectors; these have length 1 if compared by cosine.
        candidates: Number of candidates per query, at least 1.

    Raises:
        IndexRowsError: A Hamming space; rows, codes or ids of another dtype or shape; fewer than
            one candidate.
    """

    def __init__(
        self, rows: Rows, codes: Packed, ids: Ids, space: Space, hasher: LinearHash, candidates: int
    ) -> None:
        if space.metric == "hamming":
            raise IndexRowsError("re-ranking needs vectors, not codes")
        self.space = space
        self._rows = self._prepare(rows, "rows")
        self._ids = check_ids(ids, len(self._rows))
        self._hasher, self._candidates = hasher, check_k(candidates)
        positions = np.arange(len(self._rows))
        self._codes = ExactIndex.build(codes, positions, Space("hamming", hasher.bits))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest rows to each query among its candidates.

        Args:
            queries: float32 (q, dimension).
            k: Number of rows to find, at least 1; at most all candidates are returned.

        Raises:
            IndexRowsError: k below 1, or queries of the wrong dtype or shape, or not finite.
        """
        check_k(k)
        queries = self._prepare(queries, "queries")
        chosen = self.choose(queries, self._candidates).ids
        distances, positions = rerank(self._rows, queries, chosen, self.space)
        return Found(distances[:, :k], self._ids[positions[:, :k]])

    def choose(self, queries: Rows, k: int) -> Found:
        """Find the positions of the k rows with the nearest codes, and their Hamming distances.

        Args:
            queries: float32 (q, dimension), of length 1 if compared by cosine.
            k: Number of rows to find.
        """
        return self._codes.search(self._hasher.encode(queries), k)

    def _prepare(self, rows: Rows, name: str) -> NDArray[np.float32]:
        checked = self.space.check(rows, name)
        return unit_rows(checked) if self.space.metric == "cosine" else checked


def rerank(
    rows: NDArray[np.float32], queries: NDArray[np.float32], chosen: Ids, space: Space
) -> Found:
    """Sort candidates by their distance from each query.

    Args:
        rows: float32 (n, dimension), of length 1 or 0 if compared by cosine.
        queries: float32 (q, dimension), likewise.
        chosen: int64 (q, m), positions of the candidates; a negative position means none.
        space: Cosine or Euclidean.

    Returns:
        Distances float64 (q, m), nearest first, infinite for none; positions int64 (q, m). Ties are
        sorted by position.
    """
    chosen = np.sort(chosen, axis=1)
    distances = vector_distances(rows, queries, np.maximum(chosen, 0), space)
    distances[chosen < 0] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    return Found(
        np.take_along_axis(distances, order, axis=1), np.take_along_axis(chosen, order, axis=1)
    )
