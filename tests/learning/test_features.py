"""Features and logits of a network, for the baselines that hash them."""

import keras
import numpy as np
import pytest

from dcbh.model import DCBH
from ddh.model import DDH
from facehash.errors import InputError
from facehash.learning import encoding
from facehash.learning.encoding import features_and_logits


def by_hand(model, images):
    """What the layer before the hash layer gives, layer by layer in the order of the network."""
    tensors = {id(model.network.inputs[0]): model.standardize(images.astype("float32"))}
    named = {}
    for layer in model.network.layers[1:]:
        node = layer._inbound_nodes[0]
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        found = layer(given[0] if len(given) == 1 else given, training=False)
        tensors[id(node.outputs[0])] = named[layer.name] = found
    logits = tensors[id(model.network.output["logits"])]
    return [keras.ops.convert_to_numpy(part) for part in (named["feature"], logits)]


@pytest.mark.parametrize("method", [DDH, DCBH])
def test_they_are_what_the_layers_give_one_after_another(method, faces):
    model = method(bits=12, identities=["ann", "bob"], pixel_mean=120.0, pixel_std=60.0)
    rows = np.arange(10)
    features, logits = features_and_logits(model, faces, rows)
    expected, expected_logits = by_hand(model, faces.images[rows])
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-5)
    assert features.dtype == logits.dtype == np.float32
    assert features.std() > 0


def test_logits_are_those_that_the_model_itself_gives(make_model, faces):
    model, rows = make_model(), np.arange(12)
    whole = model.predict(faces.images[rows], verbose=0)["logits"]
    np.testing.assert_allclose(features_and_logits(model, faces, rows)[1], whole, atol=1e-5)


def test_the_feature_is_what_the_hash_layer_is_given(make_model, faces):
    model = make_model(bits=12)
    features, _ = features_and_logits(model, faces, np.arange(6))
    assert features.shape == (6, 12 * 4)  # blocks of four
    after = model.network.get_layer("feature").output
    hashing = keras.Model(after, model.network.output["relaxed"])
    relaxed = encoding.relaxed_codes(model, faces.images[:6])
    np.testing.assert_allclose(hashing.predict(features, verbose=0), relaxed, atol=1e-5)


def test_rows_come_in_the_order_asked_for_block_by_block(make_model, faces, monkeypatch):
    model = make_model()
    every, every_logits = features_and_logits(model, faces, np.arange(48))
    monkeypatch.setattr(encoding, "_ROWS_IN_MEMORY", 5)
    rows = np.array([7, 3, 40, 3, 11, 0, 21])
    features, logits = features_and_logits(model, faces, rows, batch=2)
    np.testing.assert_allclose(features, every[rows], atol=1e-5)
    np.testing.assert_allclose(logits, every_logits[rows], atol=1e-5)


def test_they_leave_the_model_as_it_was(make_model, faces):
    model = make_model()
    before = encoding.encode(model, faces.images)
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    features_and_logits(model, faces, np.arange(8))
    np.testing.assert_array_equal(encoding.encode(model, faces.images), before)
    for one, other in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))


def test_half_precision_networks_give_single_precision_features(make_model, faces):
    model = make_model(dtype=keras.DTypePolicy("mixed_bfloat16"))
    features, logits = features_and_logits(model, faces, np.arange(4))
    assert features.dtype == logits.dtype == np.float32
    assert np.isfinite(features).all()


def test_a_network_without_a_layer_of_that_name_is_told_to_name_one(make_model, faces):
    class Nameless(type(make_model())):
        def build_network(self):
            network = super().build_network()
            network.get_layer("feature").name = "before_the_hash"
            return network

    model = Nameless(bits=8, identities=["ann"], pixel_mean=120.0, pixel_std=60.0)
    with pytest.raises(InputError, match="Nameless has no layer named 'feature'") as caught:
        features_and_logits(model, faces, np.arange(4))
    assert "the layer before the hash layer" in str(caught.value)
