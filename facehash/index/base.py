"""What an index is: rows with ids, and the nearest of them to a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import check_packed, packed_width
from facehash.embedders.base import Metric
from facehash.errors import InputError

Rows = NDArray[Any]
Ids = NDArray[np.int64]


class IndexRowsError(InputError):
    """Rows, ids or a k that an index cannot use, with what was received and what would be right."""


@dataclass(frozen=True)
class Space:
    """Where rows live and how they are compared.

    Attributes:
        metric: ``"cosine"`` is 1 - cosine similarity, 0 to 2, and 1 for a vector of length 0;
            ``"euclidean"`` the length of the difference; ``"hamming"`` the number of unequal bits.
        dimension: Length of a vector; of a code its bits.
    """

    metric: Metric
    dimension: int

    @property
    def width(self) -> int:
        """Numbers in a row: the dimension, of a code its bytes."""
        return packed_width(self.dimension) if self.metric == "hamming" else self.dimension

    @property
    def dtype(self) -> np.dtype[Any]:
        """What a row is made of: float32, of a code uint8."""
        return np.dtype(np.uint8 if self.metric == "hamming" else np.float32)

    def check(self, rows: ArrayLike, name: str = "rows") -> Rows:
        """Return rows as they are, or refuse what would be searched wrongly.

        Args:
            rows: float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)).
            name: What errors call them.

        Raises:
            IndexRowsError: Another dtype or shape, or a vector that is not finite.
            CodesError: Codes of another dtype, shape or padding.
        """
        if self.metric == "hamming":
            return check_packed(rows, self.dimension, name)
        array = np.asarray(rows)
        if array.dtype != np.float32 or array.ndim != 2 or array.shape[1] != self.dimension:
            raise IndexRowsError(
                f"{name} must be float32 (n, {self.dimension}), got {array.dtype} {array.shape}"
            )
        # A sum is finite only if its terms are, and is one number a row instead of a copy.
        if not np.isfinite(array.sum(axis=1, dtype=np.float64)).all():
            raise IndexRowsError(f"{name} hold values that are not finite")
        return array


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
