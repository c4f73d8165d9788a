"""Synthetic people: as many faces as asked for, spread like those they are estimated from."""

import numpy as np
import pytest

from benchmarks.search import people
from benchmarks.search.people import Population, draw_library, estimate, read_people

SIZES = np.array([1, 1, 3, 6])


@pytest.fixture
def population():
    rng = np.random.default_rng(0)
    return Population(rng.normal(size=4), rng.normal(size=(4, 4)), 0.3 * np.eye(4))


def test_a_library_has_the_asked_number_of_faces_of_people_in_one_piece(population, monkeypatch):
    monkeypatch.setattr(people, "_PEOPLE_PER_BLOCK", 50)
    blocks = list(draw_library(population, SIZES, 1000, seed=1))
    vectors, labels = (np.concatenate(part) for part in zip(*blocks, strict=True))
    assert len(blocks) > 3 and vectors.shape == (1000, 4) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert labels[0] == 0 and set(np.diff(labels).tolist()) == {0, 1}
    counts = np.bincount(labels)[:-1]  # the last person gets what is missing
    assert set(counts.tolist()) == {1, 3, 6}
    assert np.mean(counts == 1) == pytest.approx(0.5, abs=0.1)
    again = np.concatenate([one for one, _ in draw_library(population, SIZES, 1000, seed=1)])
    np.testing.assert_array_equal(again, vectors)
    [(fewer, _)] = draw_library(population, SIZES, 7, seed=1)
    assert len(fewer) == 7


def test_the_population_of_drawn_people_is_that_of_the_file(tmp_path):
    rng = np.random.default_rng(3)
    # Far from the origin, so that scaling to length 1 hardly changes what is estimated.
    source = Population(np.eye(5)[0], 0.05 * rng.normal(size=(5, 5)), 0.02 * np.eye(5))
    parts = zip(*draw_library(source, SIZES, 30_000, seed=4), strict=True)
    vectors, labels = map(np.concatenate, parts)
    np.savez(tmp_path / "faces.npz", vectors=vectors.astype(np.float16), labels=labels)
    found, sizes = read_people(tmp_path / "faces.npz")
    np.testing.assert_array_equal(sizes, np.bincount(labels))
    parts = zip(*draw_library(found, sizes, 30_000, seed=5), strict=True)
    again = estimate(*map(np.concatenate, parts))
    for one, other in zip(found[1:], again[1:], strict=True):
        covariance = one @ one.T
        error = np.linalg.norm(covariance - other @ other.T) / np.linalg.norm(covariance)
        assert error < 0.15  # scaling to length 1 removes a part
    np.testing.assert_allclose(found.mean, again.mean, atol=5e-3)
