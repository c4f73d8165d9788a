"""The layers for a GPU against those of Keras: outputs, gradients and statistics."""

import keras
import numpy as np
import pytest

from facehash.learning import accelerator
from facehash.learning.accelerator import layers

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="on TensorFlow they are those of Keras"
)
rng = np.random.default_rng(3)


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.setattr(accelerator, "on_accelerator", lambda: True)


def with_gradients(layer, inputs, upstream, **options):
    """Return the outputs of a layer, and the gradients of its inputs and of its weights."""
    weights = layer.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        def outputs(inputs, *values):
            with keras.StatelessScope(list(zip(weights, values, strict=True))) as scope:
                found = layer(inputs, **options)
            return found, [scope.get_current_value(v) for v in layer.non_trainable_variables]

        values = [weight.value for weight in weights]
        found, back, state = jax.vjp(outputs, inputs, *values, has_aux=True)
        for variable, value in zip(layer.non_trainable_variables, state, strict=True):
            variable.assign(value)
        return [found, *back(keras.ops.convert_to_tensor(upstream))]
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    found = layer(inputs, **options)
    (found * torch.tensor(upstream)).sum().backward()
    return [found, inputs.grad, *(weight.value.grad for weight in weights)]


def compare(kind, arguments, inputs, on_keras, monkeypatch, **options):
    """Compare a layer with one of Keras that has the same weights."""
    mine, theirs = getattr(layers, kind)(**arguments), on_keras
    for layer in (mine, theirs):
        layer.build(inputs.shape)
    monkeypatch.setattr(accelerator, "on_accelerator", lambda: True)
    for layer in (mine, theirs):
        for weight in layer.trainable_variables:
            weight.assign(np.random.default_rng(5).normal(size=weight.shape))
    shape = theirs.compute_output_shape(inputs.shape)
    upstream = rng.normal(size=shape).astype(np.float32)
    for found, expected in zip(
        with_gradients(mine, inputs, upstream, **options),
        with_gradients(theirs, inputs, upstream, **options),
        strict=True,
    ):
        found, expected = map(keras.ops.convert_to_numpy, (found, expected))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    for a, b in zip(mine.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (a, b)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 20, 64])
@pytest.mark.parametrize(("padding", "size"), [("same", 3), ("valid", 3), ("valid", 2)])
@pytest.mark.parametrize("use_bias", [False, True])
def test_convolution(channels, padding, size, use_bias, monkeypatch):
    arguments = {"filters": 12, "kernel_size": size, "padding": padding, "use_bias": use_bias}
    inputs = rng.normal(size=(5, 9, 10, channels)).astype(np.float32)
    compare("Conv2D", arguments, inputs, keras.layers.Conv2D(**arguments), monkeypatch)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(6, 8, 5, 20), (7, 3, 3, 200), (48, 11), (5, 1)])
def test_batch_norm(relu, shape, monkeypatch):
    inputs = rng.normal(1.0, 2.0, size=shape).astype(np.float32)
    options = {"momentum": 0.9, "epsilon": 1e-3}

    class Reference(keras.layers.BatchNormalization):
        def call(self, inputs, training=None):
            found = super().call(inputs, training=training)
            return keras.ops.relu(found) if relu else found

    arguments = {"relu": relu, **options}
    compare(
        "BatchNormalization", arguments, inputs, Reference(**options), monkeypatch, training=True
    )


@pytest.mark.parametrize("ties", [False, True])
def test_max_pooling(ties, monkeypatch):
    inputs = rng.normal(size=(3, 6, 8, 5)).astype(np.float32)
    if ties:
        inputs = np.round(inputs)
    compare("MaxPooling2D", {}, inputs, keras.layers.MaxPooling2D(), monkeypatch)


def test_what_the_functions_do_not_support_is_computed_by_keras(on_gpu):
    inputs = rng.normal(size=(2, 7, 7, 4)).astype(np.float32)
    for mine, theirs in (
        (layers.Conv2D(3, 2, padding="same"), keras.layers.Conv2D(3, 2, padding="same")),
        (layers.Conv2D(3, 3, strides=2), keras.layers.Conv2D(3, 3, strides=2)),
        (layers.MaxPooling2D(), keras.layers.MaxPooling2D()),
        (layers.MaxPooling2D(3, 1), keras.layers.MaxPooling2D(3, 1)),
        (layers.BatchNormalization(axis=1), keras.layers.BatchNormalization(axis=1)),
        (layers.BatchNormalization(scale=False), keras.layers.BatchNormalization(scale=False)),
    ):
        mine.build(inputs.shape)
        theirs.build(inputs.shape)
        theirs.set_weights(mine.get_weights())
        options = {"training": True} if isinstance(mine, layers.BatchNormalization) else {}
        outputs = [keras.ops.convert_to_numpy(one(inputs, **options)) for one in (mine, theirs)]
        np.testing.assert_array_equal(*outputs)


def test_half_precision_stays_half_between_layers(on_gpu):
    inputs = keras.ops.cast(rng.normal(size=(8, 4, 4, 6)), "bfloat16")
    policy = {"dtype": "mixed_bfloat16"}
    for layer in (
        layers.Conv2D(4, 3, **policy),
        layers.BatchNormalization(relu=True, **policy),
        layers.MaxPooling2D(**policy),
    ):
        options = {"training": True} if isinstance(layer, layers.BatchNormalization) else {}
        assert keras.backend.standardize_dtype(layer(inputs, **options).dtype) == "bfloat16"
        assert {weight.dtype for weight in layer.weights} <= {"float32"}
