import logging
import pickle

import numpy as np
import pytest

from facehash import pipeline
from facehash.detectors.registry import make_detector
from facehash.errors import InputError
from facehash.pipeline import FacePipeline, NoFaceError, crop_warning, default_pipeline, pipelines
from tests.helpers.face_data import weights_dir, yunet
from tests.library import fakes
from tests.library.conftest import draw


class Expecting:
    """An embedder of which only the crop matters."""

    def __init__(self, crop):
        self.crop = crop


def test_a_photo_becomes_boxes_crops_and_rows():
    made = FacePipeline.create(fakes.make_pipeline("halves", "cosine:12"))
    image = draw(6, width=80)
    photo = made.embed(image, "party.png")
    # One face per half of a wide photo, the left one larger.
    assert photo.boxes == [(0, 0, 40, 40), (40, 1, 40, 39)]
    expected = [fakes.resize(image[:, :40], 16), fakes.resize(image[1:, 40:], 16)]
    assert np.array_equal(photo.crops, expected)
    assert np.array_equal(photo.rows, fakes.Projection(12).embed(np.stack(expected)))


def test_a_photo_without_a_face_is_named_and_is_not_a_user_error():
    made = FacePipeline.create(fakes.make_pipeline("halves", "cosine:12"))
    with pytest.raises(NoFaceError, match="night.png: no face found"):
        made.embed(np.zeros((20, 20, 3), np.uint8), "night.png")
    assert not issubclass(NoFaceError, InputError)
    assert made.cropper.crop_faces(draw(1), []).shape == (0, 16, 16, 3)


def test_a_pipeline_travels_to_another_process_and_finds_its_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pipeline = pipelines(weights_dir())
    spec = pickle.loads(pickle.dumps(make_pipeline("yunet", "sface")))
    made = FacePipeline.create(spec)
    assert made.detector.identity == yunet().identity and made.embedder.side == 112
    assert default_pipeline("yunet", "run:runs/a").embedder == f"run:{tmp_path}/runs/a"


@pytest.mark.parametrize(
    ("crop", "detector", "warns"),
    [
        ("none", "whole", False),
        ("none", "haar", True),
        ("arcface112", "haar", True),
        ("dlib150", "haar", True),
        ("arcface112", "whole", False),
        ("box", "haar", False),
    ],
)
def test_crops_unlike_the_training_data_are_warned_about(crop, detector, warns):
    assert bool(crop_warning(make_detector(detector), Expecting(crop))) == warns


def test_creating_a_pipeline_logs_the_warning(caplog, monkeypatch):
    assert crop_warning(yunet(), Expecting("arcface112")) is None
    monkeypatch.setattr(pipeline, "make_embedder", lambda _: fakes.Projection(5, crop="none"))
    with caplog.at_level(logging.WARNING, logger="facehash"):
        FacePipeline.create(default_pipeline("haar", "fake"))
    assert "but haar crops faces from them" in caplog.text
    assert "use --detector whole" in caplog.text
