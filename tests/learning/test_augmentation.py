import keras
import numpy as np
import pytest
from keras import ops

from facehash.learning.augmentation import augmentation_layers


def apply(images, **options):
    for layer in augmentation_layers(images.shape[1], **options):
        images = layer(images, training=True)
    return ops.convert_to_numpy(images)


@pytest.fixture
def images(rng):
    keras.utils.set_random_seed(7)
    return rng.integers(0, 256, (64, 16, 16, 3)).astype("float32")


def test_flip_mirrors_about_half_of_the_images(images):
    assert augmentation_layers(16) == []
    out = apply(images, flip=True)
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(out, images, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(out, images, strict=True)])
    assert (mirrored | same).all()
    assert 10 < mirrored.sum() < 54


def test_shift_moves_by_whole_pixels_and_repeats_the_edge(images):
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    places = [(i, j) for i in range(5) for j in range(5)]
    moves = set()
    for image, source in zip(apply(images, shift=2), padded, strict=True):
        windows = {(i, j): source[i : i + 16, j : j + 16] for i, j in places}
        [move] = [at for at, window in windows.items() if np.allclose(image, window, atol=1e-3)]
        moves.add(move)
    assert len(moves) > 10
    assert {i for i, _ in moves} == {j for _, j in moves} == set(range(5))


def test_brightness_adds_one_amount_to_an_image_and_contrast_scales_about_its_mean(images):
    out = apply(images, brightness=0.2)
    assert 0 <= out.min() and out.max() <= 255
    inside = (out > 0) & (out < 255)
    for image, source, mask in zip(out, images, inside, strict=True):
        change = (image - source)[mask]
        assert np.ptp(change) < 1e-2
        assert abs(change[0]) <= 0.2 * 255 + 1e-3
    assert np.std((out - images).mean(axis=(1, 2, 3))) > 5
    out = apply(images, contrast=0.3)
    assert 0 <= out.min() and out.max() <= 255
    ratios = out.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert ratios.min() < 0.95 and ratios.max() > 1.02


def test_erase_covers_a_rectangle_of_the_given_share_of_images(images):
    out = apply(images, erase=0.5)
    touched = np.array([not np.array_equal(a, b) for a, b in zip(out, images, strict=True)])
    assert 16 < touched.sum() < 48
    first = np.flatnonzero(touched)[0]
    changed = (out[first] != images[first]).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95
    assert changed.mean() < 0.9
    np.testing.assert_array_equal(apply(images, erase=1e-9), images)
