"""The worked example of CONTRIBUTING.md, run as it stands there."""

import json
import re

import pytest
import yaml

from facehash import methods
from facehash.config import Strict
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from tests.conftest import ROOT
from tests.helpers.facehash_command import run_script

FILES = ("plainhash/options.py", "plainhash/model.py", "plainhash/orl.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that CONTRIBUTING.md shows, written where it says."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    root = tmp_path_factory.mktemp("own")
    (root / "plainhash").mkdir()
    for name in FILES:
        block = re.search(rf"`{re.escape(name)}`.*?```\w+\n(.*?)```", text, re.DOTALL)
        (root / name).write_text(block[1], encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def trained(folder):
    """The run of the example."""
    words = ("--runs", folder / "runs", "--name", "plainhash", "--set", "training.epochs=15")
    config = folder / "plainhash" / "orl.yaml"
    run_script("train.py", config, *words, PYTHONPATH=str(folder))
    return folder / "runs" / "plainhash"


@pytest.mark.full
def test_the_example_trains_and_scores(folder, trained):
    run_script("evaluate.py", trained, PYTHONPATH=str(folder))
    report = json.loads((trained / "report.json").read_text())
    assert (report["method"], report["bits"]) == ("plainhash", 48)
    assert report["metrics"]["mAP"] > 0.5  # by chance about 0.04


@pytest.mark.full
def test_the_example_is_a_row_of_a_table(folder):
    plain = {"id": "plain", "label": "plainhash", "config": "plainhash/orl.yaml"}
    rows = [
        plain | {"set": ["training.epochs=2"]},
        {"id": "plain_itq", "label": "ITQ", "baseline": "itq", "of": "plain"},
    ]
    table = {"title": "own", "note": "trial", "bits": [48], "seeds": [0], "protocols": ["seen"]}
    (folder / "own.yaml").write_text(yaml.safe_dump(table | {"rows": rows}))
    words = ("--runs", folder / "runs", "--results", folder / "results")
    table = ("-m", "experiments.reproduce", folder / "own.yaml")
    run_script(*table, *words, PYTHONPATH=str(folder))
    rows = json.loads((folder / "results" / "own.json").read_text())["rows"]
    assert [row["row"] for row in rows] == ["plain", "plain_itq"]


@pytest.mark.full
def test_the_example_is_exported_in_every_format(folder, trained):
    for to in ("savedmodel", "onnx", "tflite"):
        export = ("-m", "experiments.export", trained, "--to", to)
        printed = run_script(*export, PYTHONPATH=str(folder))
        assert "verified on 200 training images of orl" in printed


def test_a_folder_without_a_method_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "halfhash").mkdir()
    (tmp_path / "halfhash" / "options.py").write_text("")
    with pytest.raises(InputError, match="no folder halfhash/ with options.py and model.py"):
        methods.find_method("halfhash")
    (tmp_path / "halfhash" / "model.py").write_text("")
    with pytest.raises(InputError, match="no class Options that is a facehash.config.Strict"):
        methods.find_method("halfhash")
    start_backend(choose_backend())
    with pytest.raises(InputError, match="halfhash/model.py must define exactly one"):
        methods.Method(Strict, "halfhash.model").model()
    with pytest.raises(InputError, match="did you mean 'ddh'"):
        methods.find_method("ddhh")
    with pytest.raises(InputError, match="unknown"):
        methods.find_method("../ddh")
