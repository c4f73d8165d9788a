"""Vectors of many people, drawn like those of real faces: within and between people."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.vectors import unit_rows

Matrix = NDArray[np.float64]
Vectors = NDArray[np.float32]

_PEOPLE_PER_BLOCK = 20_000


class Population(NamedTuple):
    """A normal distribution of people, and one of the faces of a person around their mean."""

    mean: Matrix  # (d,)
    between: Matrix  # (d, d), maps standard normal numbers to a person's mean
    within: Matrix  # (d, d), maps standard normal numbers to a face minus its person's mean


def estimate(vectors: Vectors, labels: NDArray[np.integer]) -> Population:
    """Estimate the covariances between and within people.

    The covariance of the means of n_i faces exceeds that of people by the covariance within people
    times the mean of 1 / n_i, which is subtracted; negative eigenvalues become 0.

    Args:
        vectors: float32 (n, d), of length 1.
        labels: Integers (n,), the person of each vector; some have two or more.
    """
    rows = vectors.astype(np.float64)
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), rows.shape[1]))
    np.add.at(means, person, rows)
    means /= count[:, None]
    apart = (rows - means[person])[count[person] > 1]
    within = apart.T @ apart / (len(apart) - (count > 1).sum())
    centred = means - means.mean(axis=0)
    between = centred.T @ centred / len(means) - within * (1 / count).mean()
    values, directions = np.linalg.eigh(between)
    return Population(
        means.mean(axis=0),
        directions * np.sqrt(np.maximum(values, 0)),
        np.linalg.cholesky(within),
    )


def draw(population: Population, people: int, faces: int, seed: int) -> Iterator[Vectors]:
    """Yield blocks of faces of length 1; the faces of a person follow each other.

    Args:
        population: See `estimate`.
        people: Number of people.
        faces: Faces of each.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng(seed)
    size = len(population.mean)
    between, within = (one.T.astype(np.float32) for one in population[1:])
    for start in range(0, people, _PEOPLE_PER_BLOCK):
        count = min(_PEOPLE_PER_BLOCK, people - start)
        means = rng.standard_normal((count, size), np.float32) @ between
        rows = rng.standard_normal((count * faces, size), np.float32) @ within
        rows += np.repeat(means + population.mean.astype(np.float32), faces, axis=0)
        yield unit_rows(rows)
