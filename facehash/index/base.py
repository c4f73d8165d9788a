"""The interface of an index: rows with ids, and the nearest rows to a query."""

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.vectors import Ids, IndexRowsError, Rows, Space


class Found(NamedTuple):
    """The nearest rows to each query, nearest first; ties are sorted by id."""

    distances: NDArray[np.float64]  # (q, min(k, n)), in the unit of the space's metric
    ids: Ids  # int64 (q, min(k, n))


class Index(Protocol):
    """Finds the nearest rows to a query."""

    @classmethod
    def build(cls, rows: Rows, ids: Ids, space: Space) -> Self:
        """Build an index.

        Args:
            rows: float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)); may be
                memory-mapped.
            ids: int64 (n,), increasing; identifies each row in results.
            space: The metric and dimension of the rows.
        """

    def __len__(self) -> int:
        """Return the number of rows."""

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest rows to each query, or all rows if there are fewer.

        Args:
            queries: Rows of the same width and dtype.
            k: Number of rows to find, at least 1.

        Raises:
            IndexRowsError: k below 1, or queries of another dtype or shape.
        """


def check_ids(ids: ArrayLike, length: int) -> Ids:
    """Return ids unchanged, or raise IndexRowsError unless they are increasing int64 (length,)."""
    array = np.asarray(ids)
    if array.dtype != np.int64 or array.shape != (length,):
        raise IndexRowsError(f"ids must be int64 ({length},), got {array.dtype} {array.shape}")
    if (np.diff(array) <= 0).any():
        raise IndexRowsError("ids must be increasing: each identifies one row")
    return array


def check_k(k: int) -> int:
    """Return k unchanged, or raise IndexRowsError if it is below 1."""
    if k < 1:
        raise IndexRowsError(f"k must be at least 1, got {k}")
    return k
