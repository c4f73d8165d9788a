"""Codes, features and logits of a model, and models from files."""

import zipfile

import keras
import numpy as np
import pytest

from facehash import methods
from facehash.codes import CodesError, bits_from_packed
from facehash.errors import InputError
from facehash.images.read import resize
from facehash.learning import encoding
from facehash.learning.encoding import (
    Projector,
    encode,
    features_and_logits,
    projection_scale,
    projections,
)
from facehash.learning.hash_model import HashModel
from facehash.learning.model_files import save_model_file

ROWS = np.array([7, 3, 40, 3, 11, 0, 21])


def test_codes_are_the_packed_signs_of_the_relaxed_codes(make_model, faces):
    model = make_model(bits=20)
    relaxed = encoding.relaxed_codes(model, faces.images)
    assert relaxed.shape == (48, 20)
    packed = encode(model, faces.images)
    assert packed.shape == (48, 3)
    np.testing.assert_array_equal(bits_from_packed(packed, 20), relaxed >= 0)
    assert encode(model, faces.images[:0]).shape == (0, 3)


def test_images_of_another_size_go_through_the_one_resize_function(make_model, rng):
    model = make_model()
    large = rng.integers(0, 256, (3, 64, 50, 3)).astype("uint8")
    small = np.stack([resize(image, 32) for image in large])
    np.testing.assert_array_equal(encode(model, large), encode(model, small))


def test_a_model_that_returns_nan_gives_no_codes(make_model, faces):
    model = make_model()
    # In the last layer before the tanh: maxima on the way there would swallow a NaN.
    [bias] = [v for v in model.trainable_variables if v.path.endswith("/hash/bias")]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(CodesError, match="NaN"):
        encode(model, faces.images)


@pytest.mark.parametrize("options", [{}, {"code_batch_norm": False}, {"hashing": "dense"}])
def test_the_projections_of_ddh_are_its_relaxed_codes_before_the_tanh(make_model, faces, options):
    model = make_model(**options)
    found = projections(model, faces.images)
    assert found.dtype == np.float32 and found.shape == (48, 12)
    tensors = layer_by_layer(model, faces.images)
    expected = tensors["hash" if "code_batch_norm" in options else "hash_norm"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert projections(model, faces.images[:0]).shape == (0, 12)


def test_the_projections_of_dcbh_are_the_largest_share_of_each_block_minus_a_half(
    make_model, faces
):
    model = make_model("dcbh")
    feature = layer_by_layer(model, faces.images[:9])["feature"].astype(np.float64)
    expected = np.zeros((9, 12))
    for row in range(9):
        for bit in range(12):
            powers = np.exp(feature[row, 6 * bit : 6 * bit + 6])
            expected[row, bit] = max(powers / powers.sum()) - 0.5
    np.testing.assert_allclose(projections(model, faces.images[:9]), expected, atol=1e-5)
    model = make_model("dcbh", hashing="divide_and_encode")
    expected = layer_by_layer(model, faces.images[:9])["hash"]
    np.testing.assert_allclose(projections(model, faces.images[:9]), expected, rtol=1e-4, atol=1e-5)


def test_a_relaxed_code_of_1_has_a_finite_projection(make_model, faces, monkeypatch):
    ones = np.ones((1, 12), np.float32)
    monkeypatch.setattr(encoding, "relaxed_codes", lambda *_: ones)
    codes, found = Projector(make_model("dcbh")).plain(faces.images[:1])
    assert codes.tolist() == [[255, 15]] and (found > 8).all() and np.isfinite(found).all()


class Plain(keras.Model):
    """A network that is no graph of layers, with a layer named as in DDH."""

    def __init__(self):
        super().__init__()
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(12)
        self.relaxed = keras.layers.Activation("tanh", name="relaxed")

    def call(self, images, training=False):
        relaxed = self.relaxed(self.dense(self.flatten(images)))
        return {"relaxed": relaxed, "logits": relaxed[:, :3]}


class OfPlain(HashModel):
    """A method with such a network."""

    def __init__(self, **options):
        super().__init__(**options)
        self.build()

    def build_network(self):
        network = Plain()
        network(np.zeros((1, *self.item_shape), np.float32))
        return network


def test_a_network_that_is_not_functional_has_projections(faces):
    model = OfPlain(bits=12, identities=["ann", "bob", "eve"], pixel_mean=120.0, pixel_std=60.0)
    found = projections(model, faces.images)
    kernel, bias = map(keras.ops.convert_to_numpy, model.network.dense.weights)
    standardized = keras.ops.convert_to_numpy(model.standardize(faces.images.astype("float32")))
    expected = standardized.reshape(48, -1) @ kernel + bias
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["ddh", "dcbh"])
def test_the_scale_is_the_mean_absolute_projection_and_goes_with_the_model(
    make_model, faces, method, tmp_path, monkeypatch
):
    model = make_model(method)
    projector = Projector(model)
    codes, plain = projector.plain(faces.images)
    np.testing.assert_array_equal(codes, encode(model, faces.images))
    with pytest.raises(InputError, match="has no scale of projections"):
        projector.scaled(faces.images)
    sizes = np.array([sum(abs(float(row[j])) for row in plain) / 48 for j in range(12)])
    expected = np.where(sizes > 1e-6 * sizes.max(), sizes, sizes.max())
    model.projection_scale = projection_scale(model, faces.images)
    np.testing.assert_allclose(model.projection_scale, expected, rtol=1e-5)
    monkeypatch.setattr(encoding, "_ROWS_IN_MEMORY", 5)
    apart = projection_scale(model, faces.images[:7], devices=4)
    np.testing.assert_allclose(apart, projection_scale(model, faces.images[:7]), rtol=1e-5)
    save_model_file(model, tmp_path / "model.keras")
    loaded = methods.load(tmp_path / "model.keras")
    assert loaded.projection_scale == model.projection_scale
    codes, found = Projector(loaded).scaled_rows(faces, ROWS)
    np.testing.assert_array_equal(codes, encode(model, faces.images[ROWS]))
    np.testing.assert_allclose(found, plain[ROWS] / expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="projection_scale has 3 values, the code 12 bits"):
        make_model(method, projection_scale=[1.0, 1.0, 1.0])


def layer_by_layer(model, images):
    """Compute the output of every layer by calling the layers of the network in order."""
    tensors = {id(model.network.inputs[0]): model.standardize(images.astype("float32"))}
    named = {}
    for layer in model.network.layers[1:]:
        node = layer._inbound_nodes[0]
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        found = layer(given[0] if len(given) == 1 else given, training=False)
        tensors[id(node.outputs[0])] = named[layer.name] = found
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in named.items()}


@pytest.mark.parametrize("method", ["ddh", "dcbh"])
def test_features_and_logits_are_those_of_the_layers(make_model, faces, method):
    model = make_model(method)
    before = encode(model, faces.images)
    found = features_and_logits(model, faces, np.arange(10))
    expected = layer_by_layer(model, faces.images[:10])
    for mine, name in zip(found, ("feature", "logits"), strict=True):
        np.testing.assert_allclose(mine, expected[name], rtol=1e-4, atol=1e-5)
        assert mine.dtype == np.float32
    assert found[0].std() > 0
    np.testing.assert_array_equal(encode(model, faces.images), before)  # the model is as it was
    whole = model.predict(faces.images[:10], verbose=0)["logits"]
    np.testing.assert_allclose(found[1], whole, atol=1e-5)


def test_rows_are_computed_block_by_block_in_the_given_order(make_model, faces, monkeypatch):
    model = make_model()
    codes = encode(model, faces.images)
    features, logits = features_and_logits(model, faces, np.arange(48))
    monkeypatch.setattr(encoding, "_ROWS_IN_MEMORY", 5)
    np.testing.assert_array_equal(encoding.encode_rows(model, faces, ROWS), codes[ROWS])
    some_features, some_logits = features_and_logits(model, faces, ROWS, batch=2)
    np.testing.assert_allclose(some_features, features[ROWS], atol=1e-5)
    np.testing.assert_allclose(some_logits, logits[ROWS], atol=1e-5)


def test_a_file_that_is_not_a_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model.keras"

    def refused(message):
        with pytest.raises(InputError, match=message) as caught:
            methods.load(path)
        assert "\n" not in str(caught.value)

    refused("no such model file")
    path.write_text("not a zip")
    refused("not a complete .keras file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    refused("cannot be loaded as a Keras model")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    refused("holds a Sequential, not a model of this project")


def test_code_in_a_model_file_does_not_run(tmp_path):
    ran = tmp_path / "ran"
    layer = keras.layers.Lambda(lambda x, place=str(ran): open(place, "w").close() or x)
    model = keras.Sequential([keras.Input((2,)), layer])
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    ran.unlink(missing_ok=True)
    with pytest.raises(InputError, match="cannot be loaded as a Keras model"):
        methods.load(tmp_path / "model.keras")
    with pytest.raises(InputError, match="not a complete .keras file"):
        methods.load(tmp_path / "model.h5")
    assert not ran.exists()
