"""Vectors of many people, drawn like those of real faces: within and between people."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.vectors import unit_rows

Matrix = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

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


def read_people(path: Path) -> tuple[Population, Labels]:
    """Estimate a population from a file of vectors, and count the faces of its people.

    Args:
        path: An .npz with ``vectors`` (n, d) of length 1 and ``labels`` (n,).

    Returns:
        The population, and the number of faces of each person in the file, int64 (people,).
    """
    with np.load(path) as file:
        vectors, labels = unit_rows(file["vectors"].astype(np.float32)), file["labels"]
    return estimate(vectors, labels), np.unique(labels, return_counts=True)[1].astype(np.int64)


def draw_library(
    population: Population, sizes: Labels, faces: int, seed: int
) -> Iterator[tuple[Vectors, Labels]]:
    """Yield blocks of faces of length 1 with their people; a person's faces follow each other.

    Args:
        population: See `estimate`.
        sizes: int64, numbers of faces; that of each person is drawn from these, with replacement.
            The last person gets what is missing.
        faces: Number of faces in all blocks together.
        seed: Seed of the draw.

    Yields:
        float32 (m, d) and int64 (m,); people are numbered from 0 in their order.

    Example:
        >>> people = Population(np.zeros(2), np.eye(2), np.eye(2))
        >>> [(vectors, labels)] = draw_library(people, np.array([2]), 5, seed=0)
        >>> vectors.shape, labels.tolist()
        ((5, 2), [0, 0, 1, 1, 2])
    """
    rng = np.random.default_rng(seed)
    size = len(population.mean)
    between, within = (one.T.astype(np.float32) for one in population[1:])
    person, left = 0, faces
    while left:
        numbers = rng.choice(sizes, _PEOPLE_PER_BLOCK)
        numbers = np.diff(np.minimum(numbers.cumsum(), left), prepend=0)
        numbers = numbers[numbers > 0]
        means = rng.standard_normal((len(numbers), size), np.float32) @ between
        means += population.mean.astype(np.float32)
        rows = rng.standard_normal((int(numbers.sum()), size), np.float32) @ within
        rows += np.repeat(means, numbers, axis=0)
        yield unit_rows(rows), np.repeat(np.arange(len(numbers)) + person, numbers)
        person, left = person + len(numbers), left - len(rows)
