import pytest

from facehash.runs.continuation import best_epoch, is_exhausted, why_another_run

CONFIG = {
    "bits": 48,
    "dataset.path": "/one",
    "training.epochs": 5,
    "training.patience": 3,
    "training.schedule": "constant",
    "training.backup_seconds": 30.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"dataset.path": "/two", "training.backup_seconds": 5.0, "training.tensorboard": True},
        {"training.checkpoint_every": 10, "training.checkpoint_map": True},
        {"training.epochs": 9},
        {"training.epochs": 2},  # for a run that has no more; training looks at what it has
        {"training.patience": 4},
        {"training.patience": None, "training.epochs": 9},
    ],
)
def test_a_run_goes_on_under_a_configuration_that_changes_none_of_its_epochs(change):
    assert why_another_run(CONFIG, CONFIG | change) is None


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"bits": 24}, r"^bits \(was 48, now 24\)$"),
        ({"bits": 24, "training.epochs": 9}, r"^bits .*, training.epochs \(was 5, now 9\)$"),
        ({"training.initial_weights": "a"}, r"training.initial_weights \(was None, now 'a'\)"),
        ({"training.patience": 2}, "a smaller patience might have stopped the training earlier"),
    ],
)
def test_another_configuration_is_explained(change, reason):
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(why_another_run(CONFIG, CONFIG | change))


def test_a_smaller_patience_than_none_is_another_run():
    endless = CONFIG | {"training.patience": None}
    assert why_another_run(endless, CONFIG)
    assert why_another_run(CONFIG, endless) is None


def test_the_cosine_schedule_depends_on_the_number_of_epochs():
    cosine = CONFIG | {"training.schedule": "cosine"}
    reason = why_another_run(cosine, cosine | {"training.epochs": 9})
    assert reason.startswith("training.epochs (was 5, now 9); with the cosine schedule")
    assert "training.initial_weights" in reason
    assert why_another_run(cosine, cosine | {"training.patience": 9}) is None


def test_a_training_is_exhausted_when_the_best_epoch_is_patience_epochs_ago():
    history = [{"loss": loss} for loss in (3.0, 1.0, 2.0, 1.0)]
    assert (best_epoch(history, "loss"), best_epoch([], "loss")) == (2, 0)
    assert is_exhausted(history, "loss", 2)
    assert not is_exhausted(history, "loss", 3)
    assert not is_exhausted(history, "loss", None)
