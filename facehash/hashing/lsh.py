"""Random hyperplanes: codes whose Hamming distance estimates an angle."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from facehash.hashing.linear import LinearHash, check_collection


class RandomHyperplanes(LinearHash):
    """Locality-sensitive hashing by the signs of projections on Gaussian directions.

    For two vectors at angle t, seen from the mean, each bit differs with probability t / pi. The
    vectors are centered because face embeddings share a large common component: hyperplanes
    through the origin would leave most of them on one side.

    Reference:
        Charikar. Similarity Estimation Techniques from Rounding Algorithms. STOC 2002, section 3.
        The centering is not in the paper.
    """

    name = "lsh"

    @classmethod
    def fit(cls, vectors: ArrayLike, bits: int, seed: int) -> Self:
        """Fit as `LinearHash.fit`; only the mean of the vectors and the scale depend on them.

        With the same seed, a longer code starts with the shorter one.
        """
        rows = check_collection(vectors, bits, cls.name)
        directions = np.random.default_rng(seed).standard_normal((bits, rows.shape[1]))
        return cls(rows.mean(axis=0), directions.T).with_scale(rows)
