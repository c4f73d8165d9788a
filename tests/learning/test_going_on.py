"""Going on with a finished or stopped run, and checkpoints on the way."""

from dataclasses import replace

import numpy as np
import pytest

from facehash import methods
from facehash.errors import InputError, Interrupted
from facehash.learning import callbacks
from facehash.learning.backup import Backup
from facehash.learning.encoding import encode, retrieval_map
from facehash.retrieval.evaluation import evaluate
from facehash.runs.directory import RunError
from facehash.runs.files import read_history
from tests.helpers.training import configure, run_training

AUGMENTED = {"augmentation": {"flip": True, "shift": 2}}


def history_of(run):
    """Return the rows of a run's history without their seconds."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_history(run.history)]


@pytest.mark.parametrize("method", ["ddh", pytest.param("dcbh", marks=pytest.mark.full)])
def test_a_finished_run_goes_on_to_the_result_of_a_longer_training(faces, tmp_path, method):
    # For the statistics of its ten layers, DCBH compiles as long as it trains.
    same = {"reestimate_statistics": method == "ddh", **AUGMENTED}
    whole, longer = run_training(configure(method, epochs=6, **same), faces, tmp_path / "whole")
    run, _ = run_training(configure(method, epochs=3, **same), faces, tmp_path / "run")
    assert run.state.is_file() and not run.backup.exists()
    (run.path / "report.json").write_text("of the shorter training")
    # Options that change no result, and more epochs.
    options = {"epochs": 6, "backup_seconds": 0, "checkpoint_every": 2, **same}
    _, outcome = run_training(configure(method, **options), faces, run.path)
    assert history_of(run) == history_of(whole)
    np.testing.assert_array_equal(*(encode(o.model, faces.images) for o in (longer, outcome)))
    for mine, theirs in zip(
        *(methods.load(r.model).get_weights() for r in (run, whole)), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert not (run.path / "report.json").exists()
    assert run.read_config()["training"]["epochs"] == 6
    names = {path.name for path in run.checkpoints.iterdir()}
    assert names == {"epoch-0004.keras", "epoch-0006.keras"}


@pytest.mark.parametrize("augmented", [True, False])
def test_a_run_with_the_augmentation_of_another_version_does_not_go_on(faces, tmp_path, augmented):
    options = AUGMENTED if augmented else {}
    run, _ = run_training(configure(epochs=1, **options), faces, tmp_path / "run")
    state = Backup.read(run.state)
    arguments = dict(state.arguments)
    assert arguments.pop("augmentation_version") == 2
    replace(state, arguments=arguments).write(run.state)  # as earlier versions wrote it
    longer = configure(epochs=2, **options)
    if not augmented:
        assert run_training(longer, faces, run.path)[1].epochs == 2
        return
    with pytest.raises(RunError, match="its 1 epochs were trained by another version") as error:
        run_training(longer, faces, run.path)
    assert "\n" not in str(error.value) and "another --name" in str(error.value)
    assert run.finished and methods.load(run.model)


@pytest.mark.full
def test_a_stopped_run_may_end_earlier_or_later_but_not_before_what_it_has(
    faces, tmp_path, monkeypatch
):
    def stop(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Progress, "on_epoch_begin", stop)
    with pytest.raises(Interrupted, match="after 3 of 8"):
        run_training(configure(epochs=8), faces, tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(RunError, match="has 3 epochs already, more than training.epochs 2"):
        run_training(configure(epochs=2), faces, tmp_path / "run")
    run, outcome = run_training(configure(epochs=4), faces, tmp_path / "run")
    assert outcome.epochs == 4
    whole, _ = run_training(configure(epochs=4), faces, tmp_path / "whole")
    assert history_of(run) == history_of(whole)


@pytest.mark.full
def test_more_patience_continues_a_training_that_stopped_early(faces, tmp_path):
    # A rate of 1e-12 never improves the loss noticeably; rounding decides.
    options = {"learning_rate": 1e-12, "epochs": 6, "schedule": "cosine"}
    run, outcome = run_training(configure(patience=1, **options), faces, tmp_path / "run")
    assert outcome.epochs < 6
    run, outcome = run_training(configure(patience=None, **options), faces, run.path)
    assert outcome.epochs == 6
    assert not run.state.exists()  # the schedule has ended


def test_a_finished_run_without_its_state_says_how_to_start_from_its_weights(faces, tmp_path):
    run, _ = run_training(configure(epochs=1), faces, tmp_path / "my run")
    run.state.unlink()
    with pytest.raises(RunError, match="no state.npz .* training.initial_weights='.*my run'"):
        run_training(configure(epochs=2), faces, run.path)
    assert run.finished


@pytest.mark.full
def test_checkpoints_are_scored_on_the_validation_split_and_change_nothing(faces, tmp_path):
    options = {"epochs": 4, "validation": 0.25, "batch": 9}
    plain, _ = run_training(configure(**options), faces, tmp_path / "plain")
    options |= {"checkpoint_every": 2, "checkpoint_map": True}
    run, outcome = run_training(configure(**options), faces, tmp_path / "run")
    assert history_of(run) == history_of(plain)
    rows = read_history(run.checkpoints / "validation.csv")
    assert [row["epoch"] for row in rows] == [2, 4]
    with np.load(run.split) as split:
        query = split["validation"]
        gallery = np.setdiff1d(split["train"], query)
    for row in rows:
        path = run.checkpoints / f"epoch-{int(row['epoch']):04d}.keras"
        model = methods.load(path)
        assert path.stat().st_size < run.state.stat().st_size / 2  # without the optimizer
        codes = [encode(model, faces.images[rows]) for rows in (gallery, query)]
        labels = faces.labels[gallery], faces.labels[query]
        expected = evaluate(*codes, *labels, model.bits).metrics["mAP"]
        assert row["mAP"] == pytest.approx(expected, rel=1e-12)


def test_queries_without_anything_to_find_do_not_count(make_model, images):
    model, classes = make_model(), np.array([0, 0, 1, 1, 2, 2])
    gallery = images[:4], classes[:4]
    assert retrieval_map(model, gallery, (images, classes)) == retrieval_map(
        model, gallery, gallery
    )


def test_checkpoints_cannot_be_scored_without_a_common_person(faces, tmp_path):
    one_each = faces.train[::6]
    faces = replace(faces, train=one_each, gallery=one_each).check()
    options = {"validation": 0.5, "checkpoint_every": 1, "checkpoint_map": True}
    with pytest.raises(InputError, match="no validation image shows a person of the other"):
        run_training(configure(**options), faces, tmp_path / "run")
