"""Vectors and codes as rows of an array: how they are compared, checked and scaled."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import check_packed, packed_width, signs_from_packed
from facehash.errors import InputError

Metric = Literal["cosine", "euclidean", "hamming"]
CodeDistance = Literal["asymmetric", "hamming"]
"""How codes are compared: a query's float projections with stored codes, or code with code."""
Rows = NDArray[Any]
Ids = NDArray[np.int64]

_ROWS_PER_BLOCK = 65_536
# Lengths closer to 1 than this differ only by float32 rounding: such rows are already scaled.
UNIT_TOLERANCE = 1e-4


class IndexRowsError(InputError):
    """Rows, ids or a k that an index cannot use."""


@dataclass(frozen=True)
class Space:
    """The kind of rows and the distance between them.

    Attributes:
        metric: ``"cosine"`` is 1 - cosine similarity, 0 to 2, and 1 for a vector of length 0;
            ``"euclidean"`` is the length of the difference; ``"hamming"`` the number of unequal
            bits.
        dimension: Length of a vector, or number of bits of a code.
    """

    metric: Metric
    dimension: int

    @property
    def width(self) -> int:
        """Length of a row: the dimension, or the number of bytes of a code."""
        return packed_width(self.dimension) if self.metric == "hamming" else self.dimension

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 for vectors, uint8 for codes."""
        return np.dtype(np.uint8 if self.metric == "hamming" else np.float32)

    def check(self, rows: ArrayLike, name: str = "rows") -> Rows:
        """Return rows unchanged, or refuse rows that cannot be searched.

        Args:
            rows: float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)).
            name: Name of the array in error messages.

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
        # A sum is finite only if its terms are. It needs one number per row, not a copy.
        if not np.isfinite(array.sum(axis=1, dtype=np.float64)).all():
            raise IndexRowsError(f"{name} contain values that are not finite")
        return array


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1, except those of length 0.

    Vectors whose length is 1 up to rounding stay as they are, so that a vector becomes the same in
    any array.

    Args:
        rows: float32 (n, d), finite.

    Returns:
        float32 (n, d); the same array if all lengths are already 1 or 0, up to rounding.
    """
    lengths = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), _ROWS_PER_BLOCK):
        block = rows[start : start + _ROWS_PER_BLOCK].astype(np.float64)
        lengths[start : start + _ROWS_PER_BLOCK] = np.sqrt(np.square(block).sum(axis=1))
    lengths[(np.abs(lengths - 1) < UNIT_TOLERANCE) | (lengths == 0)] = 1
    if (lengths == 1).all():
        return rows
    # Divided in float64: the lengths of tiny or huge vectors need not fit into float32.
    scaled = np.empty_like(rows)
    for start in range(0, len(rows), _ROWS_PER_BLOCK):
        part = slice(start, start + _ROWS_PER_BLOCK)
        scaled[part] = rows[part] / lengths[part, None]
    return scaled


def points_of(rows: Rows, space: Space) -> NDArray[np.float32]:
    """Return rows as points whose squared Euclidean distance grows with the space's distance.

    Args:
        rows: Rows of the space, (n, width).
        space: How they are compared.

    Returns:
        float32 (n, dimension): vectors of length 1 (cosine), codes as -1 and +1 (Hamming), or the
        vectors as they are.
    """
    if space.metric == "hamming":
        return signs_from_packed(rows, space.dimension).astype(np.float32)
    return unit_rows(rows) if space.metric == "cosine" else rows


def squared_of_points(distance: float, metric: Metric) -> float:
    """Return the squared Euclidean distance of the points of two rows at this distance.

    Example:
        >>> [squared_of_points(2, metric) for metric in ("cosine", "euclidean", "hamming")]
        [4.0, 4.0, 8.0]
    """
    if metric == "euclidean":
        return float(distance) ** 2
    return float(distance) * (2 if metric == "cosine" else 4)


def distance_of_points(squared: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Return the distances of rows from the squared Euclidean distances of their points.

    Example:
        >>> float(distance_of_points(np.array(8.0), "hamming"))
        2.0
    """
    if metric == "euclidean":
        return np.asarray(np.sqrt(squared))
    return np.asarray(squared / (2 if metric == "cosine" else 4))


def check_finite(vectors: NDArray[np.float32], embedder: str) -> None:
    """Refuse NaN and infinity, which have no distance to anything.

    Raises:
        InputError: The (n, dimension) vectors contain one.
    """
    if not np.isfinite(vectors).all():
        raise InputError(f"{embedder}: the network returned values that are not finite")
