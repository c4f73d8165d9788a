import keras
import numpy as np
import pytest
from keras import ops

from facehash.learning.hash_model import HashModel, Standardize


def test_standardize_follows_the_formula_and_clips():
    layer = Standardize(mean=100.0, std=50.0)
    # (x - 100) / 50.00001 * 0.1: 100 -> 0, 150 -> .1, and 10,000 is clipped.
    values = ops.convert_to_numpy(layer(ops.convert_to_tensor([100.0, 150.0, 10000.0, -9e9])))
    np.testing.assert_allclose(values, [0.0, 0.1, 1.0, -1.0], atol=1e-6)


def test_the_configuration_holds_everything_but_the_weights(make_model):
    model = make_model(bits=24, augmentation={"flip": True}, quantization_weight=0.5)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.identities == ["ann", "bob", "eve"]
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_augmentation_changes_training_only(make_model, rng):
    model = make_model(augmentation={"flip": True, "shift": 3, "brightness": 0.2})
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    first, second = (ops.convert_to_numpy(model(images)["relaxed"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    seen = []
    model.standardize.call = lambda x: seen.append(ops.convert_to_numpy(x)) or x
    model(images, training=False)
    model(images, training=True)
    np.testing.assert_array_equal(seen[0], images)
    assert not np.array_equal(seen[1], images)


def test_a_new_method_needs_no_more_than_a_network():
    @keras.saving.register_keras_serializable("tests")
    class Flat(HashModel):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.build()

        def build_network(self):
            image = keras.Input((self.side, self.side, 3))
            relaxed = keras.layers.Dense(self.bits, "tanh")(keras.layers.Flatten()(image))
            logits = keras.layers.Dense(len(self.identities))(relaxed)
            return keras.Model(image, {"relaxed": relaxed, "logits": logits})

    model = Flat(bits=8, identities=["a", "b"], pixel_mean=10, pixel_std=5, side=4)
    model.compile(optimizer=keras.optimizers.Adam(0.1))
    images = np.zeros((8, 4, 4, 3), np.uint8)
    images[4:] = 20
    labels = np.arange(8) // 4
    history = model.fit(images, labels, epochs=30, verbose=0).history
    assert set(history) == {"loss", "cross_entropy", "weight_decay", "accuracy"}
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < history["loss"][0]


def test_a_method_without_a_network_says_what_is_missing():
    model = HashModel(bits=8, identities=["a"], pixel_mean=1, pixel_std=1)
    with pytest.raises(NotImplementedError, match="HashModel must define build_network"):
        model.build()
