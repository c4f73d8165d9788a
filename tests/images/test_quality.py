import cv2
import numpy as np
import pytest

from facehash.images.face import Face
from facehash.images.quality import blur, effective_width, quality, stored_width
from tests.helpers.face_data import central_crop, photos

FACE = Face((10.0, 10.0, 300.0, 400.0), None, 0.9)


def natural(side=112, seed=0):
    """Draw noise whose power falls with the square of the frequency, as that of photos does."""
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(4 * side)[:, None], np.fft.rfftfreq(4 * side)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(4 * side, 4 * side))) / frequency
    grey = np.fft.irfft2(spectrum, (4 * side, 4 * side))
    return (128 + 40 * grey / grey.std()).astype(np.float32)


@pytest.mark.parametrize("side", [112, 160])
@pytest.mark.parametrize("deviation", [2.0, 3.0, 4.0, 6.0, 8.0])
def test_the_blur_of_a_picture_with_a_known_blur_is_found(deviation, side):
    found = []
    for seed in range(4):
        grey = cv2.GaussianBlur(natural(side, seed), (0, 0), deviation)[side : 2 * side, :side]
        crop = np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
        found.append(blur(crop))
    assert np.mean(found) == pytest.approx(deviation, rel=0.2)


def test_the_blur_does_not_depend_on_contrast_and_brightness():
    grey = cv2.GaussianBlur(natural(), (0, 0), 3.0)[:112, :112]
    crops = [np.clip(part, 0, 255).astype(np.uint8) for part in (grey, 60 + grey / 2)]
    one, other = (blur(crop[..., None].repeat(3, axis=2)) for crop in crops)
    assert one == pytest.approx(other, rel=0.03)


def test_a_face_has_less_detail_the_more_it_is_blurred_or_reduced():
    for path in photos(step=450):
        crop = central_crop(path, "arcface112", 112)
        blurred = [cv2.GaussianBlur(crop, (0, 0), deviation) for deviation in (1, 2, 3, 4, 6, 8)]
        widths = [effective_width(FACE, one) for one in (crop, *blurred)]
        assert widths == sorted(widths, reverse=True) and len(set(widths)) == 7
        # Sharp photos have much more detail than the limit, and strong blur has less.
        assert widths[0] > 22 and widths[4] < 18
        reduced = []
        for width in (82, 60, 40, 20, 12):
            side = round(112 * width / 82)
            small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
            enlarged = cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR)
            reduced.append(effective_width(FACE, enlarged))
        assert reduced == sorted(reduced, reverse=True)
        assert 14 < reduced[3] < 28  # 20 pixels


def test_noise_is_no_detail():
    crop = central_crop(photos()[0], "arcface112", 112)
    blurred = cv2.GaussianBlur(crop, (0, 0), 6).astype(np.float64)
    noisy = blurred + np.random.default_rng(0).normal(scale=4, size=crop.shape)
    assert effective_width(FACE, np.clip(noisy, 0, 255).astype(np.uint8)) < 18


@pytest.mark.parametrize(
    ("box", "score", "expected"),
    [((0, 0, 112, 200), 0.9, 0.9), ((0, 0, 56, 200), 0.8, 0.4), ((0, 0, 500, 500), 1, 1)],
)
def test_the_quality_of_a_sharp_face_is_its_score_reduced_if_it_is_small(box, score, expected):
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    face = Face(box, None, score)
    assert quality(face, crop) == pytest.approx(expected)
    width = stored_width(quality(face, crop), score, 112)
    assert width == (pytest.approx(min(box[2:])) if expected < score else np.inf)


def test_a_crop_of_one_color_has_no_detail():
    crop = np.full((112, 112, 3), 7, np.uint8)
    assert blur(crop) == np.inf and effective_width(FACE, crop) == 0 and quality(FACE, crop) == 0


def test_photos_of_lfw_have_enough_detail_for_a_verdict():
    widths = [
        effective_width(FACE, central_crop(path, "arcface112", 112)) for path in photos(step=60)
    ]
    assert min(widths) > 18


def test_the_blur_of_a_tiny_crop_is_not_measured():
    assert effective_width(FACE, np.full((32, 32, 3), 7, np.uint8)) == 300
