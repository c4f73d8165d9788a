import cv2
import numpy as np
import pytest

from facehash.detectors.haar import Haar
from facehash.errors import InputError
from facehash.images.read import read_image
from tests.helpers.face_data import photos


def test_boxes_agree_with_the_notebook_repeated_step_by_step():
    image = read_image(photos()[0])
    # The photo, 250 x 250, is resized to 1000 pixels and given a border of its mean color.
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (1000, 1000))
    framed = np.full((1400, 1400), round(gray.mean()), np.uint8)
    framed[200:1200, 200:1200] = gray
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    boxes = cascade.detectMultiScale(framed, scaleFactor=1.2, minNeighbors=5)
    expected = [((x - 200) / 4, (y - 200) / 4, w / 4, h / 4) for x, y, w, h in boxes.tolist()]
    assert expected
    assert [face.box for face in Haar(keep="first").detect(image)] == expected[:1]
    assert sorted(face.box for face in Haar().detect(image)) == sorted(expected)
    assert all(face.landmarks is None and face.score == 1 for face in Haar().detect(image))


def test_only_the_largest_face_is_kept_on_request_and_there_may_be_none():
    pair = np.concatenate([read_image(path) for path in photos(step=700)[:2]], axis=1)
    faces = Haar().detect(pair)
    assert len(faces) >= 2
    assert [face.box for face in Haar(keep="largest").detect(pair)] == [faces[0].box]
    for shape in [(40, 40, 3), (1, 1, 3), (2, 900, 3)]:
        assert Haar().detect(np.zeros(shape, np.uint8)) == []


@pytest.mark.parametrize("missing", ["CascadeClassifier", "data"])
def test_an_opencv_without_cascades_is_reported(monkeypatch, missing):
    monkeypatch.delattr(cv2, missing)
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    with pytest.raises(InputError, match=r"cascades, which OpenCV 5.0.0 does not.*<5'.*'yunet'"):
        Haar()
