import json
from dataclasses import replace

import numpy as np
import pytest

from facehash.dataset import FaceDataset
from facehash.runs.directory import DamagedRunError, RunError
from facehash.runs.files import (
    apply_split,
    read_history,
    read_npz,
    read_split,
    read_training,
    write_history,
    write_split,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "split.npz"


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


def test_the_stored_split_gives_a_fresh_data_set_its_roles(path, faces):
    write_split(path, faces, np.array([1]))
    moved = replace(faces, train=faces.train[:2], query=faces.query[:1])
    restored = apply_split(path, moved)
    for role in ("train", "gallery", "query"):
        np.testing.assert_array_equal(getattr(restored, role), getattr(faces, role))
    assert read_split(path)["validation"].tolist() == [1]


OTHER_PIXELS = np.zeros((8, 4, 4, 3), np.uint8)
OTHER_PIXELS[3, 0, 0, 0] = 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": np.array([0, 0, 0, 1, 1, 1, 1, 0])}, "8 images of 2 people now"),
        ({"identities": ("ann", "eve")}, "8 images of 2 people now"),
        ({"images": OTHER_PIXELS}, "the same people and counts, but other images"),
    ],
)
def test_a_data_set_that_has_changed_is_refused(path, faces, change, message):
    write_split(path, faces, np.empty(0, np.int64))
    with pytest.raises(RunError, match=f"toy is not the one of this run: {message}"):
        apply_split(path, replace(faces, **change))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a zip", b"text"])
def test_a_missing_or_damaged_split_is_named(path, faces, content):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match="split.npz: missing or damaged"):
        apply_split(path, faces)


def test_a_history_reads_back_every_digit_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "history.csv"
    assert read_history(path) == []
    rows = [{"epoch": 1, "loss": 1 / 3}, {"epoch": 2, "loss": 1e-17}]
    write_history(path, rows)
    assert read_history(path) == rows
    for text in ("epoch,loss\n1,x\n", "epoch,loss\n1\n", "epoch\n1,2\n"):
        path.write_text(text)
        with pytest.raises(RunError, match="history.csv: damaged"):
            read_history(path)


def test_a_file_without_a_required_array_is_damaged(tmp_path):
    np.savez(tmp_path / "one.npz", one=1)
    with pytest.raises(DamagedRunError, match="no array 'two'.*--overwrite starts again"):
        read_npz(tmp_path / "one.npz", ["two"], "--overwrite starts again")


def test_the_record_of_a_training_is_optional_and_checked(tmp_path):
    path = tmp_path / "training.json"
    assert read_training(path) is None
    record = {"batch_statistics": "moving", "accuracy": {"training": 1.0, "inference": 0.5}}
    path.write_text(json.dumps(record))
    assert read_training(path) == record
    for damaged in ("{", "[]", "{}"):
        path.write_text(damaged)
        with pytest.raises(DamagedRunError, match=r"training.json: damaged"):
            read_training(path)
