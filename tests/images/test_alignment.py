import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares

from facehash.detectors.full_image import FullImage
from facehash.images.alignment import (
    ARCFACE_TEMPLATE,
    BOX_MARGIN,
    CROPS,
    DLIB_TEMPLATE,
    align,
    crop_face,
    similarity,
)
from facehash.images.face import Face
from facehash.images.read import read_image, resize
from tests.helpers.face_data import central_face, photos, weights_dir


def mapped(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def turned(points, angle, scale, shift):
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    return points @ np.array([[c, -s], [s, c]]).T + shift


@pytest.mark.parametrize("angle", [0, 0.3, -1.2, np.pi, 3])
@pytest.mark.parametrize("scale", [0.01, 1, 40])
def test_an_exact_similarity_is_recovered(angle, scale):
    matrix = similarity(ARCFACE_TEMPLATE, turned(ARCFACE_TEMPLATE, angle, scale, [5, -9]))
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    np.testing.assert_allclose(matrix, [[c, -s, 5], [s, c, -9]], atol=1e-9 * max(scale, 1))


@pytest.mark.parametrize("seed", range(4))
def test_noisy_points_are_fitted_as_well_as_a_general_minimizer_does(seed):
    rng = np.random.default_rng(seed)
    source = rng.uniform(0, 200, (5, 2))
    # For every other seed the best fit would be a reflection, which a similarity is not.
    target = turned(source * [(-1) ** seed, 1], rng.uniform(-3, 3), rng.uniform(0.2, 5), [7, 3])
    target += rng.normal(0, 6, (5, 2))

    def residuals(p):
        return (
            mapped(np.array([[p[0], -p[1], p[2]], [p[1], p[0], p[3]]]), source) - target
        ).ravel()

    best = least_squares(residuals, [1, 0, 0, 0])
    matrix = similarity(source, target)
    assert ((mapped(matrix, source) - target) ** 2).sum() == pytest.approx(2 * best.cost, rel=1e-6)
    a, b, x, y = best.x
    np.testing.assert_allclose(matrix, [[a, -b, x], [b, a, y]], atol=1e-3)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_on_a_line_can_be_aligned_and_identical_points_not():
    line = np.array([[0, 0], [1, 1], [2, 2]])
    np.testing.assert_allclose(mapped(similarity(line, line * 3 + 1), line), line * 3 + 1)
    with pytest.raises(ValueError, match="cannot be aligned"):
        similarity(np.full((5, 2), 8.0), ARCFACE_TEMPLATE)


def test_the_alignment_equals_opencvs():
    # An independent oracle: FaceRecognizerSF.alignCrop has its own template and fit.
    model = weights_dir() / "face_recognition_sface_2021dec.onnx"
    recognizer = cv2.FaceRecognizerSF.create(str(model), "")
    for path in photos(step=150):
        image = read_image(path)
        face = central_face(image)
        row = np.array([*face.box, *face.landmarks.ravel(), face.score], np.float32)
        theirs = recognizer.alignCrop(image, row).astype(int)
        difference = np.abs(align(image, face.landmarks).astype(int) - theirs)
        # Their fit is in single precision, ours in double.
        assert difference.max() <= 4 and difference.mean() < 0.01, path.name


def grid(side):
    """Return a picture whose red is x and green is y, smooth enough to survive interpolation."""
    y, x = np.mgrid[:side, :side] * (250 / side)
    return np.stack([x, y, np.full_like(x, 99)], axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 2, 3, 5.5, 9])
def test_landmarks_are_mapped_to_the_template_for_any_size_of_face(scale):
    landmarks = turned(ARCFACE_TEMPLATE, 0.2, scale, [500, 400]).astype(np.float32)
    seen = align(grid(2000), landmarks)
    for (x, y), (across, down) in zip(landmarks, ARCFACE_TEMPLATE, strict=True):
        pixel = seen[round(down), round(across)]
        # Half a pixel of the crop is `scale / 2` pixels of the photo, or an eighth of that in gray.
        assert np.abs(pixel[:2] - np.array([x, y]) / 8).max() < 2 + scale / 8


def test_a_much_larger_face_is_averaged_and_not_sampled():
    stripes = np.zeros((1500, 1500, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = align(stripes, ARCFACE_TEMPLATE * 8 + 200)[10:-10, 10:-10].astype(int)
    assert np.abs(inner - 127.5).max() < 20


def test_a_smaller_side_is_reduced_like_a_data_set_and_a_larger_one_enlarges_the_template():
    landmarks = ARCFACE_TEMPLATE + 20
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    assert np.array_equal(align(image, landmarks, 32), resize(align(image, landmarks, 112), 32))
    seen = align(grid(400), ARCFACE_TEMPLATE * 2, 224)
    np.testing.assert_allclose(seen, grid(400)[:224, :224], atol=1)


def test_each_crop_shows_its_part_of_the_photo():
    image, face = grid(200), Face((80, 60, 40, 60), None, 1.0)
    side = round(60 * BOX_MARGIN)
    left, top = 100 - side // 2, 90 - side // 2
    box = crop_face(image, face, "box", side)
    assert np.array_equal(box, image[top : top + side, left : left + side])
    assert np.array_equal(crop_face(image, face, "none", 60), image[60:120, 70:130])
    # Without landmarks an aligned crop is a box.
    for crop in ("arcface112", "dlib150"):
        assert np.array_equal(crop_face(image, face, crop, side), box)
    # With landmarks dlib's crop uses its own template.
    image = grid(400)
    seen = crop_face(image, Face((0, 0, 90, 90), DLIB_TEMPLATE + 30, 1.0), "dlib150", 150)
    np.testing.assert_allclose(seen, image[30:180, 30:180], atol=1)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("shape", [(40, 40, 3), (40, 70, 3), (71, 40, 3)])
def test_a_full_image_is_not_cropped_but_to_a_square(crop, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    [face] = FullImage().detect(image)
    assert np.array_equal(crop_face(image, face, crop, 40), resize(image, 40))


@pytest.mark.parametrize(
    ("width", "crop", "message"),
    [
        (9, "arcface", "'arcface' is unknown .did you mean 'arcface112'"),
        *((width, "box", "must have an area") for width in (0, -3, float("nan"))),
    ],
)
def test_an_unknown_crop_and_a_box_without_area_are_refused(width, crop, message):
    with pytest.raises(ValueError, match=message):
        crop_face(grid(50), Face((0, 0, width, 9), None, 1.0), crop, 20)
