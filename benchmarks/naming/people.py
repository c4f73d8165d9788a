"""Labeled vectors: those of a file, and synthetic ones with the same covariances."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.vectors import Space, unit_rows

SPACE = Space("cosine", 128)


class LabeledVectors(NamedTuple):
    """Vectors of length 1, and whose they are."""

    rows: NDArray[np.float32]  # (n, d)
    labels: NDArray[np.int64]  # (n,), 0, 1, ...

    def of_people(self, people: NDArray[np.int64]) -> "LabeledVectors":
        """Return the vectors of some people."""
        chosen = np.isin(self.labels, people)
        return LabeledVectors(self.rows[chosen], self.labels[chosen])


def read_vectors(path: Path) -> LabeledVectors:
    """Read `vectors` (n, d) and `labels` (n,) of an .npz file."""
    with np.load(path, allow_pickle=False) as stored:
        labels = np.unique(stored["labels"], return_inverse=True)[1]
        return LabeledVectors(unit_rows(stored["vectors"].astype(np.float32)), labels)


def synthetic_people(
    real: LabeledVectors, sizes: NDArray[np.int64], rng: np.random.Generator
) -> LabeledVectors:
    """Draw people and faces from normal distributions with the covariances of real ones.

    Args:
        real: The covariances between people and within people are those of its people with five
            faces or more.
        sizes: int64 (people,), the number of faces of each.
        rng: The source of randomness.
    """
    counts = np.bincount(real.labels)
    people = np.flatnonzero(counts >= _FACES)
    rows, labels = real.of_people(people)
    number = np.searchsorted(people, labels)
    sums = np.zeros((len(people), rows.shape[1]))
    np.add.at(sums, number, rows)
    means = sums / counts[people, None]
    rest = rows - means[number]
    within = rest.T @ rest / (len(rows) - len(people))
    between = np.cov(means.T) - within * np.mean(1 / counts[people])
    center = means.mean(axis=0)
    drawn = rng.normal(size=(len(sizes), len(center))) @ _root(between) + center
    faces = np.repeat(drawn, sizes, axis=0).astype(np.float32)
    step = 10_000
    root = _root(within)
    for start in range(0, len(faces), step):
        part = faces[start : start + step]
        part += rng.normal(size=part.shape) @ root
    return LabeledVectors(unit_rows(faces), np.repeat(np.arange(len(sizes)), sizes))


_FACES = 5


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric square root; eigenvalues below 0, from noise, count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
