import functools

import keras
import numpy as np
import pytest
from keras import ops

from dcbh.model import DCBH
from facehash import methods
from facehash.config import check_config
from facehash.learning.encoding import encode
from facehash.learning.training import train
from facehash.runs.directory import RunDirectory
from facehash.runs.files import read_history
from tests.learning.test_dcbh_layers import moved_by_a_loop


@pytest.fixture
def make_dcbh():
    """Make untrained DCBH models for three people."""

    def make(**options):
        settings = {"bits": 12, "identities": ["ann", "bob", "eve"], "pixel_mean": 120.0}
        return DCBH(**(settings | {"pixel_std": 60.0} | options))

    return make


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 32, 32, 3)).astype("uint8")


def parameters(model, trainable=True):
    variables = model.trainable_variables if trainable else model.non_trainable_variables
    return sum(int(np.prod(v.shape)) for v in variables)


def test_the_parameter_count_is_that_of_the_described_network(make_dcbh):
    model = make_dcbh(bits=48, identities=[str(i) for i in range(1595)])
    convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    convolutions += [(256, 512), (512, 512), (512, 512)]
    backbone = sum(9 * i * o + 2 * o for i, o in convolutions)  # no bias; gamma and beta
    head = 768 * 288 + 288 + 2 * 288 + (48 + 1) * 1595 + (288 + 1) * 1595
    assert parameters(model) == backbone + head
    # The centers are no parameters of the optimizer; moving statistics aside, they are the rest.
    moving = sum(2 * o for _, o in convolutions) + 2 * 288
    assert parameters(model, trainable=False) == moving + 1595 * 288


@pytest.mark.parametrize(
    "options, terms, features",
    [
        ({}, {"feature_cross_entropy", "center"}, 768),
        ({"center_weight": 0.0}, {"feature_cross_entropy"}, 768),
        ({"feature_classifier": False}, {"center"}, 768),
        ({"two_scales": False}, {"feature_cross_entropy", "center"}, 512),
        ({"hashing": "divide_and_encode"}, {"feature_cross_entropy", "center"}, 768),
    ],
)
def test_each_part_can_be_switched_off(make_dcbh, images, options, terms, features):
    model = make_dcbh(**options)
    model.compile()
    logs = model.evaluate(images, np.arange(6) % 3, verbose=0, return_dict=True)
    always = {"loss", "accuracy", "cross_entropy", "quantization", "weight_decay"}
    assert set(logs) == always | terms
    [kernel] = [v for v in model.trainable_variables if v.shape[-1] == 72 and len(v.shape) == 2]
    assert kernel.shape[0] == features
    outputs = model(images)
    assert outputs["relaxed"].shape == (6, 12)
    assert outputs["logits"].shape == (6, 3)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_the_loss_is_the_sum_of_its_terms_written_from_the_equations(make_dcbh, images):
    model = make_dcbh(center_weight=0.01, weight_decay=2e-4)
    labels = np.array([0, 1, 2, 2, 1, 1])
    out = {k: ops.convert_to_numpy(v).astype(np.float64) for k, v in model(images).items()}

    def entropy(logits):
        chosen = logits[np.arange(6), labels]
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)

    centers = ops.convert_to_numpy(model.center_loss.positions())
    kernels = [v for v in model.trainable_variables if "kernel" in v.path]
    assert len(kernels) == 13
    expected = {
        "cross_entropy": entropy(out["logits"]),
        "feature_cross_entropy": entropy(out["feature_logits"]),
        "quantization": 0.1 * np.abs(0.5 - np.abs(out["relaxed"])).mean(),
        "center": 0.01 * np.square(out["feature"] - centers[labels]).sum() / 2,
        "weight_decay": 1e-4 * sum(np.square(ops.convert_to_numpy(k)).sum() for k in kernels),
    }
    model.compile()
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name
    assert logs["loss"] == pytest.approx(sum(expected.values()), rel=1e-4)


@pytest.mark.parametrize("centers", ["moving", "gradient", "both"])
def test_a_step_moves_weights_and_centers_as_asked_and_evaluation_neither(
    make_dcbh, images, centers
):
    model = make_dcbh(centers=centers, center_weight=1.0)
    model.compile(optimizer=keras.optimizers.SGD(1e-3))
    labels = np.array([0, 1, 1, 0, 1, 1])  # nobody of class 2
    before = ops.convert_to_numpy(model.center_loss.positions())
    model.evaluate(images, labels, verbose=0)
    np.testing.assert_array_equal(ops.convert_to_numpy(model.center_loss.positions()), before)

    features = ops.convert_to_numpy(model(images, training=True)["feature"])
    frozen = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.train_on_batch(images, labels)
    after = ops.convert_to_numpy(model.center_loss.positions())
    expected = moved_by_a_loop(before, features, labels) if centers != "gradient" else before.copy()
    if centers != "moving":  # d loss / d center = sum over its rows of (center - feature)
        for feature, label in zip(features, labels, strict=True):
            expected[label] -= 1e-3 * (before[label] - feature)
    np.testing.assert_allclose(after, expected, atol=2e-4)
    np.testing.assert_array_equal(after[2], before[2])
    for variable, old in zip(model.trainable_variables, frozen, strict=True):
        if "learned" not in variable.path:
            change = np.abs(ops.convert_to_numpy(variable) - old)
            assert np.isfinite(change).all() and change.max() > 0, variable.path


def test_one_photo_is_encoded_like_the_same_row_of_a_batch(make_dcbh, images):
    model = make_dcbh()
    batch = ops.convert_to_numpy(model(images)["relaxed"])
    for row in range(3):
        single = ops.convert_to_numpy(model(images[row : row + 1])["relaxed"])[0]
        np.testing.assert_allclose(single, batch[row], atol=1e-5)


def test_a_saved_model_gives_the_same_codes_in_a_fresh_process(
    make_dcbh, images, encode_in_a_fresh_process
):
    model = make_dcbh(centers="both")
    codes, printed = encode_in_a_fresh_process(model, images)
    assert printed[0] == "dcbh"
    np.testing.assert_array_equal(codes, encode(model, images))


def test_a_few_epochs_learn_within_the_stated_bounds_and_encode_alike_when_loaded(faces, tmp_path):
    tree = {
        "method": "dcbh",
        "bits": 12,
        "dataset": {"name": "looks"},
        "training": {"epochs": 6, "batch": 12},
    }
    config = check_config(tree, methods.options_class, "test")
    run = RunDirectory(tmp_path / "run")
    outcome = train(config, faces, run, functools.partial(methods.build, config))
    history = read_history(run.history)
    assert history[-1]["loss"] < history[0]["loss"]
    relaxed = ops.convert_to_numpy(outcome.model(faces.images)["relaxed"])
    assert np.tanh(1 / 6 - 0.5) - 1e-5 <= relaxed.min() < relaxed.max() <= np.tanh(0.5) + 1e-5
    codes = encode(outcome.model, faces.images)
    np.testing.assert_array_equal(encode(methods.load(run.model), faces.images), codes)
