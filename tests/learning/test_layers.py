"""The layers of DDH and DCBH, against loops written from their definitions."""

import itertools

import numpy as np
import pytest
from keras import ops

from dcbh.layers import BlockHash
from dcbh.losses import CenterLoss
from ddh.layers import LocallyConnected2D
from facehash.learning.divide_and_encode import DivideAndEncode
from facehash.learning.hash_model import Standardize


def loop_locally_connected(images, kernel, bias, size):
    """Sum products window by window."""
    rows, columns, filters = bias.shape
    kernel = kernel.reshape(rows, columns, size, size, images.shape[-1], filters)
    out = np.zeros((len(images), rows, columns, filters)) + bias
    for i, j in itertools.product(range(rows), range(columns)):
        for u, v, c in itertools.product(range(size), range(size), range(images.shape[-1])):
            for f in range(filters):
                out[:, i, j, f] += images[:, i + u, j + v, c] * kernel[i, j, u, v, c, f]
    return out


@pytest.mark.parametrize("shape, size", [((4, 5, 3), 2), ((3, 3, 2), 1), ((3, 3, 4), 3)])
def test_locally_connected_equals_a_loop_over_positions(rng, shape, size):
    layer = LocallyConnected2D(filters=4, kernel_size=size)
    images = rng.normal(size=(3, *shape)).astype("float32")
    layer.build(images.shape)
    layer.bias.assign(rng.normal(size=layer.bias.shape))
    kernel, bias = (ops.convert_to_numpy(weight) for weight in (layer.kernel, layer.bias))
    expected = loop_locally_connected(images, kernel, bias, size)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(images)), expected, rtol=1e-4, atol=1e-5)


def test_divide_and_encode_equals_a_loop_over_bits(rng):
    features = rng.normal(size=(5, 24)).astype("float32")
    layer = DivideAndEncode(bits=6)
    layer.build(features.shape)
    layer.bias.assign(rng.normal(size=6))
    kernel, bias = (ops.convert_to_numpy(weight) for weight in (layer.kernel, layer.bias))
    expected = np.zeros((5, 6)) + bias
    for n, j, i in itertools.product(range(5), range(6), range(4)):
        expected[n, j] += features[n, 4 * j + i] * kernel[j, i, 0]
    encoded = ops.convert_to_numpy(layer(features))
    np.testing.assert_allclose(encoded, expected, rtol=1e-5, atol=1e-6)
    features[:, 4] += 1.0  # only the second bit sees it
    changed = (ops.convert_to_numpy(layer(features)) != encoded).any(axis=0)
    assert changed.tolist() == [False, True, False, False, False, False]


def test_the_initial_spread_is_that_of_one_kernel_not_of_all_together():
    # he_uniform draws from +-sqrt(6 / fan_in); a position of 2 x 2 x 60 inputs has fan-in 240,
    # but Keras would infer 4 * 240 from the shape (4, 240, 80) and halve the limit.
    layer = LocallyConnected2D(80, 2)
    layer.build((None, 3, 3, 60))
    kernel = np.abs(ops.convert_to_numpy(layer.kernel))
    assert kernel.shape == (4, 240, 80)
    assert 0.99 * np.sqrt(6 / 240) < kernel.max() <= np.sqrt(6 / 240)
    assert not np.array_equal(kernel[0], kernel[1])
    # glorot_uniform of a dense layer from 4 inputs to 1: +-sqrt(6 / 5).
    encode = DivideAndEncode(64)
    encode.build((None, 256))
    kernel = np.abs(ops.convert_to_numpy(encode.kernel))
    assert 0.95 * np.sqrt(6 / 5) < kernel.max() <= np.sqrt(6 / 5)


def test_block_hash_equals_a_loop_over_blocks(rng):
    features = rng.normal(size=(7, 24)).astype("float32") * 3
    expected = np.zeros((7, 4))
    for n, j in itertools.product(range(7), range(4)):
        values = np.exp(features[n, j * 6 : (j + 1) * 6].astype(np.float64))
        expected[n, j] = np.tanh(max(values / values.sum()) - 0.5)
    relaxed = ops.convert_to_numpy(BlockHash(4)(features))
    np.testing.assert_allclose(relaxed, expected, atol=1e-6)


def test_standardize_follows_the_formula_and_clips():
    layer = Standardize(mean=100.0, std=50.0)
    # (x - 100) / 50.00001 * 0.1: 100 -> 0, 150 -> .1, and 10,000 is clipped.
    values = ops.convert_to_numpy(layer(ops.convert_to_tensor([100.0, 150.0, 10000.0, -9e9])))
    np.testing.assert_allclose(values, [0.0, 0.1, 1.0, -1.0], atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DivideAndEncode(4).build((None, 10)), "10 features into 4 equal blocks"),
        (lambda: BlockHash(4).build((None, 8)), "8 features into 4 equal blocks of at least 3"),
        (lambda: LocallyConnected2D(4, 3).build((None, 2, 5, 3)), "at least 3 x 3"),
        (lambda: CenterLoss(4, "none"), "one of moving, gradient, both, got 'none'"),
    ],
)
def test_what_a_layer_cannot_do_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
