import cv2
import numpy as np
import pytest

from facehash.detectors.tiles import LONGER_SIDE, search_tiles, split
from facehash.detectors.yunet import YuNet
from facehash.images.face import Face
from facehash.images.read import read_image
from tests.helpers.face_data import photos, weights_dir, yunet


def group_photo(width, height, size, count, seed=0):
    """Paste faces about `size` pixels wide into a blurred background, with their middles."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(height // 64, width // 64)).astype(np.float32)
    grey = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(128 + 30 * grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    middles = []
    for number, path in enumerate(photos(step=50)[:count]):
        face = read_image(path)[40:210, 50:200]
        scale = size / 93  # faces of LFW are about 93 pixels wide
        part = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x = round((number + 0.5) * width / count)
        y = round(rng.uniform(0.1, 0.85) * height)
        photo[y : y + len(part), x : x + part.shape[1]] = part
        middles.append((x + part.shape[1] / 2, y + len(part) / 2))
    return photo, middles


def found(detector, photo, middles, size):
    faces = detector.detect(photo)
    return sum(
        any(
            abs(face.box[0] + face.box[2] / 2 - x) < size / 2
            and abs(face.box[1] + face.box[3] / 2 - y) < size / 2
            for face in faces
        )
        for x, y in middles
    )


def test_small_faces_of_a_photo_of_24_megapixels_are_found():
    photo, middles = group_photo(6000, 4000, 62, 10)
    before = YuNet(weights_dir=weights_dir(), tiles="off")
    assert found(before, photo, middles, 62) < 9
    assert found(yunet(), photo, middles, 62) >= 9


def test_small_faces_of_a_panorama_are_found():
    photo, middles = group_photo(9000, 1500, 70, 8)
    before = YuNet(weights_dir=weights_dir(), tiles="off")
    assert found(before, photo, middles, 70) < 4
    assert found(yunet(), photo, middles, 70) >= 7


@pytest.mark.parametrize("length", [1, 79, 80, 500, 960, 961, 1600, 2400, 3200, 5000])
def test_tiles_cover_a_side_and_overlap(length):
    tiles = split(length)
    assert tiles[0][0] == 0 and tiles[-1][1] == length
    assert len({stop - start for start, stop in tiles}) == 1
    assert all(stop - start <= 960 for start, stop in tiles)
    for (_, stop), (start, _) in zip(tiles, tiles[1:], strict=False):
        assert stop - start >= 79  # rounded


def boxes(faces):
    return [tuple(round(value) for value in face.box) for face in faces]


def test_a_face_on_the_border_of_two_tiles_is_found_once():
    image = np.zeros((2000, 4000, 3), np.uint8)
    scale = LONGER_SIDE / 4000
    tiles = split(LONGER_SIDE)
    border = (tiles[0][1] - 40) / scale  # inside the overlap of the first two tiles
    image[900:950, round(border) - 25 : round(border) + 25] = 255

    def search(tile):
        rows, columns = np.nonzero(tile[:, :, 0] > 127)
        if not len(rows):
            return []
        x, y = float(columns.min()), float(rows.min())
        box = (x, y, float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1)
        landmarks = np.array([[x, y]] * 5, np.float32)
        return [Face(box, landmarks, 0.9)]

    # Responses on both sides, so that both tiles are searched.
    hints = [Face((border + off, 915.0, 20.0, 20.0), None, 0.1) for off in (-300.0, 300.0)]
    [face] = search_tiles(image, [], hints, 0.32, search)
    assert np.allclose(face.box, (border - 25, 900, 50, 50), atol=3)
    assert np.allclose(face.landmarks, face.box[:2], atol=1)


def test_tiles_without_a_response_are_skipped():
    image = np.zeros((2000, 4000, 3), np.uint8)
    large = Face((0.0, 0.0, 900.0, 900.0), None, 0.9)

    def never(_):
        raise AssertionError("searched")

    assert search_tiles(image, [large], [large], 0.32, never) == [large]


def test_large_faces_keep_their_boxes():
    photo = cv2.resize(read_image(photos()[0]), (2400, 2400), interpolation=cv2.INTER_CUBIC)
    before = YuNet(weights_dir=weights_dir(), tiles="off", turns="off")
    assert boxes(yunet().detect(photo))[0] == boxes(before.detect(photo))[0]
