"""Iterative quantization: principal components, turned until they lie close to their signs."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError
from facehash.hashing.linear import LinearHash, check_collection

ITERATIONS = 50
"""As published."""


class IterativeQuantization(LinearHash):
    """PCA to as many dimensions as bits, then the rotation that costs least when signs are taken.

    With V the centred vectors in their first `bits` principal components, it minimises
    ``|| sign(V R) - V R ||^2`` over rotations R, taking turns: ``B = sign(V R)``; then R from the
    singular value decomposition ``B^T V = S W T^T`` as ``R = T S^T``.

    Reference:
        Gong and Lazebnik. Iterative Quantization: A Procrustean Approach to Learning Binary Codes.
        CVPR 2011, sections 2.1 and 2.2.
    """

    name = "itq"

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Find the projection; the first rotation is random, from `seed`.

        Args:
            vectors: Finite real numbers (n, d), at least two rows.
            bits: Length of a code, 1 to min(d, 1,024).
            seed: At least 0.

        Raises:
            CodesError: Vectors of another shape, not finite, or fewer than two; or more bits than
                dimensions.
        """
        rows = check_collection(vectors, bits, cls.name)
        if bits > rows.shape[1]:
            raise CodesError(
                f"itq: has at most one bit a dimension, asked for {bits} bits of vectors of length "
                f"{rows.shape[1]} (lsh has no such limit)"
            )
        mean = rows.mean(axis=0)
        rows -= mean
        components = principal_components(rows, bits)
        return cls(mean, components @ rotation(rows @ components, seed))


def principal_components(centred: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the directions of largest variance, orthonormal float64 (d, count), largest first.

    Args:
        centred: (n, d), mean zero.
        count: 1 to d.
    """
    _, directions = np.linalg.eigh(centred.T @ centred)  # by increasing variance
    return np.asarray(directions[:, ::-1][:, :count])


def rotation(
    vectors: NDArray[np.float64], seed: int, iterations: int = ITERATIONS
) -> NDArray[np.float64]:
    """Turn vectors towards the corners of the cube.

    Args:
        vectors: (n, bits), centred.
        seed: Of the random rotation to begin with.
        iterations: Rounds; each lowers the quantization error or leaves it.

    Returns:
        Orthogonal float64 (bits, bits).
    """
    bits = vectors.shape[1]
    turned, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))
    for _ in range(iterations):
        corners = np.where(vectors @ turned >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(corners.T @ vectors)
        turned = (left @ right).T
    return np.asarray(turned)
