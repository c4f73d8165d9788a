import keras
import numpy as np
import pytest
from keras import ops

from ddh.layers import LocallyConnected2D
from facehash.learning.divide_and_encode import DivideAndEncode


def loop_locally_connected(images, kernel, bias, size):
    """Sum products window by window, straight from the definition."""
    batch, height, width, channels = images.shape
    rows, columns = height - size + 1, width - size + 1
    filters = bias.shape[-1]
    kernel = kernel.reshape(rows, columns, size, size, channels, filters)
    out = np.zeros((batch, rows, columns, filters))
    for b in range(batch):
        for i in range(rows):
            for j in range(columns):
                for f in range(filters):
                    total = bias[i, j, f]
                    for u in range(size):
                        for v in range(size):
                            for c in range(channels):
                                total += images[b, i + u, j + v, c] * kernel[i, j, u, v, c, f]
                    out[b, i, j, f] = total
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


def test_locally_connected_with_one_kernel_everywhere_is_a_convolution(rng):
    images = rng.normal(size=(2, 5, 5, 3)).astype("float32")
    convolution = keras.layers.Conv2D(4, 2)
    expected = ops.convert_to_numpy(convolution(images))
    layer = LocallyConnected2D(4, 2)
    layer.build(images.shape)
    shared = ops.convert_to_numpy(convolution.kernel).reshape(1, 12, 4)
    layer.kernel.assign(np.repeat(shared, 16, axis=0))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(images)), expected, rtol=1e-4, atol=1e-5)


def test_divide_and_encode_equals_a_loop_over_bits(rng):
    features = rng.normal(size=(5, 24)).astype("float32")
    layer = DivideAndEncode(bits=6)
    layer.build(features.shape)
    layer.bias.assign(rng.normal(size=6))
    kernel, bias = (ops.convert_to_numpy(weight) for weight in (layer.kernel, layer.bias))
    expected = np.zeros((5, 6))
    for n in range(5):
        for j in range(6):
            block = features[n, 4 * j : 4 * j + 4]
            expected[n, j] = bias[j] + sum(block[i] * kernel[j, i, 0] for i in range(4))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(features)), expected, rtol=1e-5, atol=1e-6
    )


def test_each_bit_of_divide_and_encode_sees_its_own_block_only(rng):
    layer = DivideAndEncode(bits=3)
    features = rng.normal(size=(1, 12)).astype("float32")
    before = ops.convert_to_numpy(layer(features))
    features[0, 4] += 1.0
    changed = ops.convert_to_numpy(layer(features)) != before
    assert changed.tolist() == [[False, True, False]]


def test_the_initial_spread_is_that_of_one_position_not_of_all_together():
    # he_uniform draws from +-sqrt(6 / fan_in); a position of 2 x 2 x 60 inputs has fan-in 240,
    # but Keras would read 4 * 240 off the shape (4, 240, 80) and halve the limit.
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


def test_a_seeded_initializer_gives_the_same_kernels_again():
    kernels = []
    for _ in range(2):
        layer = LocallyConnected2D(3, 2, kernel_initializer=keras.initializers.HeUniform(seed=7))
        layer.build((None, 4, 4, 2))
        kernels.append(ops.convert_to_numpy(layer.kernel))
    np.testing.assert_array_equal(*kernels)


@pytest.mark.parametrize(
    "layer",
    [
        LocallyConnected2D(8, 2, "glorot_normal", "l2", name="local"),
        DivideAndEncode(16, "zeros", keras.regularizers.L2(0.5), name="encode"),
    ],
    ids=lambda layer: layer.name,
)
def test_a_layer_comes_back_from_its_configuration(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def test_features_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="10 features into 4 equal blocks"):
        DivideAndEncode(4).build((None, 10))


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="at least 3 x 3"):
        LocallyConnected2D(4, 3).build((None, 2, 5, 3))
