"""Neighborhood distillation, against loops written from its equations."""

import numpy as np
import pytest

from facehash.codes import CodesError
from facehash.hashing import LinearHash, NeighborhoodDistillation, WhitenedITQ
from facehash.hashing.ndh import distill, distillation_loss


@pytest.fixture
def rng():
    return np.random.default_rng(2019)


@pytest.fixture
def people(rng):
    labels = np.repeat(np.arange(40), 5)
    vectors = rng.normal(size=(40, 12))[labels] + 0.5 * rng.normal(size=(200, 12)) + 2
    return vectors.astype("float32"), labels


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def loss_by_loops(projected, vectors, teacher, student, sizes):
    count, bits = projected.shape
    codes, total = np.tanh(projected), 0.0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        chances = np.array([np.exp(vectors[i] @ vectors[j] / teacher) for j in others])
        chances /= chances.sum()
        for left in (codes[i], projected[i] / sizes):
            scores = np.array([np.exp(left @ codes[j] / bits / student) for j in others])
            total -= 0.5 * sum(chances * np.log(scores / scores.sum())) / count
    return total + 0.1 * np.mean([1 - abs(h) for row in codes for h in row])


def test_the_loss_equals_loops_and_its_gradient_finite_differences(rng):
    vectors, projected = unit(rng.normal(size=(7, 5))), rng.normal(size=(7, 4))
    sizes = np.abs(projected).mean(axis=0)
    loss, slope = distillation_loss(projected.copy(), vectors, 0.3, 0.4)
    assert loss == pytest.approx(loss_by_loops(projected, vectors, 0.3, 0.4, sizes))
    for index in np.ndindex(7, 4):
        step = np.zeros((7, 4))
        step[index] = 1e-5
        up, down = (
            loss_by_loops(projected + sign * step, vectors, 0.3, 0.4, sizes) for sign in (1, -1)
        )
        assert slope[index] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-8)


def test_without_steps_it_is_whitened_itq(people):
    vectors, labels = people
    ours = NeighborhoodDistillation.fit(vectors, 8, 1, labels=labels, steps=0)
    start = WhitenedITQ.fit(vectors, 8, 1, labels=labels)
    np.testing.assert_allclose(ours.projection, start.projection, atol=1e-6)


def test_steps_lower_the_loss_and_the_seed_decides_the_codes(people):
    vectors, labels = people
    rows = unit(vectors.astype(float) - vectors.mean(axis=0))
    before = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 6)))[0]
    after = distill(rows, before, seed=0, steps=60)
    size = np.abs(rows @ before).mean()
    losses = [distillation_loss(rows @ w / size, rows)[0] for w in (before, after)]
    assert losses[1] < 0.95 * losses[0]
    codes = [
        NeighborhoodDistillation.fit(vectors, 8, s, labels=labels, steps=5).encode(vectors)
        for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any()


def test_the_vectors_of_a_library_change_the_codes(people, rng):
    vectors, labels = people
    known = labels < 25
    fitted = [
        NeighborhoodDistillation.fit(
            *(vectors[known], 8, 0), labels=labels[known], library=library, steps=20
        )
        for library in (None, vectors[~known])
    ]
    np.testing.assert_allclose(fitted[1].mean, vectors[~known].mean(axis=0), rtol=1e-5)
    assert (fitted[0].encode(vectors) != fitted[1].encode(vectors)).any()
    size = np.abs(fitted[1].projections(vectors[~known])).mean(axis=0)
    np.testing.assert_allclose(size, 1, rtol=1e-4)  # the scale is that of the library
    restored = LinearHash.from_arrays(fitted[1].arrays())
    np.testing.assert_array_equal(restored.encode(vectors), fitted[1].encode(vectors))


def test_what_cannot_be_fitted_on_is_refused(people):
    vectors, labels = people
    fit = NeighborhoodDistillation.fit
    with pytest.raises(CodesError, match="ndh: needs the person of each of the 200 vectors"):
        fit(vectors, 8, 0)
    with pytest.raises(CodesError, match="ndh: the vectors of the library have length 11, the oth"):
        fit(vectors, 8, 0, labels=labels, library=vectors[:, :11])
    with pytest.raises(CodesError, match="ndh: 13 bits need vectors of length 13"):
        fit(vectors, 13, 0, labels=labels)
