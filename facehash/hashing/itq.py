"""Iterative quantization: principal components, rotated close to the corners of a cube."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hashing.linear import LinearHash, check_collection

ITERATIONS = 50  # as published


class IterativeQuantization(LinearHash):
    """PCA to `bits` dimensions, then the rotation with the smallest quantization error.

    With V (n, bits) the centered vectors in their first principal components, ITQ minimizes
    ``|| sign(V R) - V R ||^2`` over rotations R (bits, bits). It alternates ``B = sign(V R)`` and
    ``R = T S^T`` from the singular value decomposition ``B^T V = S W T^T``.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(100, 8))
        >>> hasher = IterativeQuantization.fit(vectors, bits=8, seed=0)
        >>> hasher.encode(vectors).shape  # packed: one byte per code
        (100, 1)

    Reference:
        Gong and Lazebnik. Iterative Quantization: A Procrustean Approach to Learning Binary Codes.
        CVPR 2011, sections 2.1 and 2.2.
    """

    name = "itq"

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Fit as `LinearHash.fit`, with `bits` at most d; `seed` draws the first rotation."""
        rows = check_collection(vectors, bits, cls.name)
        if bits > rows.shape[1]:
            raise CodesError(
                f"itq: {bits} bits need vectors of length {bits} or more, got length "
                f"{rows.shape[1]} (lsh has no such limit)"
            )
        mean = rows.mean(axis=0)  # (d,)
        centered = rows - mean
        components = principal_components(centered, bits)  # (d, bits)
        hasher = cls(mean, components @ rotation(centered @ components, seed))
        return hasher.with_scale(rows)


def principal_components(centered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the `count` directions of largest variance of (n, d) rows with mean zero.

    Returns:
        Orthonormal float64 (d, count), largest variance first.
    """
    _, directions = np.linalg.eigh(centered.T @ centered)  # (d, d), by increasing variance
    return np.asarray(directions[:, ::-1][:, :count])


def rotation(
    vectors: NDArray[np.float64], seed: int, iterations: int = ITERATIONS
) -> NDArray[np.float64]:
    """Return the rotation that brings centered vectors close to the corners of the cube.

    Args:
        vectors: (n, bits), centered.
        seed: Seed of the random initial rotation.
        iterations: Number of rounds; none increases the quantization error.

    Returns:
        Orthogonal float64 (bits, bits).
    """
    bits = vectors.shape[1]
    rotated, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))
    for _ in range(iterations):
        corners = np.where(vectors @ rotated >= 0, 1.0, -1.0)  # (n, bits)
        left, _, right = np.linalg.svd(corners.T @ vectors)  # (bits, bits)
        rotated = (left @ right).T
    return np.asarray(rotated)
