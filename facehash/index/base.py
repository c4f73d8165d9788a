"""What an index is: rows with ids, and the nearest of them to a query."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.vectors import Ids, IndexRowsError, Rows, Space


class Found(NamedTuple):
    """The nearest rows of each query, nearest first.

    Attributes:
        distances: float64 (q, min(k, n)), in the unit of the space's metric.
        ids: int64 (q, min(k, n)); of those equally far the smaller id comes first.
    """

    distances: NDArray[np.float64]
    ids: Ids


class Index(Protocol):
    """Finds the nearest of the rows it was built from."""

    @classmethod
    def build(cls, rows: Rows, ids: Ids, space: Space) -> Self:
        """Build an index.

        Args:
            rows: float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)); may be
                mapped from a file.
            ids: int64 (n,), the name of each row in results, increasing.
            space: How rows are compared.
        """

    def __len__(self) -> int:
        """Return the number of rows."""

    def search(self, queries: Rows, k: int) -> Found:
        """Find the k nearest rows of each query, all of them where there are fewer.

        Args:
            queries: As the rows.
            k: How many to find, at least 1.

        Raises:
            IndexRowsError: k below 1, or queries of another dtype or shape.
        """


def check_ids(ids: ArrayLike, length: int) -> Ids:
    """Return ids as they are, or refuse what does not name rows one by one.

    Raises:
        IndexRowsError: Not int64 (length,), or not increasing.
    """
    array = np.asarray(ids)
    if array.dtype != np.int64 or array.shape != (length,):
        raise IndexRowsError(f"ids must be int64 ({length},), got {array.dtype} {array.shape}")
    if (np.diff(array) <= 0).any():
        raise IndexRowsError("ids must increase: each names one row")
    return array


def check_k(k: int) -> int:
    """Return how many are to be found, or refuse it.

    Raises:
        IndexRowsError: Below 1.
    """
    if k < 1:
        raise IndexRowsError(f"k must be at least 1, got {k}")
    return k
