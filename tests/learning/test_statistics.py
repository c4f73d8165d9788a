"""Statistics of batch normalization against loops written from the definition."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from facehash.learning.hash_model import HashModel
from facehash.learning.statistics import plan
from facehash.learning.statistics.estimate import (
    Moments,
    StatisticsEstimator,
    draw_sample,
    reestimate_statistics,
)
from facehash.learning.statistics.inspection import inspect_training
from facehash.learning.statistics.norms import needs_two_images, uses_batch_norm
from facehash.learning.statistics.plan import layers_not_estimated


def norms(model):
    kind = keras.layers.BatchNormalization
    return [layer for layer in model.network.layers if isinstance(layer, kind)]


def statistics_of(model):
    return [one for norm in norms(model) for one in (norm.moving_mean, norm.moving_variance)]


def values_of(variables):
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assert_equal(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def expected_statistics(model, images):
    """Estimate one layer after the other; each time, Keras itself computes what it receives."""
    inputs = model.standardize(images.astype("float32"))
    expected = []
    for layer in norms(model):
        below = keras.Model(model.network.inputs, layer.input)
        received = np.asarray(ops.convert_to_numpy(below(inputs, training=False)), np.float64)
        channels = received.reshape(-1, received.shape[-1])
        mean, variance = channels.mean(axis=0), channels.var(axis=0)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
        expected += [mean, variance]
    return expected


def disturb(model, rng):
    """Give weights and statistics values as after a training."""
    for variable in model.network.variables:
        if variable.dtype == "float32":
            value = rng.normal(1, 0.3, variable.shape) * ops.convert_to_numpy(variable)
            variable.assign(value + rng.uniform(0.01, 0.1, variable.shape))


@pytest.mark.parametrize(
    ("method", "memory"),
    [
        ("ddh", 400_000),
        ("ddh", plan.MEMORY),
        ("ddh", 0),
        pytest.param("dcbh", 400_000, marks=pytest.mark.full),
    ],
)
def test_statistics_are_those_of_the_images_in_forward_order(
    make_model, rng, monkeypatch, method, memory
):
    images = rng.integers(0, 256, (7, 32, 32, 3)).astype("uint8")
    model, oracle = make_model(method), make_model(method)
    disturb(model, rng)
    oracle.set_weights(model.get_weights())
    weights = values_of(model.trainable_variables)
    monkeypatch.setattr(plan, "MEMORY", memory)
    assert StatisticsEstimator(model, batch=3).estimate(images) == len(norms(model))
    found = values_of(statistics_of(model))
    for mine, theirs in zip(found, expected_statistics(oracle, images), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    assert_equal(values_of(model.trainable_variables), weights)
    # They depend on weights and images, not on what they were, the order or the steps.
    assert reestimate_statistics(model, images[::-1].copy()) == len(norms(model))
    for mine, before in zip(statistics_of(model), found, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(mine), before, rtol=1e-4, atol=1e-6)


def test_moments_are_exact_where_sums_of_squares_would_cancel(rng):
    values = (5000 + rng.normal(0, 1, (9, 2, 3, 4))).astype("float32")
    moments = Moments()
    for block in (values[:2], values[2:3], values[3:]):
        moments.add(np.moveaxis(block, -1, 1), axis=1)
    exact = values.reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(moments.squares / moments.count, exact.var(axis=0), rtol=1e-3)


def test_inside_a_block_the_statistics_are_estimated_and_afterwards_as_before(make_model, images):
    model = make_model()
    before = values_of(model.variables)
    with StatisticsEstimator(model).estimated(images):
        inside = values_of(statistics_of(model))
        untrained = values_of(statistics_of(make_model()))
        assert not any(np.array_equal(*pair) for pair in zip(inside, untrained, strict=True))
    assert_equal(values_of(model.variables), before)
    reestimate_statistics(model, images)
    assert_equal(values_of(statistics_of(model)), inside)


class Residual(keras.layers.Layer):
    """A layer of a user with a batch norm inside."""

    def __init__(self):
        super().__init__(name="residual")
        self.norm = layers.BatchNormalization(name="hidden")

    def call(self, inputs, training=False):
        return inputs + self.norm(inputs, training=training)


class Unusual(HashModel):
    """A method with batch norm in nested models, frozen, shared and inside a layer."""

    def __init__(self, **options):
        super().__init__(bits=4, identities=["ann", "bob"], pixel_mean=120, pixel_std=60, **options)
        self.build()

    def build_network(self):
        image = keras.Input((32, 32, 3))
        inner = keras.Input((32, 32, 3))
        nested = layers.Conv2D(3, 3, strides=4)(layers.BatchNormalization(name="nested")(inner))
        nested = keras.Model(inner, layers.ReLU()(nested), name="backbone")
        tower = keras.Sequential([keras.Input((8, 8, 3)), layers.BatchNormalization(name="tower")])
        x = tower(nested(image))
        frozen = layers.BatchNormalization(name="frozen")
        frozen.trainable = False
        shared = layers.BatchNormalization(name="shared")
        x = layers.Flatten()(shared(shared(Residual()(frozen(x)))))
        x = layers.BatchNormalization(name="last")(layers.Dense(4)(x))
        x = layers.Dropout(0.5)(x)
        relaxed = layers.Activation("tanh")(x)
        return keras.Model(image, {"relaxed": relaxed, "logits": layers.Dense(2)(relaxed)})


def test_nested_models_are_entered_and_frozen_shared_and_hidden_layers_stay(rng):
    model = Unusual()
    disturb(model, rng)
    images = rng.integers(0, 256, (7, 32, 32, 3)).astype("uint8")
    assert reestimate_statistics(model, images) == 3
    assert sorted(layers_not_estimated(model)) == ["hidden", "shared"]
    backbone = model.network.get_layer("backbone")
    pixels = model.standardize(images.astype("float32"))
    features = backbone(pixels, training=False)
    tower = next(one for one in model.network.layers if isinstance(one, keras.Sequential))
    below = keras.Model(model.network.inputs, model.network.get_layer("last").input)
    for norm, inputs in (
        (backbone.get_layer("nested"), pixels),
        (tower.get_layer("tower"), features),
        (model.network.get_layer("last"), below(pixels, training=False)),
    ):
        values = ops.convert_to_numpy(inputs)
        values = values.reshape(-1, values.shape[-1])
        for mine, theirs in (
            (norm.moving_mean, values.mean(axis=0)),
            (norm.moving_variance, values.var(axis=0)),
        ):
            np.testing.assert_allclose(ops.convert_to_numpy(mine), theirs, rtol=1e-3, atol=1e-5)


def test_a_sample_is_fixed_by_the_seed_and_at_most_2048_images():
    assert [len(draw_sample(count, 0)) for count in (1, 200, 2000, 8000, 10**5)] == [
        *(1, 200, 256, 800, 2048)
    ]
    np.testing.assert_array_equal(draw_sample(5000, 3), draw_sample(5000, 3))
    assert not np.array_equal(draw_sample(5000, 3), draw_sample(5000, 4))
    assert (np.diff(draw_sample(5000, 3)) > 0).all()


def test_accuracies_and_constant_bits_are_counted_and_nothing_changes(make_model, rng):
    model = make_model()
    images = rng.integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    reestimate_statistics(model, images)
    before = values_of(model.variables)
    classes = ops.convert_to_numpy(model(images)["logits"]).argmax(axis=-1)
    classes[:3] = (classes[:3] + 1) % 3
    state = inspect_training(model, images, classes, batch=12, seed=0)
    assert state.inference == 0.75
    outputs = model.network(model.standardize(images.astype("float32")), training=True)
    predicted = ops.convert_to_numpy(outputs["logits"]).argmax(axis=-1)
    assert state.training == pytest.approx((predicted == classes).mean())
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    inspect_training(model, images, classes, batch=5, seed=0)
    assert_equal(values_of(model.variables), before)
    signs = ops.convert_to_numpy(model(images)["relaxed"]) >= 0
    assert state.constant_bits == (signs.all(axis=0) | ~signs.any(axis=0)).sum() < 12
    last = norms(model)[-1]
    last.gamma.assign(np.zeros(12))
    last.beta.assign(np.ones(12))
    assert inspect_training(model, images, classes, batch=12, seed=0).constant_bits == 12


def test_what_a_batch_of_one_does_depends_on_where_batch_norm_is(make_model):
    assert uses_batch_norm(make_model())
    assert needs_two_images(make_model())

    class Plain(Unusual):
        def build_network(self):
            image = keras.Input((32, 32, 3))
            x = layers.BatchNormalization()(image)
            relaxed = layers.Dense(4, activation="tanh")(layers.Flatten()(x))
            return keras.Model(image, {"relaxed": relaxed, "logits": layers.Dense(2)(relaxed)})

    assert uses_batch_norm(Plain())
    assert not needs_two_images(Plain())
