"""Codes that no network was trained to give: hashes of its features, and its classifier's word.

All stand on a trained network and answer how much of its score its hashing earns. ``lsh`` and
``itq`` hash the network's features, fitted on the training images; ``cosine`` compares the features
themselves and is the ceiling; the ``classifier`` code shows what a classifier alone would score
where the people of the queries were trained on.

Reference:
    The classifier code: Sablayrolles, Douze, Usunier, Jegou. How should we evaluate supervised
    hashing? ICASSP 2017 (arXiv 1609.06753).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError, Packed, packed_from_bits
from facehash.dataset import IndexArray
from facehash.hashing import HASHERS
from facehash.retrieval.codes_file import CodeSet

CANDIDATES = 64
"""Random codes tried for each person; the one farthest from those before is taken."""


@dataclass(frozen=True)
class Features:
    """What a network says of the images of a data set's roles.

    Attributes:
        train: float32 (t, d), features of the training images.
        gallery: float32 (n, d).
        query: float32 (q, d).
        gallery_labels: int64 (n,).
        query_labels: int64 (q,).
        predicted: int64 (q,), the label that the network's classifier gives each query.
    """

    train: NDArray[np.float32]
    gallery: NDArray[np.float32]
    query: NDArray[np.float32]
    gallery_labels: IndexArray
    query_labels: IndexArray
    predicted: IndexArray


def hashed(features: Features, hasher: str, bits: int, seed: int) -> CodeSet:
    """Hash features by ``"lsh"`` or ``"itq"``, fitted on those of the training images.

    Raises:
        CodesError: More bits than `hasher` can give.
    """
    fitted = HASHERS[hasher].fit(features.train, bits, seed)
    return CodeSet(
        fitted.encode(features.gallery),
        fitted.encode(features.query),
        features.gallery_labels,
        features.query_labels,
        bits,
    )


def classifier_code(features: Features, bits: int, seed: int) -> CodeSet:
    """Code each gallery image by its own label, and each query by the label predicted for it.

    Raises:
        CodesError: Fewer codes of this length than people.
    """
    people = int(max(features.gallery_labels.max(), features.predicted.max())) + 1
    codes = spread_codes(people, bits, seed)
    return CodeSet(
        codes[features.gallery_labels],
        codes[features.predicted],
        features.gallery_labels,
        features.query_labels,
        bits,
    )


def spread_codes(count: int, bits: int, seed: int) -> Packed:
    """Draw distinct codes that lie far apart, one a person.

    Each is the best of `CANDIDATES` random ones: that whose nearest earlier code is farthest.

    Args:
        count: How many, at least 1.
        bits: Length of a code.
        seed: At least 0.

    Returns:
        uint8 (count, ceil(bits / 8)), packed.

    Raises:
        CodesError: `count` exceeds the number of codes.
    """
    if count > 2**bits:
        raise CodesError(f"{bits} bits make {2**bits} codes, fewer than the {count} people")
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, 2, (1, bits), dtype=np.int8)
    while len(chosen) < count:
        tried = rng.integers(0, 2, (CANDIDATES, bits), dtype=np.int8)
        nearest = (tried[:, None] != chosen[None]).sum(axis=2).min(axis=1)
        best = int(nearest.argmax())
        if nearest[best]:
            chosen = np.vstack([chosen, tried[best]])
    return packed_from_bits(chosen)
