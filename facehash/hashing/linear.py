"""Hashing by hyperplanes: centre a vector, project it, keep the signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length, packed_from_signs, sign

Vectors = NDArray[np.float32]

_ROWS = 65_536
"""Vectors centred at a time, so that encoding many of them needs little memory beside them."""


class LinearHash:
    """``bit j of x = 1 where (x - mean) . projection[:, j] >= 0``.

    Args:
        mean: float32 (d,), subtracted from every vector.
        projection: float32 (d, bits), 1 to 1,024 hyperplanes through `mean`.

    Raises:
        CodesError: Arrays of another shape, or values that are not finite.
    """

    name: ClassVar[str]

    def __init__(self, mean: ArrayLike, projection: ArrayLike) -> None:
        self.mean = np.asarray(mean, dtype=np.float32)
        self.projection = np.asarray(projection, dtype=np.float32)
        if self.projection.ndim != 2 or self.mean.shape != self.projection.shape[:1]:
            raise CodesError(
                f"{self.name}: mean must be (d,) and projection (d, bits), "
                f"got {self.mean.shape} and {self.projection.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.projection).all()):
            raise CodesError(f"{self.name}: mean or projection holds values that are not finite")
        check_length(self.bits)

    @property
    def bits(self) -> int:
        """Length of a code."""
        return int(self.projection.shape[1])

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.projection.shape[0])

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Choose hyperplanes for a collection of vectors.

        Args:
            vectors: Finite real numbers (n, d), at least two rows.
            bits: Length of a code, 1 to 1,024.
            seed: At least 0; the same vectors and seed give the same codes.

        Raises:
            CodesError: Vectors of another shape, not finite, or too few; or too many bits.
        """
        raise NotImplementedError(f"{cls.__name__} must define fit")

    def project(self, vectors: ArrayLike) -> Vectors:
        """Compute the numbers whose signs are the bits.

        Args:
            vectors: Finite real numbers (n, d).

        Returns:
            float32 (n, bits).

        Raises:
            CodesError: Another shape, or values that are not finite.
        """
        rows = check_vectors(vectors, self.name)
        if rows.shape[1] != self.dimension:
            raise CodesError(
                f"{self.name}: was fitted on vectors of length {self.dimension}, "
                f"got {rows.shape[1]}"
            )
        found = np.empty((len(rows), self.bits), np.float32)
        for start in range(0, len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            np.matmul(rows[block] - self.mean, self.projection, out=found[block])
        return found

    def encode(self, vectors: ArrayLike) -> Packed:
        """Hash vectors.

        Args:
            vectors: Finite real numbers (n, d).

        Returns:
            uint8 (n, ceil(bits / 8)), packed codes as `facehash.codes` defines them.

        Raises:
            CodesError: Another shape, or values that are not finite.
        """
        return packed_from_signs(sign(self.project(vectors)))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what has to be stored; `from_arrays` takes it back."""
        return {"mean": self.mean, "projection": self.projection}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Make a hash from what `arrays` gave.

        Raises:
            CodesError: An array is missing or does not fit the other.
        """
        missing = {"mean", "projection"} - arrays.keys()
        if missing:
            raise CodesError(f"{cls.name}: no array {min(missing)!r} among what was stored")
        return cls(arrays["mean"], arrays["projection"])


def check_vectors(vectors: ArrayLike, name: str) -> Vectors:
    """Return vectors as float32 (n, d), or refuse what cannot be hashed.

    Raises:
        CodesError: Another shape, no real numbers, or values that are not finite.
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise CodesError(
            f"{name}: vectors must be real numbers (n, d), got {array.dtype} {array.shape}"
        )
    rows = np.asarray(array, dtype=np.float32)
    broken = ~np.isfinite(rows).all(axis=1)
    if broken.any():
        raise CodesError(
            f"{name}: {np.count_nonzero(broken)} of {len(rows)} vectors hold NaN or infinity, "
            f"the first is number {np.argmax(broken)}"
        )
    return rows


def check_collection(vectors: ArrayLike, bits: int, name: str) -> NDArray[np.float64]:
    """Return vectors to fit on as float64 (n, d), or refuse fewer than two.

    Raises:
        CodesError: As `check_vectors`, fewer than two vectors, or `bits` outside 1 to 1,024.
    """
    check_length(bits)
    rows = check_vectors(vectors, name)
    if len(rows) < 2:
        raise CodesError(f"{name}: needs at least two vectors to be fitted on, got {len(rows)}")
    return rows.astype(np.float64)
