"""A run on a list of images with leave-one-out: from train.py to a report and its codes file."""

import json

import numpy as np
import pytest

import evaluate
import train
from data.orl import find_orl
from facehash.retrieval.codes_file import read_codes
from tests.conftest import ROOT
from tests.helpers.facehash_command import command


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.mark.full
def test_a_run_with_leave_one_out_is_trained_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("FACEHASH_CACHE", str(tmp_path / "cache"))
    people = [f"s{number}" for number in range(1, 13)]
    lines = [f"{find_orl()}/{who}/{number}.pgm,{who}" for who in people for number in range(1, 6)]
    (tmp_path / "list.csv").write_text("image,label\n" + "\n".join(lines))
    settings = ("dataset.protocol=leave_one_out", "dataset.name=mine", "dataset.loader=list",
                "training.epochs=2", "training.batch=16", "bits=16")  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    code, _, errors = command(
        train.app, "train.py", "configs/quickstart.yaml", "--data", tmp_path / "list.csv",
        "--runs", tmp_path / "runs", "--name", "mine", *words,
    )  # fmt: skip
    assert code == 0, errors
    run = tmp_path / "runs" / "mine"
    code, printed, errors = command(evaluate.app, "evaluate.py", run, "--at", "5")
    assert code == 0, errors
    assert "mine, DDH, 16 bits, leave-one-out\n10 queries, 10 gallery images of 2 people" in printed
    report = report_of(run)
    expected = {"protocol": "leave_one_out", "train": 50, "gallery": 10, "query": 10}
    assert {key: report["dataset"][key] for key in expected} == expected
    assert report["leaks"] == []
    with np.load(run / "split.npz") as split:
        assert np.array_equal(split["gallery"], split["query"])

    codes = read_codes(run / "codes.npz")
    assert codes.leave_one_out and np.array_equal(codes.gallery_codes, codes.query_codes)
    code, _, errors = command(
        evaluate.app, "evaluate.py", "--codes", run / "codes.npz", "--at", "5",
        "--output", tmp_path / "again",
    )  # fmt: skip
    assert code == 0, errors
    again = report_of(tmp_path / "again")
    assert again["dataset"]["protocol"] == "leave_one_out"
    assert again["metrics"] == pytest.approx(report["metrics"])
    assert again["metrics_author"] == pytest.approx(report["metrics_author"])
