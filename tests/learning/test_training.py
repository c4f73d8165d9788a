"""Training: selection, resuming, and what it refuses."""

import logging
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from facehash import methods
from facehash.errors import InputError, Interrupted
from facehash.learning import callbacks
from facehash.learning.devices import data_parallel
from facehash.learning.encoding import encode, projections
from facehash.learning.preparation import draw_validation
from facehash.learning.training import compile_model
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.files import read_history, read_split, read_training
from facehash.runs.fingerprint import picture_hashes, recorded
from tests.helpers.training import configure, looks, run_training

RESUMABLE = {
    "augmentation": {"flip": True, "shift": 2},
    "backup_seconds": 0,
    "validation": 0.25,
    "monitor": "val_loss",
}
CRASHING_RUN = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from facehash.learning.backend import choose_backend, start_backend
start_backend(choose_backend())
from facehash.learning import training
from tests.helpers.training import configure, looks, run_training

class Killer(training.History):
    def on_train_batch_end(self, batch, logs=None):
        if len(self.rows) == 5 and batch == 1:
            os.kill(os.getpid(), 9)

training.History = Killer
run_training(configure(**{RESUMABLE}), looks(), Path(sys.argv[2]))
"""


def history_of(run):
    """Return the rows of a run's history without their seconds."""
    rows = read_history(run.history)
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_same_history(run, other):
    for mine, theirs in zip(history_of(run), history_of(other), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)


def train_until_interrupted(folder, **options):
    """Train as configured until Ctrl-C in the middle of epoch 4; return the run."""
    with pytest.MonkeyPatch.context() as patch:
        original = callbacks.Progress.on_train_batch_end

        def stop(self, batch, logs=None):
            original(self, batch, logs)
            if batch == 1 and int(self.bar.desc.split()[1].split("/")[0]) == 4:
                raise KeyboardInterrupt

        patch.setattr(callbacks.Progress, "on_train_batch_end", stop)
        with pytest.raises(Interrupted, match="interrupted after 3 of 8 epochs, which are kept in"):
            run_training(configure(**options), looks(), folder)
    return RunDirectory(folder)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run that was interrupted in epoch 4; tests change copies of it."""
    return train_until_interrupted(tmp_path_factory.mktemp("runs") / "run", backup_seconds=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted, and its outcome."""
    return run_training(configure(**RESUMABLE), looks(), tmp_path_factory.mktemp("runs") / "whole")


@pytest.mark.parametrize("method", ["ddh", pytest.param("dcbh", marks=pytest.mark.full)])
def test_training_leaves_a_finished_run_with_every_loss_term_per_epoch(faces, tmp_path, method):
    # For the statistics of its ten layers, DCBH compiles as long as it trains.
    estimate = method == "ddh"
    config = configure(
        method, epochs=4, batch=12, learning_rate=3e-3, reestimate_statistics=estimate
    )
    run, outcome = run_training(config, faces, tmp_path / "run")
    history = read_history(run.history)
    assert [row["epoch"] for row in history] == list(range(1, 5))
    terms = {"cross_entropy", "quantization", "weight_decay"}
    terms |= {"feature_cross_entropy", "center"} if method == "dcbh" else set()
    assert set(history[0]) == terms | {"epoch", "loss", "accuracy", "seconds"}
    for row in history:
        assert row["loss"] == pytest.approx(sum(row[term] for term in terms), rel=1e-4)
    assert history[-1]["loss"] < history[0]["loss"]
    assert outcome.epochs == 4
    codes = encode(outcome.model, faces.images)
    loaded = methods.load(run.model)
    np.testing.assert_array_equal(encode(loaded, faces.images), codes)
    sizes = np.abs(projections(loaded, faces.images[faces.train])).mean(axis=0)
    expected = np.where(sizes > 1e-6 * sizes.max(), sizes, sizes.max())
    np.testing.assert_allclose(loaded.projection_scale, expected, rtol=1e-4)
    if method == "dcbh":
        relaxed = ops.convert_to_numpy(outcome.model(faces.images)["relaxed"])
        assert np.tanh(1 / 6 - 0.5) - 1e-5 <= relaxed.min() < relaxed.max() <= np.tanh(0.5) + 1e-5


def test_the_kept_weights_are_those_of_the_epoch_with_the_lowest_loss(faces, tmp_path, monkeypatch):
    seen = {}
    original = callbacks.BestWeights.on_epoch_end

    def spy(self, epoch, logs=None):
        original(self, epoch, logs)
        weights = [np.array(ops.convert_to_numpy(one)) for one in self.model.trainable_variables]
        seen[epoch + 1] = (float(logs["loss"]), weights)

    monkeypatch.setattr(callbacks.BestWeights, "on_epoch_end", spy)
    # With such a large learning rate, the loss goes up and down.
    config = configure(learning_rate=0.2, epochs=6)
    run, outcome = run_training(config, faces, tmp_path / "run")
    best = min(seen, key=lambda epoch: seen[epoch][0])
    assert outcome.best_epoch == best
    kept = methods.load(run.model).trainable_variables
    for mine, theirs in zip(kept, seen[best][1], strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), theirs)


@pytest.mark.full
def test_the_same_seed_gives_the_same_codes_and_another_seed_others(faces, tmp_path):
    augmentation, codes, histories = {"flip": True, "shift": 1}, {}, {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = configure(seed=seed, augmentation=augmentation, epochs=3)
        run, outcome = run_training(config, faces, tmp_path / name)
        codes[name], histories[name] = encode(outcome.model, faces.images), history_of(run)
    np.testing.assert_array_equal(codes["a"], codes["b"])
    assert not np.array_equal(codes["a"], codes["c"])
    assert histories["a"] == histories["b"]


@pytest.mark.full
def test_a_run_killed_in_mid_epoch_resumes_to_the_history_of_an_uninterrupted_one(
    faces, tmp_path, request, whole
):
    whole, outcome = whole
    codes = [encode(outcome.model, faces.images)]
    run = RunDirectory(tmp_path / "run")
    command = [sys.executable, "-c", CRASHING_RUN, str(request.config.rootpath), str(run.path)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not run.finished
    assert len(read_history(run.history)) == 5

    # As if the process had died after writing two more rows than the backup has.
    text = run.history.read_text()
    run.history.write_text(text + 2 * (text.splitlines()[-1] + "\n"))
    run, outcome = run_training(configure(**RESUMABLE), faces, run.path)
    assert outcome.epochs == 8
    assert not run.backup.parent.exists()
    assert_same_history(run, whole)
    codes.append(encode(outcome.model, faces.images))
    np.testing.assert_array_equal(*codes)


def test_ctrl_c_in_mid_epoch_keeps_the_whole_epochs_whatever_the_interval_of_backups(
    faces, tmp_path, whole
):
    whole, outcome = whole
    options = RESUMABLE | {"backup_seconds": 1000}
    run = train_until_interrupted(tmp_path / "run", **options)
    assert len(read_history(run.history)) == 3
    with np.load(run.backup) as arrays:
        assert arrays["epoch"] == 3
    _, resumed = run_training(configure(**options), faces, run.path)
    assert_same_history(run, whole)
    codes = [encode(one.model, faces.images) for one in (outcome, resumed)]
    np.testing.assert_array_equal(*codes)


def test_ctrl_c_in_the_first_epoch_keeps_nothing_and_says_so(faces, tmp_path, monkeypatch):
    def stop(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Progress, "on_train_batch_end", stop)
    with pytest.raises(Interrupted, match="interrupted in the first epoch of"):
        run_training(configure(), faces, tmp_path / "run")
    assert not RunDirectory(tmp_path / "run").backup.exists()


@pytest.mark.full
def test_backups_keep_their_interval(faces, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(callbacks.BackupWriter, "write", lambda writer: written.append(writer))
    run_training(configure(epochs=2, backup_seconds=1000), faces, tmp_path / "run")
    assert not written
    run_training(configure(epochs=2, backup_seconds=0), faces, tmp_path / "other")
    assert len(written) == 2


@pytest.mark.parametrize(
    "damage, message",
    [
        ("truncate", "latest.npz: missing or damaged"),
        ("other model", "the backup is of another model"),
        ("no history", "has 0 epochs, the backup 3"),
        ("other data", "is not the one of this run"),
    ],
)
def test_a_backup_that_cannot_be_used_is_named(faces, interrupted, tmp_path, damage, message):
    run = RunDirectory(shutil.copytree(interrupted.path, tmp_path / "run"))
    if damage == "truncate":
        run.backup.write_bytes(run.backup.read_bytes()[:1000])
    elif damage == "no history":
        run.history.unlink()
    elif damage == "other data":
        faces = replace(faces, labels=np.roll(faces.labels, 1))
    else:
        with np.load(run.backup) as arrays:
            np.savez(run.backup, **{k: v[:1] if v.ndim else v for k, v in arrays.items()})
    with pytest.raises(RunError, match=message):
        run_training(configure(backup_seconds=0), faces, run.path)


@pytest.mark.full
def test_training_stops_without_improvement(faces, tmp_path):
    # A rate of 1e-12 never improves the loss noticeably; rounding decides, so patience is 1.
    config = configure(patience=1, learning_rate=1e-12, epochs=40)
    run, outcome = run_training(config, faces, tmp_path / "run")
    history = [row["loss"] for row in read_history(run.history)]
    assert len(history) < 40
    assert outcome.best_epoch == len(history) - 1 == 1 + int(np.argmin(history))


def test_validation_loss_can_select_the_epoch(faces, tmp_path):
    config = configure(validation=0.25, monitor="val_loss", epochs=4)
    run, outcome = run_training(config, faces, tmp_path / "run")
    history = read_history(run.history)
    assert outcome.best_epoch == 1 + int(np.argmin([row["val_loss"] for row in history]))
    assert {"val_cross_entropy", "val_accuracy"} <= set(history[0])
    split = read_split(run.split)
    assert len(split["validation"]) == 9
    assert np.isin(split["validation"], split["gallery"]).all()
    # The model remembers the validation images too, which chose the epoch, but no query.
    record = methods.load(run.model).training_images
    known = recorded(record, picture_hashes(faces.images, np.arange(48)))
    np.testing.assert_array_equal(np.flatnonzero(known), faces.train)


def test_a_short_training_is_as_right_in_use_as_in_training(faces, tmp_path, caplog):
    records = {}
    for estimate in (True, False):
        config = configure(epochs=12, batch=36, reestimate_statistics=estimate)
        with caplog.at_level(logging.WARNING):
            run, outcome = run_training(config, faces, tmp_path / str(estimate))
        relaxed_and_logits = outcome.model(faces.images[faces.train])
        predicted = ops.convert_to_numpy(relaxed_and_logits["logits"]).argmax(axis=-1)
        accuracy = (predicted == faces.labels[faces.train]).mean()
        records[estimate] = read_training(run.training)
        assert records[estimate]["accuracy"]["inference"] == pytest.approx(accuracy, abs=1e-4)
        warned = "accuracy on training images: 1.000 with the statistics of a batch" in caplog.text
        assert warned is not estimate
    assert [record["batch_statistics"] for record in records.values()] == ["reestimated", "moving"]
    assert records[True]["accuracy"] == {"training": 1, "inference": 1}
    # After 12 steps, a moving average with momentum 0.99 still has 89% of its first value.
    assert records[False]["accuracy"]["inference"] < 0.95
    assert "set training.reestimate_statistics=true" in caplog.text


@pytest.mark.full
def test_a_validation_uses_estimated_statistics_and_leaves_the_training_as_it_is(faces, tmp_path):
    options = {"validation": 0.25, "epochs": 3, "augmentation": {"flip": True}}
    histories = {}
    for estimate in (True, False):
        config = configure(**options, reestimate_statistics=estimate)
        run, outcome = run_training(config, faces, tmp_path / str(estimate))
        histories[estimate] = history_of(run)
        if estimate:
            model, kept, split = outcome.model, outcome.best_epoch, read_split(run.split)
    for mine, theirs in zip(histories[True], histories[False], strict=True):
        assert mine["val_loss"] != pytest.approx(theirs["val_loss"], rel=1e-3)
        for name in mine:
            if not name.startswith("val_"):
                assert mine[name] == pytest.approx(theirs[name], rel=1e-6), name
    # So few training images are all in the sample: the saved model has the same statistics.
    held_out = split["validation"]
    again = model.evaluate(
        faces.images[held_out], faces.labels[held_out], verbose=0, return_dict=True
    )
    assert histories[True][kept - 1]["val_loss"] == pytest.approx(again["loss"], rel=1e-4)


def test_a_batch_of_one_image_is_refused_or_omitted(faces, tmp_path, caplog):
    with pytest.raises(InputError, match="training.batch 1: .* the smallest that works is 2"):
        run_training(configure(batch=1), faces, tmp_path / "one")
    assert not (tmp_path / "one").exists()
    with caplog.at_level(logging.WARNING):
        run_training(configure(batch=7, epochs=1), faces, tmp_path / "run")
    assert "each epoch omits one of 36 images" in caplog.text


def test_a_single_person_is_refused_before_the_training(faces, tmp_path):
    rows = np.concatenate([faces.train[faces.labels[faces.train] == 0], faces.train[-1:]])
    found = 0
    for seed in range(20):  # the draw takes the only image of the second person in some
        config = configure(validation=0.3, seed=seed, epochs=1)
        validation = draw_validation(rows, 0.3, seed)
        if rows[-1] in validation:
            found += 1
            with pytest.raises(InputError, match="the training images show one person"):
                run_training(config, replace(faces, train=rows), tmp_path / str(seed))
    assert found


@pytest.mark.full
def test_constant_bits_are_named_at_the_end_of_training(faces, tmp_path, caplog, make_model):
    def build(*arguments, **statistics):
        model = methods.build(config, *arguments, **statistics)
        layer = model.network.layers[-3]
        assert isinstance(layer, keras.layers.BatchNormalization)
        layer.beta.assign(layer.beta + 100.0)
        return model

    config = configure(epochs=1)
    with caplog.at_level(logging.WARNING):
        run_training(config, faces, tmp_path / "run", build=build)
    assert "12 of 12 bits are constant" in caplog.text


def test_a_diverging_loss_ends_with_advice_and_no_model(faces, tmp_path):
    config = configure(learning_rate=1e30, optimizer="sgd")
    with pytest.raises(callbacks.TrainingDiverged, match="lower training.learning_rate"):
        run_training(config, faces, tmp_path / "run")
    assert not RunDirectory(tmp_path / "run").finished


def test_schedule_and_optimizer_are_the_configured_ones(make_model):
    model = make_model()
    training = configure(schedule="cosine", epochs=4, batch=10).training
    compile_model(model, training, images=25)  # 3 steps per epoch, 12 in all
    rate = model.optimizer._learning_rate
    values = [float(ops.convert_to_numpy(rate(step))) for step in (0, 6, 12)]
    assert values == pytest.approx([0.01, 0.005, 0.0], abs=1e-6)
    compile_model(model, configure(optimizer="sgd").training, images=25)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer.nesterov


def test_tensorboard_without_its_package_says_how_to_get_it(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'facehash\[tensorboard\]'"):
        run_training(configure(tensorboard=True), faces, tmp_path / "run")


@pytest.mark.full
def test_overwriting_keeps_the_old_run_until_the_new_one_can_start(faces, tmp_path):
    run, _ = run_training(configure(epochs=1), faces, tmp_path / "run")
    weights = run.model.read_bytes()
    config = configure(epochs=1, bits=24)

    def fail(*arguments, **statistics):
        raise InputError("images are too small")

    with pytest.raises(InputError, match="too small"):
        run_training(config, faces, run.path, build=fail, overwrite=True)
    assert run.model.read_bytes() == weights
    run_training(config, faces, run.path, overwrite=True)
    assert methods.load(run.model).bits == 24


def test_all_devices_are_refused_where_keras_cannot_use_them_and_a_single_one_is_logged(caplog):
    if keras.backend.backend() != "jax":
        with pytest.raises(InputError, match="'all' needs the backend 'jax', got"):
            data_parallel("all", batch=8).__enter__()
    elif len(keras.distribution.list_devices()) == 1:
        with caplog.at_level(logging.WARNING), data_parallel("all", batch=7) as devices:
            assert devices == 1
        assert "there is only one device" in caplog.text
