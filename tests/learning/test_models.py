"""DDH and DCBH as `HashModel`s: their networks, their losses, and the contract."""

import keras
import numpy as np
import pytest
from keras import ops

from ddh.model import DDH
from facehash.errors import InputError
from facehash.runs.fingerprint import picture_hashes, record_pictures, recorded


def outputs_of(model, images, training=False):
    return {name: ops.convert_to_numpy(t) for name, t in model(images, training=training).items()}


def parameters(model, trainable=True):
    variables = model.trainable_variables if trainable else model.non_trainable_variables
    return sum(int(np.prod(v.shape)) for v in variables)


def entropy(logits, labels):
    logits = logits.astype(np.float64)
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])


def decay(model, count):
    """Half the sum of squares of all kernels, of which there are `count`."""
    kernels = [v for v in model.trainable_variables if "kernel" in v.path]
    assert len(kernels) == count
    return sum(np.square(ops.convert_to_numpy(k)).sum() for k in kernels) / 2


def check_terms(model, images, labels, expected):
    model.compile()
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name
    assert logs["loss"] == pytest.approx(sum(expected.values()), rel=1e-4)
    assert set(logs) == {"loss", "accuracy", *expected}
    return logs


def test_the_parameter_count_of_ddh_is_that_of_the_released_network(make_model):
    model = make_model(bits=48, identities=[str(i) for i in range(1595)])
    # Convolutions with batch normalization 600 + 3,320 + 9,780; locally connected 76,800 weights,
    # 320 biases, 160; dense 860 -> 192 with 384; 48 blocks of 4 + 1; 96; softmax 49 x 1,595.
    parts = 600 + 3320 + 9780 + 76800 + 320 + 160 + 861 * 192 + 384 + 48 * 5 + 96 + 49 * 1595
    assert parameters(model) == parts == 335_167


def test_the_parameter_count_of_dcbh_is_that_of_the_described_network(make_model):
    model = make_model("dcbh", bits=48, identities=[str(i) for i in range(1595)])
    convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    convolutions += [(256, 512), (512, 512), (512, 512)]
    backbone = sum(9 * i * o + 2 * o for i, o in convolutions)  # no bias; gamma and beta
    head = 768 * 288 + 288 + 2 * 288 + (48 + 1) * 1595 + (288 + 1) * 1595
    assert parameters(model) == backbone + head
    # The optimizer does not train the centers; the rest are moving statistics.
    moving = sum(2 * o for _, o in convolutions) + 2 * 288
    assert parameters(model, trainable=False) == moving + 1595 * 288


def test_the_switches_of_ddh(make_model):
    default = parameters(make_model())
    assert default - parameters(make_model(code_batch_norm=False)) == 2 * 12
    dense = make_model(hashing="dense")
    assert parameters(dense) - default == 12 * 48 - 48  # every bit has 48 features, not 4
    assert DDH.from_config(dense.get_config()).hashing == "dense"


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
def test_each_part_of_dcbh_can_be_switched_off(make_model, images, options, terms, features):
    model = make_model("dcbh", **options)
    model.compile()
    logs = model.evaluate(images, np.arange(6) % 3, verbose=0, return_dict=True)
    always = {"loss", "accuracy", "cross_entropy", "quantization", "weight_decay"}
    assert set(logs) == always | terms
    [kernel] = [v for v in model.trainable_variables if v.shape[-1] == 72 and len(v.shape) == 2]
    assert kernel.shape[0] == features
    assert model(images)["relaxed"].shape == (6, 12)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_a_model_that_starts_from_another_remembers_what_that_was_trained_on(make_model, faces):
    hashes = picture_hashes(faces.images, np.arange(4))
    model = make_model(training_images=record_pictures(hashes[:2]))
    record = record_pictures(hashes[2:3])
    first = make_model(identities=["eve", "zoe", "al"], training_images=record)
    assert model.trained_people == {"ann", "bob", "eve"}
    model.inherit(first)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.trained_people == {"ann", "bob", "eve", "zoe", "al"}
    assert again.identities == ["ann", "bob", "eve"]
    assert recorded(again.training_images, hashes).tolist() == [True, True, True, False]
    again.inherit(make_model(identities=["kim"]))  # made by 0.1.0: its images are unknown
    assert again.training_images is None and "kim" in again.trained_people


def test_images_too_small_for_ddh_are_refused_with_the_size_that_fits(make_model):
    with pytest.raises(InputError, match="at least 24 x 24 pixels, got side 16"):
        make_model(side=16)


def test_the_loss_of_ddh_is_the_sum_of_its_terms_written_from_the_equation(make_model, images):
    model = make_model(quantization_weight=0.3, weight_decay=1e-3)
    labels = np.array([0, 1, 2, 2, 1, 1])
    out = outputs_of(model, images)
    expected = {
        "cross_entropy": entropy(out["logits"], labels),
        "quantization": 0.3 * np.abs(np.abs(out["relaxed"]) - 1).mean(),
        "weight_decay": 2e-3 * decay(model, 7),
    }
    logs = check_terms(model, images, labels, expected)
    assert logs["accuracy"] == pytest.approx(np.mean(out["logits"].argmax(axis=1) == labels))


def test_the_loss_of_dcbh_is_the_sum_of_its_terms_written_from_the_equations(make_model, images):
    model = make_model("dcbh", center_weight=0.01, weight_decay=2e-4)
    labels = np.array([0, 1, 2, 2, 1, 1])
    out = outputs_of(model, images)
    centers = ops.convert_to_numpy(model.center_loss.positions())
    expected = {
        "cross_entropy": entropy(out["logits"], labels),
        "feature_cross_entropy": entropy(out["feature_logits"], labels),
        "quantization": 0.1 * np.abs(0.5 - np.abs(out["relaxed"])).mean(),
        "center": 0.01 * np.square(out["feature"] - centers[labels]).sum() / 2,
        "weight_decay": 2e-4 * decay(model, 13),
    }
    check_terms(model, images, labels, expected)


def moved_by_a_loop(centers, features, labels):
    """The moving update by its definition: every row pulls on the center before the update."""
    moved = centers.copy()
    for y in range(len(centers)):
        rows = [f for f, label in zip(features, labels, strict=True) if label == y]
        for f in rows:
            moved[y] -= (centers[y] - f) / (1 + len(rows))
    return moved


def changes_of_a_step(model, images, labels):
    """Train one step; return by how much each weight changed at most."""
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.train_on_batch(images, labels)
    # A bias before batch normalization has no effect: its gradient is rounding, but not 0.
    return {
        variable.path: np.abs(ops.convert_to_numpy(variable) - old).max()
        for variable, old in zip(model.trainable_variables, before, strict=True)
    }


def test_the_gradient_reaches_every_weight_of_ddh(make_model, rng):
    model = make_model(weight_decay=0.0)  # the decay alone would reach every kernel
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    images = rng.integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    for path, change in changes_of_a_step(model, images, np.arange(12) % 3).items():
        assert 0 < change < np.inf, path


@pytest.mark.parametrize(
    "centers",
    [
        "both",
        pytest.param("moving", marks=pytest.mark.full),
        pytest.param("gradient", marks=pytest.mark.full),
    ],
)
def test_a_step_moves_weights_and_centers_of_dcbh_and_evaluation_neither(
    make_model, images, centers
):
    model = make_model("dcbh", centers=centers, center_weight=1.0)
    model.compile(optimizer=keras.optimizers.SGD(1e-3))
    labels = np.array([0, 1, 1, 0, 1, 1])  # nobody of class 2
    before = ops.convert_to_numpy(model.center_loss.positions())
    model.evaluate(images, labels, verbose=0)
    np.testing.assert_array_equal(ops.convert_to_numpy(model.center_loss.positions()), before)

    features = outputs_of(model, images, training=True)["feature"]
    changes = changes_of_a_step(model, images, labels)
    after = ops.convert_to_numpy(model.center_loss.positions())
    expected = moved_by_a_loop(before, features, labels) if centers != "gradient" else before.copy()
    if centers != "moving":  # d loss / d center = sum over its rows of (center - feature)
        for feature, label in zip(features, labels, strict=True):
            expected[label] -= 1e-3 * (before[label] - feature)
    np.testing.assert_allclose(after, expected, atol=2e-4)
    np.testing.assert_array_equal(after[2], before[2])
    for path, change in changes.items():
        assert "learned" in path or 0 < change < np.inf, path


def test_augmentation_changes_training_only(make_model, images):
    model = make_model(augmentation={"flip": True, "shift": 3, "brightness": 0.2})
    first, second = (outputs_of(model, images)["relaxed"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    seen = []
    model.standardize.call = lambda x: seen.append(ops.convert_to_numpy(x)) or x
    model(images, training=False)
    model(images, training=True)
    np.testing.assert_array_equal(seen[0], images)
    assert not np.array_equal(seen[1], images)


def test_mixed_precision_still_returns_float32(make_model, images):
    model = make_model(dtype="mixed_bfloat16")
    outputs = model(images)
    as_float = outputs_of(model, images.astype("float32"))["relaxed"]
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs["relaxed"]), as_float)
    assert {keras.backend.standardize_dtype(t.dtype) for t in outputs.values()} == {"float32"}
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.weights} == {"float32"}
    assert model.network.get_layer("relaxed").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"  # other models are not affected
