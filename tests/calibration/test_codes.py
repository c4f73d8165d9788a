"""Thresholds of codes against a loop over all pairs."""

import numpy as np
import pytest

from facehash.calibration import codes
from facehash.calibration.codes import NEVER, CodeThresholds, code_thresholds
from facehash.hashing import IterativeQuantization, RandomHyperplanes
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.vectors import Space, unit_rows


def faces(people, each, seed=0, noise=0.4):
    """Vectors of length 1 (people * each, 16), those of a person close to each other."""
    rng = np.random.default_rng(seed)
    means = np.repeat(rng.normal(size=(people, 16)), each, axis=0)
    return unit_rows((means + noise * rng.normal(size=means.shape)).astype(np.float32))


def pairs_beyond(vectors, hasher, limit, metric):
    """Distances of the pairs that the vectors call different, from the indexes of a search."""
    ids = np.arange(len(vectors))
    space = Space("hamming", hasher.bits)
    hamming = ExactIndex.build(hasher.encode(vectors), ids, space)
    asymmetric = AsymmetricIndex.build(hasher.encode(vectors), ids, space)
    vectors_index = ExactIndex.build(vectors, ids, Space(metric, vectors.shape[1]))
    found = {"hamming": [], "asymmetric": []}
    for i in range(len(vectors)):
        far = vectors_index.search(vectors[i : i + 1], len(vectors))
        different = set(far.ids[0][far.distances[0] > limit].tolist()) - {i}
        by_code = hamming.search(hasher.encode(vectors[i : i + 1]), len(vectors))
        by_float = asymmetric.search(hasher.projections(vectors[i : i + 1]), len(vectors))
        for name, one in (("hamming", by_code), ("asymmetric", by_float)):
            for distance, j in zip(one.distances[0], one.ids[0].tolist(), strict=True):
                if j in different and (name == "asymmetric" or j > i):
                    found[name].append(distance)
    return {name: np.array(distances) for name, distances in found.items()}


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("hasher", [IterativeQuantization, RandomHyperplanes])
def test_at_most_the_rate_of_different_pairs_is_within_and_no_more_could_be(hasher, metric):
    vectors, limit, rate = faces(40, 3), 0.6, 0.01
    hashed = hasher.fit(vectors, 16, seed=0)
    found = code_thresholds(vectors, hashed, metric, limit, rate)
    different = pairs_beyond(vectors, hashed, limit, metric)
    for name, distances in different.items():
        threshold = getattr(found, name)
        assert 0 < np.mean(distances <= threshold) <= rate
        # To accept the next distance would exceed the rate.
        following = distances[distances > threshold].min()
        assert np.mean(distances <= following) > rate


def test_a_large_collection_is_sampled(monkeypatch):
    vectors = faces(300, 2)
    hashed = RandomHyperplanes.fit(vectors, 64, seed=0)
    whole = code_thresholds(vectors, hashed, "cosine", 0.6, 0.01)
    monkeypatch.setattr(codes, "_FACES", 300)
    drawn = code_thresholds(vectors, hashed, "cosine", 0.6, 0.01, seed=1)
    assert drawn != whole
    np.testing.assert_allclose(drawn, whole, atol=3)
    assert drawn == code_thresholds(vectors, hashed, "cosine", 0.6, 0.01, seed=1)


def test_without_a_pair_of_two_people_there_is_no_threshold():
    vectors = faces(1, 5, noise=0.01)
    hashed = RandomHyperplanes.fit(vectors, 8, seed=0)
    assert code_thresholds(vectors, hashed, "cosine", 0.5) == CodeThresholds(None, None)


def test_codes_too_short_to_tell_people_apart_accept_nobody():
    vectors = faces(50, 1)
    found = code_thresholds(vectors, RandomHyperplanes.fit(vectors, 2, seed=0), "cosine", 0.5)
    assert found.hamming == NEVER
