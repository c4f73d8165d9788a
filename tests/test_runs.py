from dataclasses import replace

import numpy as np
import pytest

from facehash import runs
from facehash.dataset import FaceDataset
from facehash.runs import RunDirectory, RunError

CONFIG = "bits: 48\ndataset:\n  name: orl\n  path: /one\ntraining:\n  epochs: 5\n"


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "runs" / "a")


@pytest.fixture
def faces():
    rows = np.arange(8)
    return FaceDataset(
        name="toy",
        images=np.zeros((8, 4, 4, 3), np.uint8),
        labels=rows // 4,
        identities=("ann", "bob"),
        train=rows[rows % 4 < 3],
        gallery=rows[rows % 4 < 3],
        query=rows[rows % 4 == 3],
        protocol="seen",
    ).check()


def test_a_run_begins_with_its_configuration(run):
    run.begin(CONFIG)
    assert run.config.read_text() == CONFIG
    assert run.read_config()["training"] == {"epochs": 5}
    assert not run.finished


def test_the_same_configuration_may_begin_again(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    run.begin(CONFIG)
    assert run.history.exists()


def test_another_configuration_is_refused_naming_the_keys_that_differ(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    changed = CONFIG.replace("48", "24").replace("epochs: 5", "epochs: 6\n  batch: 3")
    with pytest.raises(RunError) as caught:
        run.begin(changed)
    message = str(caught.value)
    assert "begun with another configuration" in message
    for part in (
        "bits (was 48, now 24)",
        "training.epochs (was 5, now 6)",
        "training.batch (was None, now 3)",
        "--overwrite",
    ):
        assert part in message
    assert run.config.read_text() == CONFIG


def test_before_anything_is_learned_the_configuration_may_still_change(run):
    run.begin(CONFIG)
    run.begin(CONFIG.replace("48", "24"))
    assert run.read_config()["bits"] == 24


def test_data_in_another_place_is_no_other_configuration(run):
    run.begin(CONFIG)
    run.history.write_text("epoch\n1\n")
    run.begin(CONFIG.replace("/one", "/two"))
    assert run.read_config()["dataset"]["path"] == "/two"


def test_a_finished_run_is_kept_unless_told_to_overwrite(run):
    run.begin(CONFIG)
    run.model.write_text("weights")
    with pytest.raises(RunError, match="finished with another configuration"):
        run.begin(CONFIG.replace("48", "24"))
    assert run.finished
    run.begin(CONFIG.replace("48", "24"), overwrite=True)
    assert not run.finished


def test_a_folder_that_is_no_run_is_never_touched(run):
    run.path.mkdir(parents=True)
    photo = run.path / "photo.jpg"
    photo.write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="not empty and not a run"):
            run.begin(CONFIG, overwrite)
    assert photo.read_text() == "precious"


def test_the_stored_split_gives_a_fresh_data_set_its_roles(run, faces):
    run.write_split(faces, np.array([1]))
    moved = replace(faces, train=faces.train[:2], query=faces.query[:1])
    restored = run.apply_split(moved)
    for role in ("train", "gallery", "query"):
        np.testing.assert_array_equal(getattr(restored, role), getattr(faces, role))
    assert run.read_split()["validation"].tolist() == [1]


@pytest.mark.parametrize(
    "change", [{"labels": np.array([0, 0, 0, 1, 1, 1, 1, 0])}, {"identities": ("ann", "eve")}]
)
def test_a_data_set_that_has_changed_is_refused(run, faces, change):
    run.write_split(faces, np.empty(0, np.int64))
    with pytest.raises(RunError, match="toy is not the one of this run: 8 images of 2 people now"):
        run.apply_split(replace(faces, **change))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a zip", b"text"])
def test_a_missing_or_damaged_split_is_named(run, faces, content):
    if content is not None:
        run.path.mkdir(parents=True)
        run.split.write_bytes(content)
    with pytest.raises(RunError, match="split.npz: missing or damaged"):
        run.apply_split(faces)


def test_a_folder_without_configuration_is_no_run(tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        RunDirectory(tmp_path).read_config()


def test_history_reads_back_every_digit(tmp_path):
    rows = [{"epoch": 1, "loss": 1 / 3}, {"epoch": 2, "loss": 1e-17}]
    runs.write_history(tmp_path / "history.csv", rows)
    assert runs.read_history(tmp_path / "history.csv") == rows
    assert runs.read_history(tmp_path / "none.csv") == []
