"""`facehash.load_model`: runs and files in plain Python."""

import doctest
import json
import os
import subprocess
import sys
import zipfile

import pytest

import facehash
from facehash.errors import InputError
from facehash.learning.backend import choose_backend, start_backend
from tests.conftest import ROOT
from tests.helpers.training import configure

MADE = ROOT / "tests" / "fixtures" / "run-0.1.0"

FRESH = """
import facehash, sys
assert "keras" not in sys.modules
import numpy as np
for path, made in zip(sys.argv[1::2], sys.argv[2::2]):
    model = facehash.load_model(path)
    from facehash.learning.encoding import encode
    with np.load(made) as made:
        np.testing.assert_array_equal(encode(model, made["images"]), made["codes"])
    print(type(model).__name__, model.bits)
"""


def test_a_new_process_loads_runs_and_files_of_every_method(tmp_path):
    made = [
        (MADE / "ddh-8.keras", MADE / "ddh-8.npz"),
        (MADE / "oldhash-16-s0", MADE / "oldhash-16-s0.npz"),
        (MADE / "oldhash-16-s0" / "model.keras", MADE / "oldhash-16-s0.npz"),
    ]
    words = [str(path) for pair in made for path in pair]
    # JAX, once another test has imported it, sets this to a level that prints more.
    inherited = dict(os.environ)
    inherited.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *words],
        cwd=tmp_path,
        env=inherited | {"PYTHONPATH": f"{ROOT}{os.pathsep}{MADE}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["DDH 8", "OldHash 16", "OldHash 16", ""]
    assert done.stderr == ""


def test_the_example_runs(tmp_path, monkeypatch):
    start_backend(choose_backend())
    from ddh.model import DDH

    run = tmp_path / "runs" / "quickstart-48-s0"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(configure(bits=48).to_yaml())
    DDH(bits=48, identities=["ann"], pixel_mean=120.0, pixel_std=60.0).save(run / "model.keras")
    monkeypatch.chdir(tmp_path)
    [example] = doctest.DocTestFinder(recurse=False).find(facehash.load_model, globs={})
    assert example.examples and doctest.DocTestRunner().run(example).failed == 0


def replace_module(source, target, module):
    """Copy a .keras file, as if its class came from another module."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content) | {"module": module, "class_name": "Mine"}
                content = json.dumps(config | {"registered_name": "facehash>Mine"}).encode()
            new.writestr(name, content)


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path, monkeypatch):
    def refuse(path, message):
        with pytest.raises(InputError, match=message) as caught:
            facehash.load_model(path)
        assert "\n" not in str(caught.value)

    refuse(tmp_path / "gone", "gone: no such run or model file")
    refuse(str(tmp_path), "not a run directory")
    started = tmp_path / "started"
    started.mkdir()
    (started / "config.yaml").write_text(configure().to_yaml())
    refuse(started, "started: not finished; the same train.py command resumes it")
    (tmp_path / "text.keras").write_text("no model")
    refuse(tmp_path / "text.keras", "not a complete .keras file")
    # A module that a file names is not imported unless it is the folder of a method.
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap").mkdir()
    for name in ("__init__.py", "model.py"):
        (tmp_path / "trap" / name).write_text("raise SystemExit('imported')")
    other = tmp_path / "other.keras"
    replace_module(MADE / "ddh-8.keras", other, "trap.model")
    refuse(other, r"its class is Mine of trap\.model, and there is no folder trap/ with options")
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "dense.keras")
    refuse(tmp_path / "dense.keras", "holds a Sequential, not a model of this project")
