"""Thresholds for codes, taken from the vectors that the codes were made of.

The threshold of an embedder says which pairs of faces are of two people. A threshold for codes made
of its vectors is the largest distance within which at most a given share of these pairs falls, so
it needs no names. It holds for the collection that it was computed from.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.measure import threshold_at
from facehash.codes import signs_from_packed
from facehash.hamming.asymmetric import weight_shares
from facehash.hashing import LinearHash
from facehash.vectors import Metric

FALSE_MATCH_RATE = 1e-3
"""Share of the pairs of two people that may fall within a threshold, as for the embedders."""

_FACES = 3000  # drawn from a larger collection: 4.5 million pairs
_ROWS = 500  # queries compared at a time, which bounds the memory
NEVER = -1.0
"""A threshold that no distance is within: even distance 0 is too frequent among two people."""


class CodeThresholds(NamedTuple):
    """Distances beyond which codes count as different people, None if there is no threshold."""

    hamming: float | None = None  # bits
    asymmetric: float | None = None  # bits, see `facehash.index.asymmetric`


def code_thresholds(
    vectors: NDArray[np.float32],
    hasher: LinearHash,
    metric: Metric,
    limit: float,
    rate: float = FALSE_MATCH_RATE,
    seed: int = 0,
) -> CodeThresholds:
    """Find the thresholds of codes by the threshold of their vectors.

    Among the pairs of faces whose vectors are farther apart than `limit`, at most the share `rate`
    has codes within the threshold. For the asymmetric distance each face of a pair is the query
    once.

    Args:
        vectors: float32 (n, d), as the hasher encodes them: of length 1 if compared by cosine. Of
            more than 3,000, some are drawn.
        hasher: The hash, with a scale.
        metric: How the vectors are compared, cosine or Euclidean.
        limit: The threshold of the vectors.
        rate: The false-match rate, 0 to 1.
        seed: Seed of the draw.

    Returns:
        Both thresholds; None if no pair is beyond the limit.
    """
    vectors = vectors[draw_faces(len(vectors), seed)]
    rows = vectors.astype(np.float64)
    signs = signs_from_packed(hasher.encode(vectors), hasher.bits).astype(np.float64)  # (n, bits)
    shares = weight_shares(hasher.projections(vectors))  # (n, bits)
    hamming, asymmetric = [], []
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        different = _distances(rows[block], rows, metric) > limit  # (block, n)
        # A face and itself are one person, even where its vector has length 0.
        own = np.arange(len(rows))[block]
        different[np.arange(len(own)), own] = False
        asymmetric.append(hasher.bits / 2 * (1 - shares[block] @ signs.T)[different])
        later = different & (np.arange(len(rows)) > own[:, None])
        hamming.append(hasher.bits / 2 - (signs[block] @ signs.T)[later] / 2)
    return CodeThresholds(*(_threshold(np.concatenate(one), rate) for one in (hamming, asymmetric)))


def draw_faces(count: int, seed: int) -> NDArray[np.int64]:
    """Return which of so many faces the thresholds are computed from, at most 3,000, increasing."""
    if count <= _FACES:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, _FACES, replace=False))


def _distances(
    queries: NDArray[np.float64], rows: NDArray[np.float64], metric: Metric
) -> NDArray[np.float64]:
    similarity = queries @ rows.T  # (q, n)
    if metric == "cosine":
        return 1 - similarity
    squares = np.square(queries).sum(axis=1)[:, None] + np.square(rows).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares - 2 * similarity, 0)))


def _threshold(different: NDArray[np.float64], rate: float) -> float | None:
    """Return the threshold of unsorted distances between two people, None without any."""
    if not len(different):
        return None
    found = threshold_at(np.sort(different), rate)
    # Too many pairs at the smallest distance: to accept them would exceed the rate.
    return found if np.mean(different <= found) <= rate else NEVER
