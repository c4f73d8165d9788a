import functools
import signal
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from facehash import methods
from facehash.command_line import Interrupted
from facehash.config import check_config
from facehash.errors import InputError
from facehash.files import FileInUseError
from facehash.learning import callbacks
from facehash.learning.encoding import encode
from facehash.learning.training import compile_model, train
from facehash.runs.directory import RunDirectory, RunError
from facehash.runs.files import read_history, read_split

CRASHING_RUN = """
import os, sys
import numpy as np
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.learning.test_training import configure, run_training
from facehash.dataset import FaceDataset
from facehash.files import FileInUseError, file_lock
from facehash.learning import callbacks
folder = Path(sys.argv[2])
arrays = dict(np.load(folder / "faces.npz"))
faces = FaceDataset("looks", identities=tuple("abcdef"), protocol="seen", **arrays)

class Killer(callbacks.Progress):
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if len(self.history.rows) == 5 and batch == 1:
            os.kill(os.getpid(), 9)

from facehash.learning import training
training.Progress = Killer
make_history = training.History
def remember(*arguments):
    Killer.history = make_history(*arguments)
    return Killer.history
training.History = remember
run_training(faces, folder / "run", augmentation={"flip": True, "shift": 2}, backup_seconds=0)
"""


def configure(*, augmentation=None, bits=12, seed=3, **training):
    tree = {
        "method": "ddh",
        "bits": bits,
        "seed": seed,
        "dataset": {"name": "looks"},
        "augmentation": augmentation or {},
        "training": {"epochs": 8, "batch": 16, "learning_rate": 0.01, **training},
    }
    return check_config(tree, methods.options_class, "test")


def run_training(faces, folder, **options):
    config = configure(**options)
    run = RunDirectory(folder)
    return run, train(config, faces, run, functools.partial(methods.build, config))


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def test_training_leaves_a_finished_run_with_every_loss_term_an_epoch(faces, tmp_path):
    run, outcome = run_training(faces, tmp_path / "run")
    assert {path.name for path in run.path.iterdir()} == {
        "config.yaml",
        "environment.json",
        "split.npz",
        "history.csv",
        "model.keras",
    }
    history = read_history(run.history)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    terms = {"cross_entropy", "quantization", "weight_decay"}
    assert set(history[0]) == terms | {"epoch", "loss", "accuracy", "seconds"}
    for row in history:
        assert row["loss"] == pytest.approx(sum(row[term] for term in terms), rel=1e-4)
    assert history[-1]["loss"] < history[0]["loss"]
    assert outcome.epochs == 8


def test_the_kept_weights_are_those_of_the_epoch_with_the_lowest_loss(faces, tmp_path, monkeypatch):
    seen = {}
    original = callbacks.BestWeights.on_epoch_end

    def spy(self, epoch, logs=None):
        original(self, epoch, logs)
        seen[epoch + 1] = (float(logs["loss"]), self.model.get_weights())

    monkeypatch.setattr(callbacks.BestWeights, "on_epoch_end", spy)
    # So large a rate that the loss goes up and down.
    run, outcome = run_training(faces, tmp_path / "run", learning_rate=0.2, epochs=6)
    best = min(seen, key=lambda epoch: seen[epoch][0])
    assert outcome.best_epoch == best
    loaded = methods.load(run.model)
    for mine, theirs in zip(loaded.get_weights(), seen[best][1], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_same_seed_gives_the_same_codes_and_another_seed_others(faces, tmp_path):
    augmentation = {"flip": True, "shift": 1}
    runs = {
        name: run_training(faces, tmp_path / name, seed=seed, augmentation=augmentation, epochs=3)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    }
    codes = {name: encode(outcome.model, faces.images) for name, (_, outcome) in runs.items()}
    np.testing.assert_array_equal(codes["a"], codes["b"])
    assert not np.array_equal(codes["a"], codes["c"])
    histories = {
        name: without_seconds(read_history(run.history)) for name, (run, _) in runs.items()
    }
    assert histories["a"] == histories["b"]


def test_a_run_killed_in_mid_epoch_resumes_to_the_history_of_an_unbroken_one(
    faces, tmp_path, request
):
    options = {"augmentation": {"flip": True, "shift": 2}, "backup_seconds": 0}
    unbroken, _ = run_training(faces, tmp_path / "unbroken", **options)
    arrays = {
        name: getattr(faces, name) for name in ("images", "labels", "train", "gallery", "query")
    }
    np.savez(tmp_path / "faces.npz", **arrays)
    command = [sys.executable, "-c", CRASHING_RUN, str(request.config.rootpath), str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = RunDirectory(tmp_path / "run")
    assert not run.finished
    assert len(read_history(run.history)) == 5

    run, outcome = run_training(faces, run.path, **options)
    assert outcome.epochs == 8
    assert not run.backup.parent.exists()
    resumed, whole = (read_history(r.history) for r in (run, unbroken))
    for mine, theirs in zip(without_seconds(resumed), without_seconds(whole), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)
    models = [methods.load(r.model) for r in (run, unbroken)]
    np.testing.assert_array_equal(*(encode(model, faces.images) for model in models))


def interrupt_in_epoch(monkeypatch, epoch):
    original = callbacks.Progress.on_epoch_begin

    def stop(self, current, logs=None):
        if current + 1 == epoch:
            raise KeyboardInterrupt
        original(self, current, logs)

    monkeypatch.setattr(callbacks.Progress, "on_epoch_begin", stop)


def test_ctrl_c_says_what_is_kept_and_the_same_call_goes_on(faces, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 4)
        with pytest.raises(Interrupted, match="after 3 of 8 epochs, 3 of them backed up"):
            run_training(faces, tmp_path / "run", backup_seconds=0)
    run, outcome = run_training(faces, tmp_path / "run", backup_seconds=0)
    assert outcome.epochs == 8
    unbroken, _ = run_training(faces, tmp_path / "unbroken")
    for mine, theirs in zip(
        *(without_seconds(read_history(r.history)) for r in (run, unbroken)), strict=True
    ):
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_backups_keep_their_interval(faces, tmp_path, monkeypatch):
    interrupt_in_epoch(monkeypatch, 4)
    with pytest.raises(Interrupted, match="0 of them backed up"):
        run_training(faces, tmp_path / "run", backup_seconds=1000)
    assert not RunDirectory(tmp_path / "run").backup.exists()


def test_epochs_after_the_last_backup_are_made_anew(faces, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 5)
        with pytest.raises(Interrupted):
            run_training(faces, tmp_path / "run", backup_seconds=0)
    run = RunDirectory(tmp_path / "run")
    # As if the process had died after writing two more rows than the backup knows.
    text = run.history.read_text()
    run.history.write_text(text + text.splitlines()[-1] + "\n" + text.splitlines()[-1] + "\n")
    _, outcome = run_training(faces, tmp_path / "run", backup_seconds=0)
    assert [row["epoch"] for row in read_history(run.history)] == list(range(1, 9))
    assert outcome.epochs == 8


@pytest.mark.parametrize("damage", ["truncate", "other model", "no history"])
def test_a_backup_that_cannot_be_used_is_named(faces, tmp_path, monkeypatch, damage):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 4)
        with pytest.raises(Interrupted):
            run_training(faces, tmp_path / "run", backup_seconds=0)
    run = RunDirectory(tmp_path / "run")
    if damage == "truncate":
        run.backup.write_bytes(run.backup.read_bytes()[:1000])
        expected = "latest.npz: missing or damaged"
    elif damage == "no history":
        run.history.unlink()
        expected = "holds 0 epochs, the backup 3"
    else:
        with np.load(run.backup) as arrays:
            np.savez(run.backup, **{k: v[:1] if v.ndim else v for k, v in arrays.items()})
        expected = "the backup is of another model"
    with pytest.raises(RunError, match=expected):
        run_training(faces, tmp_path / "run", backup_seconds=0)


def test_a_run_does_not_go_on_with_other_data(faces, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 4)
        with pytest.raises(Interrupted):
            run_training(faces, tmp_path / "run", backup_seconds=0)
    other = replace(faces, labels=np.roll(faces.labels, 1))
    with pytest.raises(RunError, match="is not the one of this run"):
        run_training(other, tmp_path / "run", backup_seconds=0)


def test_training_stops_when_patience_has_run_out(faces, tmp_path):
    # A rate of 1e-12 never improves the loss noticeably; rounding decides, so patience is 1.
    run, outcome = run_training(faces, tmp_path / "run", patience=1, learning_rate=1e-12, epochs=40)
    history = [row["loss"] for row in read_history(run.history)]
    assert len(history) < 40
    assert outcome.best_epoch == len(history) - 1 == 1 + int(np.argmin(history))


def test_validation_loss_can_select_the_epoch(faces, tmp_path):
    run, outcome = run_training(
        faces, tmp_path / "run", validation=0.25, monitor="val_loss", epochs=4
    )
    history = read_history(run.history)
    assert outcome.best_epoch == 1 + int(np.argmin([row["val_loss"] for row in history]))
    assert {"val_cross_entropy", "val_accuracy"} <= set(history[0])
    split = read_split(run.split)
    assert len(split["validation"]) == 9
    assert np.isin(split["validation"], split["gallery"]).all()


def test_a_diverging_loss_ends_with_advice_and_no_model(faces, tmp_path):
    with pytest.raises(callbacks.TrainingDiverged, match="lower training.learning_rate"):
        run_training(faces, tmp_path / "run", learning_rate=1e30, optimizer="sgd")
    assert not RunDirectory(tmp_path / "run").finished


def test_the_cosine_schedule_ends_at_zero(make_model):
    training = configure(schedule="cosine", epochs=4, batch=10).training
    model = make_model()
    compile_model(model, training, images=25)  # 3 steps an epoch, 12 in all
    rate = model.optimizer._learning_rate
    values = [float(ops.convert_to_numpy(rate(step))) for step in (0, 6, 12)]
    assert values == pytest.approx([0.01, 0.005, 0.0], abs=1e-6)


def test_options_reach_the_optimizer(make_model):
    model = make_model()
    compile_model(model, configure(optimizer="sgd").training, images=25)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer.nesterov


def test_mixed_precision_trains_and_is_not_left_behind(faces, tmp_path):
    run, outcome = run_training(faces, tmp_path / "run", precision="mixed_bfloat16", epochs=2)
    assert outcome.model.network.get_layer("relaxed").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    loaded = methods.load(run.model)
    assert loaded.network.get_layer("relaxed").compute_dtype == "bfloat16"
    np.testing.assert_array_equal(encode(loaded, faces.images), encode(outcome.model, faces.images))


def test_tensorboard_without_its_package_says_how_to_get_it(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'facehash\[tensorboard\]'"):
        run_training(faces, tmp_path / "run", tensorboard=True)


def test_two_processes_do_not_train_in_one_run_directory(faces, tmp_path):
    run = RunDirectory(tmp_path / "run")
    with run.held(), pytest.raises(FileInUseError, match="another process works here"):
        run_training(faces, run.path)
    assert not run.path.exists()


def test_a_run_that_another_process_has_finished_meanwhile_is_not_trained_again(faces, tmp_path):
    run, _ = run_training(faces, tmp_path / "run", epochs=1)
    with pytest.raises(RunError, match="has just finished this run"):
        run_training(faces, run.path, epochs=1)


def test_overwriting_keeps_the_old_run_until_the_new_one_can_begin(faces, tmp_path):
    run, _ = run_training(faces, tmp_path / "run", epochs=1)
    weights = run.model.read_bytes()
    config = configure(epochs=1, bits=24)

    def fail(*arguments):
        raise InputError("images are too small")

    with pytest.raises(InputError, match="too small"):
        train(config, faces, run, fail, overwrite=True)
    assert run.model.read_bytes() == weights
    train(config, faces, run, functools.partial(methods.build, config), overwrite=True)
    assert methods.load(run.model).bits == 24


def test_a_value_that_is_no_number_never_becomes_the_best(faces, tmp_path, monkeypatch):
    original = callbacks.History.on_epoch_end
    monkeypatch.setattr(
        callbacks.History,
        "on_epoch_end",
        lambda self, epoch, logs: original(self, epoch, logs | {"val_loss": float("nan")}),
    )
    with pytest.raises(callbacks.TrainingDiverged, match="val_loss became nan in epoch 1"):
        run_training(faces, tmp_path / "run", validation=0.25, monitor="val_loss")
