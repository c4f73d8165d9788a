"""Codes, features and logits of a model, and models from files."""

import zipfile

import keras
import numpy as np
import pytest

from facehash import methods
from facehash.codes import CodesError, bits_from_packed
from facehash.errors import InputError
from facehash.hashing.linear import scale_of_bits
from facehash.images.read import resize
from facehash.learning import encoding
from facehash.learning.encoding import (
    encode,
    features_and_logits,
    projections,
    relaxed_codes,
)

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


@pytest.mark.parametrize("method", ["ddh", "dcbh"])
def test_projections_are_the_relaxed_codes_before_the_tanh(make_model, faces, method):
    model = make_model(method)
    found = projections(model, faces.images)
    relaxed = np.tanh(found) if method == "ddh" else found  # the block hash of DCBH has no sum
    np.testing.assert_allclose(relaxed, relaxed_codes(model, faces.images), atol=1e-5)
    scaled = found / scale_of_bits(np.abs(found).mean(axis=0))
    dead = ~found.any(axis=0)  # a block of features may be 0 for all images
    np.testing.assert_allclose(np.abs(scaled).mean(axis=0), ~dead, rtol=1e-5)
    assert projections(model, faces.images[:0]).shape == (0, 12)
    scale = scale_of_bits(np.abs(np.float32([[2, 0, -1], [-4, 0, 1]])).mean(axis=0))
    assert scale.tolist() == [3, 3, 1]  # a bit that is always 0 hardly counts


def layer_by_layer(model, images):
    """Compute feature and logits by calling the layers of the network in order."""
    tensors = {id(model.network.inputs[0]): model.standardize(images.astype("float32"))}
    named = {}
    for layer in model.network.layers[1:]:
        node = layer._inbound_nodes[0]
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        found = layer(given[0] if len(given) == 1 else given, training=False)
        tensors[id(node.outputs[0])] = named[layer.name] = found
    logits = tensors[id(model.network.output["logits"])]
    return [keras.ops.convert_to_numpy(part) for part in (named["feature"], logits)]


@pytest.mark.parametrize("method", ["ddh", "dcbh"])
def test_features_and_logits_are_those_of_the_layers(make_model, faces, method):
    model = make_model(method)
    before = encode(model, faces.images)
    found = features_and_logits(model, faces, np.arange(10))
    for mine, expected in zip(found, layer_by_layer(model, faces.images[:10]), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
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
