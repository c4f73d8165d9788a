"""Random hyperplanes: codes whose Hamming distance estimates an angle."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from facehash.hashing.linear import LinearHash, check_collection


class RandomHyperplanes(LinearHash):
    """Locality-sensitive hashing by the signs of projections on Gaussian directions.

    For two vectors at angle t, seen from the mean, a bit differs with probability t / pi. Centring
    matters: embeddings of faces share a large common part, and hyperplanes through the origin leave
    most of them on one side.

    Reference:
        Charikar. Similarity Estimation Techniques from Rounding Algorithms. STOC 2002, section 3.
        The centring is ours.
    """

    name = "lsh"

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Take the mean of `vectors`, and directions from `seed`.

        The first directions are the same whatever `bits` is: a longer code begins with the shorter.

        Args:
            vectors: Finite real numbers (n, d), at least two rows; only their mean is used.
            bits: Length of a code, 1 to 1,024.
            seed: At least 0.

        Raises:
            CodesError: Vectors of another shape, not finite, or fewer than two; or too many bits.
        """
        rows = check_collection(vectors, bits, cls.name)
        directions = np.random.default_rng(seed).standard_normal((bits, rows.shape[1]))
        return cls(rows.mean(axis=0), directions.T)
