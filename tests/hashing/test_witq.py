"""Whitened ITQ, against loops written from its equations."""

import numpy as np
import pytest

from facehash.codes import CodesError, bits_from_packed
from facehash.hashing import IterativeQuantization, WhitenedITQ
from facehash.hashing.itq import rotation
from facehash.hashing.witq import adapting_whitening, within_whitening


@pytest.fixture
def people():
    """Vectors whose photos of one person differ most where people differ least."""
    rng = np.random.default_rng(2006)
    labels = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    between = rng.normal(size=(60, 12)) * np.linspace(1.5, 0.3, 12)
    within = rng.normal(size=(len(labels), 12)) * np.linspace(0.2, 2, 12)
    return (between[labels] + within + 4).astype("float32"), labels


def test_the_whitening_is_the_inverse_root_of_the_covariance_within_people(people):
    vectors, labels = people
    vectors = vectors.astype(float)
    scatter, freedom = np.zeros((12, 12)), 0
    for person in range(60):
        own = vectors[labels == person]
        if len(own) >= 2:
            freedom += len(own) - 1
            for vector in own:
                scatter += np.outer(vector - own.mean(axis=0), vector - own.mean(axis=0))
    within = scatter / freedom
    expected = 0.7 * within + 0.3 * np.trace(within) / 12 * np.eye(12)
    whitening = within_whitening(vectors, labels, shrink=0.3)
    np.testing.assert_allclose(whitening, whitening.T, atol=1e-12)
    np.testing.assert_allclose(whitening @ expected @ whitening, np.eye(12), atol=1e-9)


def test_codes_are_those_of_the_definition_step_by_step(people):
    vectors, labels = people
    hashed = WhitenedITQ.fit(vectors, 7, seed=3, labels=labels, shrink=0.2)
    mean = vectors.astype(float).mean(axis=0)
    units = np.stack([(v - mean) / np.linalg.norm(v - mean) for v in vectors.astype(float)])
    whitening = within_whitening(units, labels, 0.2)
    whitened = np.stack([u @ whitening / np.linalg.norm(u @ whitening) for u in units])
    _, _, directions = np.linalg.svd(whitened, full_matrices=False)  # not centered again
    # A direction may have the other sign, which the rotation does not undo: compare the spans.
    ours = np.linalg.lstsq(whitening, hashed.projection.astype(float), rcond=None)[0]
    inside = directions[:7].T @ (directions[:7] @ ours)
    np.testing.assert_allclose(inside, ours, atol=1e-4)
    np.testing.assert_allclose(ours.T @ ours, np.eye(7), atol=1e-4)
    bits = bits_from_packed(hashed.encode(vectors), 7)
    np.testing.assert_array_equal(bits, (whitened @ ours >= 0))  # scaling a row changes no sign
    turned = rotation(whitened @ ours, seed=3, iterations=0)
    assert turned.shape == (7, 7)
    losses = [
        np.square(np.where(part >= 0, 1, -1) - part).sum()
        for part in (whitened @ ours, whitened @ ours @ turned)
    ]
    assert losses[0] < losses[1]  # ITQ quantizes better than a random rotation


def test_codes_adapted_to_a_library_are_those_of_the_definition(people):
    vectors, labels = people
    known = labels < 35
    library = vectors[~known].astype(float)
    hashed = WhitenedITQ.fit(vectors[known], 7, 3, labels=labels[known], library=vectors[~known])
    others = vectors[known].astype(float)
    units = np.stack([v / np.linalg.norm(v) for v in others - others.mean(axis=0)])
    whitening = within_whitening(units, labels[known], 0.1)
    total = sum(np.outer(u @ whitening, u @ whitening) for u in units) / len(units)
    shares, basis = np.linalg.eigh(np.eye(12) - np.linalg.inv(total))
    adapting = adapting_whitening(units, whitening)
    gram = whitening @ basis @ np.diag(np.maximum(shares, 0.01)) @ basis.T @ whitening
    np.testing.assert_allclose(adapting @ adapting.T, gram, atol=1e-8)
    np.testing.assert_allclose(hashed.mean, library.mean(axis=0), rtol=1e-5)
    centered = np.stack([v / np.linalg.norm(v) for v in library - library.mean(axis=0)])
    whitened = np.stack([u @ adapting / np.linalg.norm(u @ adapting) for u in centered])
    _, _, directions = np.linalg.svd(whitened, full_matrices=False)
    ours = np.linalg.lstsq(adapting, hashed.projection.astype(float), rcond=None)[0]
    np.testing.assert_allclose(directions[:7].T @ (directions[:7] @ ours), ours, atol=1e-4)
    np.testing.assert_allclose(ours.T @ ours, np.eye(7), atol=1e-4)
    size = np.abs(hashed.projections(vectors[~known])).mean(axis=0)
    np.testing.assert_allclose(size, 1, rtol=1e-4)  # the scale is that of the library
    with pytest.raises(CodesError, match="witq: the vectors of the library have length 11, the ot"):
        WhitenedITQ.fit(vectors, 7, 3, labels=labels, library=vectors[:, :11])


def test_whitening_ranks_photos_of_new_people_better(people):
    vectors, labels = people
    known = labels < 40

    def precision(hasher):
        bits = bits_from_packed(hasher.encode(vectors[~known]), 8)
        names = labels[~known]
        distances = (bits[:, None] != bits[None]).sum(axis=2).astype(float)
        np.fill_diagonal(distances, np.inf)
        same = names[:, None] == names[None]
        np.fill_diagonal(same, False)
        ranks = [
            (distances[i] < distances[i][same[i]].min()).sum()
            for i in np.flatnonzero(same.any(axis=1))
        ]
        return np.mean(ranks)

    plain = [precision(IterativeQuantization.fit(vectors[known], 8, s)) for s in range(5)]
    ours = [
        precision(WhitenedITQ.fit(vectors[known], 8, s, labels=labels[known])) for s in range(5)
    ]
    assert np.mean(ours) < np.mean(plain)


def test_the_seed_decides_the_codes_and_names_are_labels_too(people):
    vectors, labels = people
    names = np.array([f"person {label}" for label in labels])
    codes = [
        WhitenedITQ.fit(vectors, 8, seed, labels=given).encode(vectors)
        for seed, given in ((1, labels), (1, names), (2, labels))
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any()
    hashed = WhitenedITQ.fit(vectors, 8, 1, labels=labels)
    restored = WhitenedITQ.from_arrays(hashed.arrays())
    np.testing.assert_array_equal(restored.projections(vectors), hashed.projections(vectors))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": None}, "needs the person of each of the .* vectors, got no labels"),
        ({"labels": [1, 2]}, r"got labels of shape \(2,\)"),
        ({"labels": "each"}, "no person has two different vectors; use itq"),
        ({"shrink": 0}, "shrink must be above 0 and at most 1, got 0"),
        ({"bits": 13}, "13 bits need vectors of length 13 or more, got length 12"),
    ],
)
def test_what_cannot_be_fitted_on_is_refused(people, change, message):
    vectors, labels = people
    arguments = {"bits": 8, "seed": 0, "labels": labels} | change
    if isinstance(arguments["labels"], str):
        arguments["labels"] = np.arange(len(vectors))
    with pytest.raises(CodesError, match=message):
        WhitenedITQ.fit(vectors, **arguments)
