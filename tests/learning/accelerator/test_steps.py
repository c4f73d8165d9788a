"""Images that are kept on the device, several steps per call, and copies of the weights there."""

import keras
import numpy as np
import pytest

from facehash.learning import accelerator
from facehash.learning.accelerator import layers, steps
from facehash.learning.accelerator.steps import steps_per_call
from facehash.learning.backup import device_copies, training_variables
from facehash.learning.batches import ShuffledBatches
from facehash.learning.encoding import projections
from facehash.runs.files import read_history
from tests.helpers.training import configure, run_training

OPTIONS = {"epochs": 3, "batch": 5, "augmentation": {"flip": True, "shift": 2}}
OPTIONS |= {"validation": 0.2, "backup_seconds": 0}


def test_images_on_the_device_give_the_same_training(faces, tmp_path, monkeypatch):
    plain, expected = run_training(configure(**OPTIONS), faces, tmp_path / "plain")
    monkeypatch.setattr(accelerator, "on_accelerator", lambda: True)
    monkeypatch.setattr(layers, "_functions", lambda: None)  # they round differently
    monkeypatch.setattr(steps, "STEPS", 2)
    run, outcome = run_training(configure(**OPTIONS), faces, tmp_path / "run")
    for mine, theirs in zip(read_history(run.history), read_history(plain.history), strict=True):
        for name in set(theirs) - {"seconds"}:
            assert mine[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-6), name
    found = [projections(o.model, faces.images) for o in (outcome, expected)]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)
    assert outcome.model._resident is None  # the memory is free again


def test_a_step_for_each_size_of_a_batch_trains_as_one_for_all_sizes(faces, tmp_path, monkeypatch):
    found = []  # they round differently
    for many in (1, 1000):  # steps per epoch; only TensorFlow makes a difference
        monkeypatch.setattr(steps, "MANY_STEPS", many)
        run, _ = run_training(configure(**OPTIONS), faces, tmp_path / str(many))
        found.append(read_history(run.history))
    for mine, theirs in zip(*found, strict=True):
        for name in set(theirs) - {"seconds"}:
            assert mine[name] == pytest.approx(theirs[name], rel=0.01, abs=1e-4), name


def test_steps_per_call_divide_an_epoch_into_equal_calls(monkeypatch):
    images = np.zeros((670, 2, 2, 3), np.uint8)
    assert steps_per_call(images, 10, 1) is None  # on a CPU, memory is the same
    monkeypatch.setattr(accelerator, "on_accelerator", lambda: True)
    of_jax = keras.backend.backend() == "jax"
    assert steps_per_call(images, 10, 1) == (22 if of_jax else 0)  # 67 steps: 3 x 22 and one
    assert steps_per_call(images, 1000, 1) == (1 if of_jax else 0)
    assert steps_per_call(images, 10, 2) is None
    monkeypatch.setattr(steps, "MOST_BYTES", 100)
    assert steps_per_call(images, 10, 1) is None


@pytest.fixture
def compiled(faces):
    """Return an untrained model with its optimizer, and its training images and classes."""
    from facehash import methods
    from facehash.learning.training import compile_model

    config = configure()
    model = methods.build(config, faces.identities, 120.0, 60.0)
    compile_model(model, config.training, 36)
    return model, faces.images[faces.train], faces.labels[faces.train].astype("int32")


def test_copies_stay_what_they_were_when_training_goes_on(compiled):
    model, images, labels = compiled
    variables = training_variables(model)
    kept = []
    for _ in range(2):
        model.fit(images, labels, batch_size=12, verbose=0)
        values = [np.array(keras.ops.convert_to_numpy(one)) for one in variables]
        kept.append((device_copies(variables), values))
    model.fit(images, labels, batch_size=12, verbose=0)
    for copies, values in kept:
        for copy, value in zip(copies, values, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(copy), value)
    changed = [(a != b).any() for a, b in zip(kept[0][1], kept[1][1], strict=True)]
    assert sum(changed) > len(changed) / 2


def test_batches_of_ours_follow_on_those_of_keras_and_have_the_metrics_of_the_epoch(compiled):
    model, images, labels = compiled
    model.fit(images, labels, batch_size=12, verbose=0)
    batches = ShuffledBatches(images, labels, 12, seed=1)
    validation = {"validation_data": (images[:7], labels[:7]), "verbose": 0, "shuffle": False}
    for epochs in (1, 2):
        rows = model.fit(batches, epochs=epochs, **validation).history
        assert len(rows["loss"]) == epochs
        scored = model.evaluate(images[:7], labels[:7], verbose=0, return_dict=True)
        for name, value in scored.items():
            assert rows[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)
    model.reset_metrics()
    history = model.fit(batches, epochs=1, verbose=0, shuffle=False).history
    for name, value in model.get_metrics_result().items():
        assert history[name][-1] == pytest.approx(float(value), rel=1e-6)
