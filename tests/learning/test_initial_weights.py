"""Starting from the weights of an earlier model, and layers that keep their weights."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from facehash import methods
from facehash.errors import InputError
from facehash.learning.hash_model import HashModel
from facehash.learning.initial_weights import freeze_layers, layers_by_name, take_weights
from facehash.runs.files import read_history
from tests.helpers.training import configure, run_training

DDH_LAYERS = [
    *("conv1", "conv1_norm", "conv2", "conv2_norm", "conv3", "conv3_norm", "local", "local_norm"),
    *("feature_dense", "feature_norm", "hash", "hash_norm", "logits"),
]
OTHERS = ["ann", "bob", "zoe"]
EARLIER = Path("earlier.keras")


class Plain(HashModel):
    """A method of a user, whose layers Keras names."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.build()

    def build_network(self):
        image = keras.Input((self.side, self.side, 3))
        x = layers.Flatten()(image)
        for _ in range(11):
            x = layers.Dense(4)(x)
        outputs = {"relaxed": layers.Dense(self.bits)(x), "logits": layers.Dense(3)(x)}
        return keras.Model(image, outputs)


def equal_layers(model, other):
    """Name the layers that have equal weights, all of them."""
    return [
        name
        for name, layer in layers_by_name(model).items()
        if all(
            np.array_equal(*map(ops.convert_to_numpy, pair))
            for pair in zip(layer.weights, layers_by_name(other)[name].weights, strict=True)
        )
    ]


def test_all_weights_are_taken_for_the_same_people(make_model, images):
    model, earlier = make_model(), make_model()
    line = take_weights(model, earlier, EARLIER)
    assert line == "weights of earlier.keras: took 38 of 38 arrays"
    found, expected = (ops.convert_to_numpy(one(images)["logits"]) for one in (model, earlier))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("people", [OTHERS, ["ann", "bob"], ["bob", "ann", "eve"]])
def test_the_classifier_is_skipped_for_other_people_also_if_they_are_as_many(make_model, people):
    model, earlier = make_model(identities=people), make_model()
    line = take_weights(model, earlier, EARLIER)
    expected = "weights of earlier.keras: took 36 of 38 arrays, not those of logits: other people"
    assert line == expected
    assert [name for name in DDH_LAYERS if name not in equal_layers(model, earlier)] == ["logits"]


def test_both_classifiers_and_the_centers_of_dcbh_are_skipped(make_model):
    model, earlier = make_model("dcbh", identities=OTHERS), make_model("dcbh")
    line = take_weights(model, earlier, EARLIER)
    assert line.endswith("not those of centers, feature_logits, logits: other people")


@pytest.mark.parametrize(
    "earlier, reason",
    [
        ({"bits": 24}, "another network: bits is 24 there and 12 here"),
        ({"bits": 24, "block": 2}, "another network: bits is 24 there and 12 here, block is 2 the"),
        ({"code_batch_norm": False}, "code_batch_norm is False there and True here"),
        ({"side": 40}, "another network: side is 40 there and 32 here"),
        ({"method": "dcbh"}, "earlier.keras: holds a DCBH, this configuration trains a DDH"),
    ],
)
def test_another_network_is_refused_in_one_line_and_nothing_is_taken(make_model, earlier, reason):
    model = make_model(identities=OTHERS)
    before = model.get_weights()
    with pytest.raises(InputError, match=reason) as caught:
        take_weights(model, make_model(**earlier), EARLIER)
    assert "\n" not in str(caught.value)
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "names, expected",
    [
        (["conv1"], ["conv1", "conv1_norm"]),
        (["conv", "hash"], [*DDH_LAYERS[:6], "hash", "hash_norm"]),
        (["local_norm"], ["local_norm"]),
    ],
)
def test_layers_are_frozen_by_the_start_of_their_name(make_model, names, expected):
    model = make_model()
    assert list(layers_by_name(model)) == DDH_LAYERS
    assert freeze_layers(model, names) == expected
    frozen = [name for name, layer in layers_by_name(model).items() if not layer.trainable]
    assert frozen == expected


def test_layers_that_keras_named_are_numbered_within_their_network():
    settings = {"bits": 12, "identities": list("abc"), "pixel_mean": 1.0, "pixel_std": 1.0}
    for _ in range(2):  # Keras gives the second one other names
        model = Plain(**settings)
        names = ["dense", *(f"dense_{number}" for number in range(1, 13))]
        assert list(layers_by_name(model)) == names
    assert freeze_layers(model, ["dense_1"]) == ["dense_1"]  # not dense_10
    assert freeze_layers(model, ["dense_10", "dense_2"]) == ["dense_2", "dense_10"]


@pytest.mark.parametrize(
    "names, message",
    [
        (["conv4"], "'conv4': no layer has a name .* DDH has the layers conv1, conv1_norm, conv2"),
        ([""], "'': no layer has a name"),
        (["conv", "local", "feature", "hash", "logits"], "all layers are frozen"),
    ],
)
def test_what_cannot_be_frozen_is_named(make_model, names, message):
    with pytest.raises(InputError, match=message):
        freeze_layers(make_model(), names)


@pytest.fixture
def earlier(faces, tmp_path):
    return run_training(configure(epochs=3), faces, tmp_path / "earlier")[0]


def test_fine_tuning_starts_from_a_run_and_keeps_frozen_layers(faces, tmp_path, earlier, caplog):
    options = {"epochs": 2, "initial_weights": str(earlier.model), "freeze": ["conv", "local"]}
    with caplog.at_level(logging.INFO):
        run, outcome = run_training(
            configure(seed=9, **options),
            faces,
            tmp_path / "run",
            initial=lambda: methods.load(earlier.model),
        )
    assert f"weights of {earlier.model}: took 38 of 38 arrays" in caplog.text
    assert "frozen: conv1, conv1_norm, conv2" in caplog.text
    before = methods.load(earlier.model)
    # Batch norm among them too: its statistics are those of the earlier model.
    assert equal_layers(outcome.model, before) == DDH_LAYERS[:8]
    assert outcome.model.pixel_mean == before.pixel_mean
    assert read_history(run.history)[0]["loss"] < read_history(earlier.history)[0]["loss"]


@pytest.mark.full
def test_a_resumed_fine_tuning_needs_the_initial_weights_no_more(faces, tmp_path, earlier):
    def initial():
        model = methods.load(earlier.model)
        model.pixel_mean = 90.0  # as if it had been trained on darker images,
        model.identities = ["ann", *model.identities[1:]]  # also of another person
        return model

    def missing():
        raise AssertionError("the initial weights are read again")

    options = {"initial_weights": str(earlier.model)}
    whole, longer = run_training(
        configure(epochs=4, **options), faces, tmp_path / "whole", initial=initial
    )
    run, _ = run_training(configure(epochs=2, **options), faces, tmp_path / "a", initial=initial)
    run, outcome = run_training(configure(epochs=4, **options), faces, run.path, initial=missing)
    assert outcome.model.pixel_mean == 90.0
    assert outcome.model.earlier_identities == ("ann",)
    assert outcome.model.training_images == longer.model.training_images is not None
    for mine, theirs in zip(outcome.model.get_weights(), longer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.full
def test_freezing_random_weights_causes_a_warning(faces, tmp_path, caplog):
    run_training(configure(epochs=1, freeze=["conv1"]), faces, tmp_path / "run")
    assert "keeps random weights" in caplog.text
