"""Hashing by hyperplanes: center a vector, project it, keep the signs."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length, packed_from_signs, sign

Vectors = NDArray[np.float32]

_ROWS = 65_536  # vectors centered at a time, which bounds the memory


class LinearHash:
    """A hash by hyperplanes: bit j of x is 1 if ``(x - mean) . projection[:, j] >= 0``, else 0.

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
            raise CodesError(f"{self.name}: mean or projection contains values that are not finite")
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
            CodesError: Vectors of another shape, not finite, or fewer than two; or too many bits.
        """
        raise NotImplementedError(f"{cls.__name__} must define fit")

    def project(self, vectors: ArrayLike) -> Vectors:
        """Return the projections whose signs are the bits, float32 (n, bits).

        Args:
            vectors: Finite real numbers (n, d).

        Raises:
            CodesError: Another shape, or values that are not finite.
        """
        rows = check_vectors(vectors, self.name)
        if rows.shape[1] != self.dimension:
            raise CodesError(
                f"{self.name}: fitted on vectors of length {self.dimension}, got {rows.shape[1]}"
            )
        found = np.empty((len(rows), self.bits), np.float32)
        for start in range(0, len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            np.matmul(rows[block] - self.mean, self.projection, out=found[block])
        return found

    def encode(self, vectors: ArrayLike) -> Packed:
        """Hash vectors (n, d), checked as by `project`, to packed uint8 (n, ceil(bits / 8))."""
        return packed_from_signs(sign(self.project(vectors)))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays to store, the argument of `from_arrays`."""
        return {"mean": self.mean, "projection": self.projection}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Restore a hash from the result of `arrays`.

        Raises:
            CodesError: An array is missing, or their shapes differ.
        """
        missing = {"mean", "projection"} - arrays.keys()
        if missing:
            raise CodesError(f"{cls.name}: the stored arrays lack {min(missing)!r}")
        return cls(arrays["mean"], arrays["projection"])


def check_vectors(vectors: ArrayLike, name: str) -> Vectors:
    """Return vectors as float32 (n, d).

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
            f"{name}: {np.count_nonzero(broken)} of {len(rows)} vectors contain NaN or infinity, "
            f"the first is number {np.argmax(broken)}"
        )
    return rows


def check_collection(vectors: ArrayLike, bits: int, name: str) -> NDArray[np.float64]:
    """Return the vectors of `LinearHash.fit` as float64 (n, d), or raise its CodesError."""
    check_length(bits)
    rows = check_vectors(vectors, name)
    if len(rows) < 2:
        raise CodesError(f"{name}: at least two vectors are needed, got {len(rows)}")
    return rows.astype(np.float64)
