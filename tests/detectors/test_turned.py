import cv2
import numpy as np
import pytest

from facehash.detectors.turned import find_upright
from facehash.images.alignment import align, crop_face, tilt
from facehash.images.face import Face
from facehash.images.read import read_image
from tests.helpers.face_data import central_face, photos, yunet


def nearest(faces, point):
    def off(face):
        x, y, w, h = face.box
        return np.hypot(x + w / 2 - point[0], y + h / 2 - point[1])

    return min(faces, key=off)


def difference(one, other):
    return np.abs(one.astype(float) - other).mean()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_face_in_a_turned_photo_is_cropped_upright(turns):
    for path in photos(step=450):
        image = read_image(path)
        upright = central_face(image)
        turned = np.ascontiguousarray(np.rot90(image, turns))
        found = nearest(yunet().detect(turned), (125, 125))
        # Counterclockwise turns of the photo are negative rotations of the face.
        assert abs((tilt(found.landmarks) + 90 * turns + 180) % 360 - 180) < 20
        for crop in ("arcface112", "box"):
            expected = crop_face(image, upright, crop, 112)
            seen = crop_face(turned, found, crop, 112)
            assert difference(expected, seen) < 0.6 * difference(expected, seen[::-1])
            assert difference(expected, seen) < 0.6 * difference(expected, np.rot90(seen))


def test_a_turned_face_beside_an_upright_one_is_found_upright():
    """A page of scans: the photo as a whole has no wrong orientation."""
    one, other = (read_image(path) for path in photos(step=500)[:2])
    page = np.concatenate([one, np.rot90(other, 2)], axis=1)
    faces = yunet().detect(page)
    assert abs(tilt(nearest(faces, (125, 125)).landmarks)) < 20
    assert abs(tilt(nearest(faces, (375, 125)).landmarks)) > 160


def test_the_landmarks_of_a_turned_photo_are_those_of_the_photo():
    image = read_image(photos()[0])
    face = central_face(image)

    def search(seen):
        # Finds the face only where it stands upright: in the photo that is given.
        return [face] if np.array_equal(seen, image) else []

    for turns in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(image, turns))
        [found] = find_upright(turned, [], search, lambda window: [])
        assert difference(align(turned, found.landmarks), align(image, face.landmarks)) < 1
        x, y, width, height = found.box
        part = turned[round(y) : round(y + height), round(x) : round(x + width)]
        x, y, width, height = face.box
        expected = image[round(y) : round(y + height), round(x) : round(x + width)]
        shown = np.rot90(part, -turns)
        rows, columns = np.minimum(shown.shape[:2], expected.shape[:2])
        assert abs(shown.shape[0] - expected.shape[0]) <= 1
        assert difference(shown[:rows, :columns], expected[:rows, :columns]) < 8


def test_a_photo_with_a_sure_face_is_searched_once():
    image = np.zeros((300, 300, 3), np.uint8)
    landmarks = np.array([[110, 110], [140, 110], [125, 130], [112, 150], [138, 150]], np.float32)
    sure = Face((100.0, 90.0, 50.0, 70.0), landmarks, 0.93)

    def never(_):
        raise AssertionError("searched again")

    assert find_upright(image, [sure], never, never) == [sure]
    # A face with a low score beside it is searched for in its surroundings only.
    small = Face((200.0, 200.0, 20.0, 25.0), None, 0.75)
    windows = []

    def record(window):
        windows.append(window.shape)
        return []

    assert find_upright(image, [sure, small], never, record) == [sure, small]
    # Eight directions, and 22.5 degrees to either side of the best.
    assert set(windows) == {(64, 64, 3)} and len(windows) == 10
    # The edge of the photo cuts this one off.
    cut = Face((280.0, 200.0, 30.0, 35.0), None, 0.75)
    assert find_upright(image, [sure, cut], never, never) == [sure, cut]


@pytest.mark.parametrize("degrees", [30, 45, -45])
def test_a_tilted_face_has_landmarks_that_follow(degrees):
    """Without a second search, most of the landmarks show less than half of the tilt."""
    for path in photos(step=300):
        image = read_image(path)
        upright = tilt(central_face(image).landmarks)
        matrix = cv2.getRotationMatrix2D((125, 125), degrees, 1)
        tilted = cv2.warpAffine(image, matrix, (250, 250), borderMode=cv2.BORDER_REFLECT)
        found = nearest(yunet().detect(tilted), (125, 125))
        assert abs(tilt(found.landmarks) + degrees - upright) < 25


def test_a_face_that_is_clearer_in_no_other_direction_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    landmarks = np.array([[110, 110], [140, 118], [125, 130], [108, 150], [134, 157]], np.float32)
    face = Face((100.0, 90.0, 50.0, 70.0), landmarks, 0.9)

    def same(window):
        side = len(window)
        return [Face((side / 4, side / 4, side / 2, side / 2), landmarks, 0.89)]

    assert find_upright(image, [face], lambda photo: [], same) == [face]
