"""Hashing by hyperplanes: center a vector, project it, keep the signs."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length, packed_from_signs, sign

Vectors = NDArray[np.float32]

FORMAT = 2
"""Format of `LinearHash.arrays`: 1 had no ``scale`` and no ``format``."""

_ROWS = 65_536  # vectors centered at a time, which bounds the memory
# Share of the largest scale below which projections of a bit are rounding errors.
_NOISE = 1e-6


class LinearHash:
    """A hash by hyperplanes: bit j of x is 1 if ``(x - mean) . projection[:, j] >= 0``, else 0.

    Args:
        mean: float32 (d,), subtracted from every vector.
        projection: float32 (d, bits), 1 to 1,024 hyperplanes through `mean`.
        scale: float32 (bits,), positive: the mean absolute projection of each bit over the vectors
            that the hash was fitted to. None if unknown, as in files of facehash 0.1.0; then there
            are no `projections`.

    Raises:
        CodesError: Arrays of another shape, or values that are not finite.
    """

    name: ClassVar[str] = "linear"

    def __init__(
        self, mean: ArrayLike, projection: ArrayLike, scale: ArrayLike | None = None
    ) -> None:
        self.mean = np.asarray(mean, dtype=np.float32)
        self.projection = np.asarray(projection, dtype=np.float32)
        self.scale = None if scale is None else np.asarray(scale, dtype=np.float32)
        if self.projection.ndim != 2 or self.mean.shape != self.projection.shape[:1]:
            raise CodesError(
                f"{self.name}: mean must be (d,) and projection (d, bits), "
                f"got {self.mean.shape} and {self.projection.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.projection).all()):
            raise CodesError(f"{self.name}: mean or projection contains values that are not finite")
        check_length(self.bits)
        if self.scale is not None and (
            self.scale.shape != (self.bits,)
            or not np.isfinite(self.scale).all()
            or not (self.scale > 0).all()
        ):
            raise CodesError(f"{self.name}: scale must be ({self.bits},), finite and positive")

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

    def with_scale(self, vectors: ArrayLike) -> Self:
        """Return the same hash with the scale of some vectors.

        The scale of a bit is its mean absolute projection, see `scale_of_bits`.

        Args:
            vectors: Finite real numbers (n, d), at least one row.

        Raises:
            CodesError: Another shape, no vectors, or values that are not finite.
        """
        rows = check_vectors(vectors, self.name)
        if not len(rows):
            raise CodesError(f"{self.name}: a scale needs at least one vector")
        total = np.zeros(self.bits)
        for start in range(0, len(rows), _ROWS):
            total += np.abs(self.project(rows[start : start + _ROWS])).sum(axis=0, dtype=np.float64)
        return type(self)(self.mean, self.projection, scale_of_bits(total / len(rows)))

    def projections(self, vectors: ArrayLike) -> Vectors:
        """Return what the asymmetric distance compares with codes: projections over their scale.

        Args:
            vectors: Finite real numbers (n, d).

        Returns:
            float32 (n, bits), with the signs that `encode` packs. The mean absolute value of a bit
            is 1 over the vectors that the hash was fitted to.

        Raises:
            CodesError: The hash has no scale, or as for `project`.

        Example:
            >>> from facehash.hashing import RandomHyperplanes
            >>> vectors = np.random.default_rng(0).normal(size=(100, 8))
            >>> hasher = RandomHyperplanes.fit(vectors, bits=16, seed=0)
            >>> hasher.projections(vectors[:2]).shape
            (2, 16)
        """
        if self.scale is None:
            raise CodesError(f"{self.name}: has no scale, call with_scale with vectors first")
        return np.asarray(self.project(vectors) / self.scale, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, the argument of `from_arrays`."""
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "projection": self.projection}
        if self.scale is not None:
            arrays |= {"scale": self.scale, "format": np.array(FORMAT)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Restore a hash from the result of `arrays`, of this version or an earlier one.

        Raises:
            CodesError: An array is missing, their shapes differ, or the format is newer.
        """
        version = int(arrays.get("format", 1))
        if version > FORMAT:
            raise CodesError(
                f"{cls.name}: stored in format {version}, this facehash reads up to {FORMAT}; "
                "upgrade facehash"
            )
        missing = {"mean", "projection"} - arrays.keys()
        if missing:
            raise CodesError(f"{cls.name}: the stored arrays lack {min(missing)!r}")
        return cls(arrays["mean"], arrays["projection"], arrays.get("scale"))


def scale_of_bits(sizes: NDArray[np.float64]) -> Vectors:
    """Return what divides the projections of each bit before an asymmetric comparison.

    A bit that is 0 everywhere, up to rounding, has the largest scale of all, so that it hardly
    counts.

    Args:
        sizes: float64 (bits,), the mean absolute projection of each bit.

    Returns:
        float32 (bits,), above 0.
    """
    largest = sizes.max()
    return np.where(sizes <= _NOISE * largest, largest or 1.0, sizes).astype(np.float32)


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
