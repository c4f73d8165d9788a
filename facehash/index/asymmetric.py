"""Asymmetric search: the float projections of a query are compared with stored codes."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facehash.hamming.asymmetric import asymmetric_top_k, check_projections
from facehash.hamming.words import CodeWords
from facehash.index.base import Found, check_ids, check_k
from facehash.index.parts import Part, PartsIndex, search_parts
from facehash.vectors import Ids, IndexRowsError, Rows, Space


class AsymmetricIndex(PartsIndex):
    """Compares the projections of a query with every code.

    It stores what `ExactIndex` stores of codes, and orders them as `facehash.hamming.asymmetric`
    does. With projections p of a query and signs s of a code, the distance is

        bits * (sum of |p_j| over the bits j where s_j differs from the sign of p_j) / sum_j |p_j|
        = bits / 2 * (1 - sum_j p_j s_j / sum_j |p_j|),

    from 0 to `bits`, and `bits` / 2 if all p_j are 0. It is the Hamming distance if all |p_j| are
    equal, and comparable between queries. A hasher's `projections` makes the queries.

    Example:
        >>> codes = np.array([[0b00], [0b11], [0b01]], np.uint8)
        >>> index = AsymmetricIndex.build(codes, np.array([3, 5, 8]), Space("hamming", 2))
        >>> index.search(np.array([[-2, 0.5]], np.float32), k=2)
        Found(distances=array([[0.4, 1.6]]), ids=array([[3, 5]]))
    """

    def _use(self, parts: Sequence[Part], space: Space) -> None:
        _check_metric(space)
        super()._use(parts, space)

    @classmethod
    def build(cls, rows: Rows, ids: Ids, space: Space) -> Self:
        """Prepare packed codes (n, width) with increasing int64 ids (n,), see `base.Index`.

        Raises:
            IndexRowsError: A space of vectors, or ids of the wrong dtype or shape.
            CodesError: Codes of the wrong dtype, shape or padding.
        """
        _check_metric(space)
        words = CodeWords.of(space.check(rows), space.dimension)
        return cls(words, check_ids(ids, len(words)), space)

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest codes to each query, or all codes if there are fewer.

        Args:
            queries: Projections, float32 (q, bits), finite.
            k: Number of codes to find, at least 1.

        Returns:
            Asymmetric distances and ids, nearest first; ties are sorted by id.

        Raises:
            IndexRowsError: k below 1.
            CodesError: Queries of another dtype or shape, or not finite.
        """
        projections = check_projections(queries, self.space.dimension, "queries")

        def find(rows: CodeWords, k: int) -> tuple[NDArray[np.float64], Ids]:
            nearest = asymmetric_top_k(rows, projections, self.space.dimension, k)
            return nearest.distances, nearest.indices

        k = min(check_k(k), len(self))
        if not len(projections) or not k:
            shape = (len(projections), k)
            return Found(np.zeros(shape), np.zeros(shape, np.int64))
        distances, ids = search_parts(self._parts, k, find)
        total = np.abs(projections.astype(np.float64)).sum(axis=1, keepdims=True)  # (q, 1)
        share = np.divide(distances, total, out=np.full(distances.shape, 0.5), where=total > 0)
        return Found(self.space.dimension * share, ids)


def _check_metric(space: Space) -> None:
    if space.metric != "hamming":
        raise IndexRowsError(f"asymmetric search needs codes, not {space.metric} vectors")
