import pickle

import cv2
import numpy as np
import pytest

from facehash.detectors.yunet import YuNet
from facehash.errors import InputError
from facehash.images.read import read_image
from tests.helpers.face_data import central_face, photos, weights_dir, yunet


def enlarged(image, factor):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def overlap(one, other):
    (x, y, w, h), (a, b, c, d) = one, other
    shared = max(0, min(x + w, a + c) - max(x, a)) * max(0, min(y + h, b + d) - max(y, b))
    return shared / (w * h + c * d - shared)


def test_a_face_is_found_in_every_photo_of_a_sample():
    for path in photos(step=12):
        faces = yunet().detect(read_image(path))
        assert faces, path.name
        assert all(0.7 <= face.score <= 1 for face in faces)
        areas = [face.box[2] * face.box[3] for face in faces]
        assert areas == sorted(areas, reverse=True)


def test_landmarks_are_in_the_documented_order():
    for path in photos(step=400):
        face = central_face(read_image(path))
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        # The person's right and left: in a frontal photo the right eye is on the viewer's left.
        assert right_eye[0] < left_eye[0] and right_mouth[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
        assert face.landmarks.dtype == np.float32 and face.landmarks.shape == (5, 2)


def test_large_and_small_faces_of_one_photo_are_both_found():
    people = [read_image(path) for path in photos(step=500)[:3]]
    photo = np.full((2500, 3200, 3), 128, np.uint8)
    photo[:, :2500] = enlarged(people[0], 10)
    photo[100:350, 2600:2850] = people[1]
    photo[1000:1125, 2800:2925] = cv2.resize(people[2], (125, 125), interpolation=cv2.INTER_AREA)
    found = [face.box for face in yunet().detect(photo)]
    expected = [np.array(central_face(people[0]).box) * 10]
    expected.append(np.array(central_face(people[1]).box) + [2600, 100, 0, 0])
    expected.append(np.array(central_face(people[2]).box) / 2 + [2800, 1000, 0, 0])
    for box in expected:
        assert max(overlap(box, other) for other in found) > 0.6
    # Parts of the face of 1,000 pixels are not reported as faces.
    x, y, width, height = expected[0]
    inside = [x < a + c / 2 < x + width and y < b + d / 2 < y + height for a, b, c, d in found]
    assert sum(inside) == 1


def test_pictures_of_any_shape_without_a_face_yield_none():
    assert yunet().detect(np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)) == []
    for shape in [(1, 1), (1, 3000), (3000, 1), (33, 31), (12, 3000), (9, 9)]:
        for value in (0, 255):
            # For a strip one pixel high OpenCV returns boxes at infinity.
            assert yunet().detect(np.full((*shape, 3), value, np.uint8)) == []


def test_a_used_detector_can_be_pickled_and_is_identified_by_score_and_weights():
    image = read_image(photos()[0]).copy()
    image.flags.writeable = False
    box = yunet().detect(image)[0].box
    copy = pickle.loads(pickle.dumps(yunet()))
    assert copy.identity == yunet().identity and copy.detect(image)[0].box == box
    assert YuNet(score=0.9, weights_dir=weights_dir()).identity != copy.identity
    assert "score=0.7" in copy.identity
    assert "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4" in copy.identity


@pytest.mark.parametrize("score", [0, -1, 1.5, float("nan")])
def test_a_score_out_of_range_is_refused(score):
    with pytest.raises(InputError, match="above 0 and at most 1"):
        YuNet(score=score, weights_dir=weights_dir())
