"""Baselines on a trained network: hashes of its features, and the code of its classifier.

They show how much of a network's score is due to its hash layer. ``lsh`` and ``itq`` hash the
network's features, fitted on the training images; ``witq`` and ``ndh`` also use their labels;
``cosine`` compares the float features and is the ceiling; the ``classifier`` code shows the score
of a classifier alone, where the identities of the queries are in the training set.

Reference:
    The classifier code: Sablayrolles, Douze, Usunier, Jegou. How should we evaluate supervised
    hashing? ICASSP 2017 (arXiv 1609.06753).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError, Packed, packed_from_bits
from facehash.dataset import IndexArray, SplitName
from facehash.hashing import HASHERS, LABELED_HASHERS, LinearHash
from facehash.retrieval.codes_file import CodeSet

CANDIDATES = 64  # random codes tried per person; see `spread_codes`


@dataclass(frozen=True)
class Features:
    """A network's features of the images in each role, and its predictions."""

    train: NDArray[np.float32]  # (t, d)
    gallery: NDArray[np.float32]  # (n, d)
    query: NDArray[np.float32]  # (q, d)
    gallery_labels: IndexArray  # (n,)
    query_labels: IndexArray  # (q,)
    predicted: IndexArray  # (q,), the label predicted for each query by the classifier
    leaks: list[str] | None = None  # see `experiments.run.leaks.find_leaks`
    split: SplitName | None = None  # where the roles come from
    train_labels: IndexArray | None = None  # (t,)


def fit_hash(features: Features, hasher: str, bits: int, seed: int) -> LinearHash:
    """Fit a method of `facehash.hashing` to the features of the training images.

    Raises:
        CodesError: More bits than the hasher supports.
    """
    if hasher in LABELED_HASHERS:
        kind, labels = LABELED_HASHERS[hasher], features.train_labels
        return kind.fit(features.train, bits, seed, labels=labels)
    return HASHERS[hasher].fit(features.train, bits, seed)


def encode(fitted: LinearHash, features: Features) -> CodeSet:
    """Encode the features of gallery and query by a hash, with the projections of the queries."""
    return CodeSet(
        fitted.encode(features.gallery),
        fitted.encode(features.query),
        features.gallery_labels,
        features.query_labels,
        fitted.bits,
        query_projections=fitted.projections(features.query),
    )


def recentred(fitted: LinearHash, features: Features) -> LinearHash:
    """Return the same hash with the mean of the gallery's features in place of its own.

    This needs no labels, but it fits the hash to the gallery.
    """
    return LinearHash(_mean(features), fitted.projection, fitted.scale)


def centered(features: Features) -> Features:
    """Subtract the mean of the gallery's features from those of gallery and query."""
    mean = _mean(features)
    return replace(features, gallery=features.gallery - mean, query=features.query - mean)


def _mean(features: Features) -> NDArray[np.float32]:
    return features.gallery.mean(axis=0, dtype=np.float64).astype(np.float32)


def classifier_code(features: Features, bits: int, seed: int) -> CodeSet:
    """Encode each gallery image by its label, and each query by its predicted label.

    Raises:
        CodesError: There are fewer codes of this length than people.
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
    """Draw distinct codes that lie far apart, one per person.

    Each is the best of `CANDIDATES` random codes: the one whose nearest earlier code is farthest.

    Returns:
        Packed codes, uint8 (count, ceil(bits / 8)).

    Raises:
        CodesError: `count` exceeds the number of codes.
    """
    if count > 2**bits:
        raise CodesError(f"{bits} bits give {2**bits} codes, fewer than the {count} people")
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, 2, (1, bits), dtype=np.int8)
    while len(chosen) < count:
        tried = rng.integers(0, 2, (CANDIDATES, bits), dtype=np.int8)
        nearest = (tried[:, None] != chosen[None]).sum(axis=2).min(axis=1)
        best = int(nearest.argmax())
        if nearest[best]:
            chosen = np.vstack([chosen, tried[best]])
    return packed_from_bits(chosen)
