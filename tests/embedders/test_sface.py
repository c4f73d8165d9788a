import contextlib
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facehash.embedders import sface_engines as engines
from facehash.embedders.sface import SFace
from facehash.errors import InputError
from tests.conftest import shared_path
from tests.helpers.face_data import central_crop, weights_dir

OPENCVS_THRESHOLD = 0.363


@pytest.fixture(scope="module", params=["openvino", "opencv"])
def sface(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEHASH_ENGINE", request.param)
        yield SFace(weights_dir())


def test_openvino_is_preferred_without_telemetry_and_engines_can_be_selected(monkeypatch):
    weights = np.fromfile(weights_dir() / "face_recognition_sface_2021dec.onnx", np.uint8)
    monkeypatch.delenv("FACEHASH_ENGINE", raising=False)
    assert "openvino" in engines.load_feature(weights).__qualname__
    assert sys.modules["openvino_telemetry"] is None
    monkeypatch.setenv("FACEHASH_ENGINE", "opencv")
    assert "opencv" in engines.load_feature(weights).__qualname__
    monkeypatch.setenv("FACEHASH_ENGINE", "OpenCV")
    with pytest.raises(InputError, match="FACEHASH_ENGINE=OpenCV: must be opencv, openvino"):
        engines.load_feature(weights)
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv("FACEHASH_ENGINE", "openvino")
    with pytest.raises(InputError, match=r"not installed; pip install 'facehash\[fast\]'"):
        engines.load_feature(weights)
    monkeypatch.delenv("FACEHASH_ENGINE")
    assert "opencv" in engines.load_feature(weights).__qualname__


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_no_thread_is_pinned_to_a_core_that_other_processes_use(monkeypatch):
    monkeypatch.delenv("FACEHASH_ENGINE", raising=False)
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    embedder, faces = SFace(weights_dir()), np.zeros((40, 112, 112, 3), np.uint8)
    cv2.setNumThreads(1)
    try:
        embedder.embed(faces[:1])
        seen = set()
        with ThreadPoolExecutor(1) as pool:
            # Threads are pinned only while the network runs.
            running = pool.submit(embedder.embed, faces)
            while not running.done():
                for task in Path("/proc/self/task").iterdir():
                    with contextlib.suppress(OSError):
                        seen.add(frozenset(os.sched_getaffinity(int(task.name))))
    finally:
        cv2.setNumThreads(threads)
    assert seen == {frozenset(allowed)}


def pairs(count):
    """Return pairs of photos, one pair for each of `count` people."""
    people = sorted(path for path in shared_path("faces", "lfw").iterdir() if path.is_dir())
    photos = [sorted(person.glob("*.jpg"))[:2] for person in people]
    return [pair for pair in photos if len(pair) == 2][:: 250 // count][:count]


def test_photos_of_one_person_are_nearer_than_photos_of_two_people(sface):
    crops = [central_crop(path, sface.crop, sface.side) for pair in pairs(24) for path in pair]
    vectors = sface.embed(np.stack(crops))
    assert vectors.shape == (48, 128) and vectors.dtype == np.float32
    cosines = vectors[0::2] @ vectors[1::2].T
    same, different = np.diag(cosines), cosines[~np.eye(24, dtype=bool)]
    assert (same > OPENCVS_THRESHOLD).mean() >= 0.95
    assert (different > OPENCVS_THRESHOLD).mean() <= 0.02
    assert (cosines.argmax(axis=1) == np.arange(24)).mean() >= 0.95


def test_a_row_is_the_feature_of_opencv_scaled_to_length_one(sface):
    faces = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    model = str(weights_dir() / "face_recognition_sface_2021dec.onnx")
    bgr = np.ascontiguousarray(faces[1, ..., ::-1])
    feature = cv2.FaceRecognizerSF.create(model, "").feature(bgr)[0]
    rows = sface.embed(faces)
    np.testing.assert_allclose(rows[1], feature / np.linalg.norm(feature), atol=1e-6)
    # A face gets the same row alone, among others, and from a pickled copy.
    np.testing.assert_array_equal(sface.embed(faces[1:2]), rows[1:2])
    copy = pickle.loads(pickle.dumps(sface))
    np.testing.assert_array_equal(copy.embed(faces[1:2]), rows[1:2])
    digest = "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
    assert copy.identity == f"sface:sha256={digest}"
    assert sface.embed(faces[:0]).shape == (0, 128)
    with pytest.raises(ValueError, match=r"faces must be uint8 \(n, 112, 112, 3\)"):
        sface.embed(np.zeros((1, 100, 100, 3), np.uint8))
