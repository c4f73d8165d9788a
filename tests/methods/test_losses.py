"""The losses against loops in NumPy, written from the equations of the papers."""

import keras
import numpy as np
import pytest
from keras import ops

from facehash.methods.csq import central_similarity_loss
from facehash.methods.dcdh import GaussianCenters, regression_loss, separation_loss
from facehash.methods.dpn import polarization_loss
from facehash.methods.greedyhash import StraightThroughSign, greedy_penalty
from facehash.methods.orthohash import orthohash_loss

LABELS = np.array([0, 2, 2, 1, 2])


@pytest.fixture
def code(rng):
    return rng.normal(size=(5, 6)).astype("float32")


@pytest.fixture
def targets(rng):
    return np.where(rng.random((3, 6)) < 0.5, 1.0, -1.0).astype("float32")


def sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def tensor(array):
    return ops.convert_to_tensor(array)


def gradient(function, code):
    """The derivative of a scalar function by central differences."""
    found = np.zeros(code.shape)
    for index in np.ndindex(*code.shape):
        step = np.zeros(code.shape)
        step[index] = 1e-4
        found[index] = (function(code + step) - function(code - step)) / 2e-4
    return found


def test_orthohash_loss_equals_a_loop(rng):
    cosines = rng.uniform(-1, 1, (5, 3)).astype("float32")
    total = 0.0
    for row, label in zip(cosines.astype(float), LABELS, strict=True):
        right = np.exp(7 * (row[label] - 0.3))
        others = sum(np.exp(7 * row[c]) for c in range(3) if c != label)
        total -= np.log(right / (right + others)) / 5
    value = orthohash_loss(tensor(LABELS), tensor(cosines), 7.0, 0.3)
    assert float(value) == pytest.approx(total, rel=1e-5)


def test_central_similarity_loss_equals_binary_cross_entropy_in_a_loop(code, targets):
    total = 0.0
    for row, label in zip(code.astype(float), LABELS, strict=True):
        for u, t in zip(row, targets[label], strict=True):
            p, c = (1 + np.tanh(u)) / 2, (1 + t) / 2
            total -= (c * np.log(p) + (1 - c) * np.log(1 - p)) / code.size
    value = central_similarity_loss(tensor(targets[LABELS]), tensor(code))
    assert float(value) == pytest.approx(total, rel=1e-5)
    far = central_similarity_loss(tensor(-targets), tensor(500 * targets))
    assert float(far) == pytest.approx(1000)  # log(1 - tanh) would be infinite


def test_greedy_penalty_equals_a_loop(code):
    total = sum(abs(u - sign(u)) ** 3 for row in code.astype(float) for u in row) / code.size
    assert float(greedy_penalty(tensor(code))) == pytest.approx(total, rel=1e-5)


def test_the_gradient_of_a_straight_through_sign_is_that_of_the_identity(code):
    weights = np.arange(30).reshape(5, 6).astype("float32")
    layer = StraightThroughSign()
    variable = keras.Variable(code)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(tensor(code))), sign(code), atol=1e-6)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = ops.sum(weights * layer(variable.value))
        np.testing.assert_allclose(tape.gradient(value, variable.value), weights, rtol=1e-6)


def test_polarization_loss_equals_a_loop(code, targets):
    total = 0.0
    for row, label in zip(code.astype(float), LABELS, strict=True):
        total += sum(max(0.7 - u * t, 0) for u, t in zip(row, targets[label], strict=True)) / 5
    value = polarization_loss(tensor(targets[LABELS]), tensor(code), 0.7)
    assert float(value) == pytest.approx(total, rel=1e-5)


def test_separation_loss_equals_a_loop_over_pairs(rng):
    centers = rng.normal(size=(4, 6)).astype("float32")
    total = 0.0
    for i in range(4):
        for j in range(4):
            if i != j:
                lengths = np.linalg.norm(centers[i]) * np.linalg.norm(centers[j])
                total += np.log(1 + np.exp(3 * centers[i] @ centers[j] / lengths)) / 12
    assert float(separation_loss(tensor(centers))) == pytest.approx(total, rel=1e-5)
    assert float(separation_loss(tensor(centers[:1]))) == 0


def test_gaussian_centers_are_a_softmax_of_distances(code):
    layer = GaussianCenters(classes=3, sigma=0.4)
    logits = ops.convert_to_numpy(layer(tensor(code))).astype(float)
    centers = ops.convert_to_numpy(layer.centers)
    expected = [[-0.2 * np.sum((row - m) ** 2) for m in centers] for row in code]
    np.testing.assert_allclose(logits, expected, rtol=1e-4)


def test_regression_loss_equals_least_squares_by_pseudo_inverse(code):
    # W = (Y^T Y)^+ Y^T sign(H), S = sign(Y W + eta H), loss = ||H - S||^2 / n
    one_hot = np.eye(4)[LABELS]  # nobody of the last class is in the batch
    inverse = np.linalg.pinv(one_hot.T @ one_hot)
    solution = sign(one_hot @ (inverse @ one_hot.T @ sign(code)) + 0.01 * code)
    expected = np.sum((code - solution) ** 2) / 5
    value = regression_loss(tensor(LABELS), tensor(code), 4, 0.01)
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_reaches_the_bits_that_images_agree_on(code):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow")
    import tensorflow as tf

    variable = tf.Variable(code)
    with tf.GradientTape() as tape:
        value = regression_loss(tensor(LABELS), variable.value(), 3)
    fixed = [np.mean(sign(code[LABELS == label]), axis=0) for label in LABELS]
    solution = sign(np.array(fixed) + 0.01 * code)
    by_hand = gradient(lambda h: np.sum((h - solution) ** 2) / 5, code.astype(float))
    np.testing.assert_allclose(tape.gradient(value, variable), by_hand, rtol=1e-3, atol=1e-4)
