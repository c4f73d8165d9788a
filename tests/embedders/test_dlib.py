import importlib.util
import sys

import numpy as np
import pytest

from facehash.embedders.dlib import DlibResNet
from facehash.errors import InputError
from facehash.weights.files import find_weights
from tests.embedders.test_sface import pairs
from tests.helpers.face_data import central_crop

INSTALLED = all(map(importlib.util.find_spec, ("dlib", "face_recognition_models")))
needs_dlib = pytest.mark.skipif(not INSTALLED, reason="needs the extra dlib")
DLIBS_THRESHOLD = 0.6


@needs_dlib
def test_photos_of_one_person_are_nearer_than_photos_of_two_people():
    dlib = DlibResNet()
    crops = [central_crop(path, dlib.crop, dlib.side) for pair in pairs(12) for path in pair]
    vectors = dlib.embed(np.stack(crops))
    assert vectors.shape == (24, 128) and vectors.dtype == np.float32
    distances = np.linalg.norm(vectors[0::2, None] - vectors[None, 1::2], axis=2)
    same, different = np.diag(distances), distances[~np.eye(12, dtype=bool)]
    assert (same < DLIBS_THRESHOLD).mean() >= 0.9
    assert (different < DLIBS_THRESHOLD).mean() <= 0.05
    assert dlib.embed(np.empty((0, 150, 150, 3), np.uint8)).shape == (0, 128)
    assert dlib.identity.endswith(find_weights("dlib").sha256)
    # The weights are found without importing their package.
    assert "face_recognition_models" not in sys.modules


def test_without_the_weights_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path)
    monkeypatch.delenv("FACEHASH_WEIGHTS", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"get them with: pip install 'facehash\[dlib\]'"):
        DlibResNet()


def test_without_dlib_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("facehash.embedders.dlib.find_weights", lambda *_: None)
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(InputError, match=r"an optional package: pip install 'facehash\[dlib\]'"):
        DlibResNet()
