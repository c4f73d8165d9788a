"""Models, a run directory and a user's own method that facehash 0.1.0 made: tests/fixtures."""

import json
import shutil

import numpy as np
import pytest

from facehash import methods
from facehash.embedders.registry import make_embedder
from facehash.learning.backend import choose_backend, start_backend
from tests.conftest import ROOT
from tests.helpers.facehash_command import run_script

MADE = ROOT / "tests" / "fixtures" / "run-0.1.0"


def run(*words):
    """Run a script where Python finds the method `oldhash`."""
    return run_script(*words, PYTHONPATH=str(MADE), PYTHONDONTWRITEBYTECODE="1")


def test_the_run_directory_scores_as_it_did(tmp_path):
    printed = run("evaluate.py", MADE / "oldhash-16-s0", "--output", tmp_path)
    assert "training images unknown" in printed
    assert "no asymmetric distance: the model has no scale of projections" in printed
    folders = (MADE / "oldhash-16-s0", tmp_path)
    old, new = (dict(np.load(folder / "codes.npz")) for folder in folders)
    assert old.keys() | {"bit_order"} == new.keys()
    for name in old:
        np.testing.assert_array_equal(new[name], old[name])
    old, new = (json.loads((folder / "report.json").read_text()) for folder in folders)
    assert old.keys() <= new.keys()
    assert (old["schema"], new["schema"]) == (1, 2)
    assert old["dataset"].items() <= new["dataset"].items()
    assert {key for key in old if old[key] != new[key]} <= {"schema", "dataset", "seconds"}


@pytest.mark.full
def test_the_run_is_not_taken_for_one_of_another_configuration(tmp_path):
    shutil.copytree(MADE / "oldhash-16-s0", tmp_path / "mine")
    words = ("--runs", tmp_path, "--name", "mine")
    assert "already trained" in run("train.py", MADE / "oldhash" / "orl.yaml", *words)


@pytest.mark.full
def test_the_method_trains(tmp_path):
    words = ("--runs", tmp_path, "--name", "again", "--set", "training.epochs=1")
    assert "trained 1 epochs" in run("train.py", MADE / "oldhash" / "orl.yaml", *words)
    assert (tmp_path / "again" / "model.keras").is_file()


@pytest.mark.parametrize(
    "file, expected, method",
    [
        ("ddh-8.keras", "ddh-8.npz", "ddh"),
        ("oldhash-16-s0/model.keras", "oldhash-16-s0.npz", "oldhash"),
    ],
)
def test_a_model_file_gives_the_same_codes(file, expected, method, monkeypatch):
    monkeypatch.syspath_prepend(MADE)
    start_backend(choose_backend())
    from facehash.learning.encoding import encode, relaxed_codes

    model = methods.load(MADE / file, method)
    assert methods.method_of(model) == method
    with np.load(MADE / expected) as made:
        np.testing.assert_array_equal(encode(model, made["images"]), made["codes"])
        relaxed = relaxed_codes(model, made["images"])
        np.testing.assert_allclose(relaxed, made["relaxed"], atol=1e-5)


@pytest.mark.parametrize("run, expected", [("ddh-8.keras", "ddh-8"), ("oldhash-16-s0",) * 2])
def test_the_embedder_of_a_run_gives_the_same_codes(run, expected, monkeypatch):
    monkeypatch.syspath_prepend(MADE)
    embedder = make_embedder(f"run:{MADE / run}")
    with np.load(MADE / f"{expected}.npz") as made:
        np.testing.assert_array_equal(embedder.embed(made["images"]), made["codes"])
