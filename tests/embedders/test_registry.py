import json
import subprocess
import sys

import pytest

from facehash.embedders.registry import absolute, make_embedder
from facehash.errors import InputError
from tests.conftest import ROOT
from tests.helpers.face_data import weights_dir


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("sfac", "embedder 'sfac' is unknown .did you mean 'sface'"),
        ("run:", "embedder 'run:' is unknown"),
        ("keras", "embedder 'keras' is unknown .did you mean 'keras:FILE'"),
        ("sface,size=3", "unknown option 'size' .it takes none"),
        ("vgg16,pooling=min", "pooling=min: must be one of avg, max"),
        ("keras:a.keras,size=big", "size=big: must be a whole number above 0"),
        ("keras:a.keras,normalization=std", "must be one of none, unit, symmetric, per_image"),
        ("keras:a.keras,crop=eyes", "must be one of arcface112, dlib150, box, none"),
    ],
)
def test_an_invalid_specification_is_explained(specification, message):
    with pytest.raises(InputError, match=message):
        make_embedder(specification)


def test_the_path_of_a_model_or_run_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    here = str(tmp_path)
    for name, expected in {
        "keras:a,b.keras,size=160": f"keras:{here}/a,b.keras,size=160",
        "keras:~/a.keras": f"keras:{here}/a.keras",
        "run:runs": f"run:{here}/runs",
        "runs": f"run:{here}/runs",
        f"run:{here}/gone": f"run:{here}/gone",
        "sface": "sface",
        "vgg16,pooling=avg": "vgg16,pooling=avg",
        "run:": "run:",
        "gone": "gone",
    }.items():
        assert absolute(name) == expected


def test_keras_is_imported_only_for_embedders_that_need_it():
    script = (
        "import sys, json; from pathlib import Path\n"
        "from facehash.embedders.registry import make_embedder\n"
        "make_embedder('sface', Path(sys.argv[1])); print(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(weights_dir())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"keras", "tensorflow", "jax", "torch"} & set(json.loads(done.stdout))
