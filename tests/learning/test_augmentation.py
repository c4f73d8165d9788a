"""Augmentation against loops over images and pixels, given the numbers that were drawn."""

import keras
import numpy as np
import pytest
from keras import ops

from facehash.learning.augmentation import augmentation_layers

SIDE, COUNT = 16, 64


@pytest.fixture(params=["uint8", "float32"])
def images(rng, request):
    keras.utils.set_random_seed(7)
    return rng.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(request.param)


def apply(images, **options):
    """Return what the only layer of these options draws, as arrays, and the images it makes."""
    [layer] = augmentation_layers(SIDE, **options)
    state = ops.convert_to_numpy(layer.generator.state).copy()
    changed = ops.convert_to_numpy(layer(ops.convert_to_tensor(images), training=True))
    layer.generator.state.assign(state)
    drawn = layer.draw(ops.convert_to_tensor(images))
    return [ops.convert_to_numpy(part) for part in drawn], changed


@pytest.mark.parametrize(("flip", "shift"), [(True, 0), (False, 3), (True, 7)])
def test_images_are_mirrored_and_moved_pixel_by_pixel(images, flip, shift):
    (mirrored, moved), changed = apply(images, flip=flip, shift=shift)
    expected = np.empty_like(images)
    for n in range(COUNT):
        source = images[n, :, ::-1] if mirrored[n] else images[n]
        for i in range(SIDE):
            for j in range(SIDE):
                row, column = i - moved[n, 0], j - moved[n, 1]
                expected[n, i, j] = source[
                    min(max(row, 0), SIDE - 1), min(max(column, 0), SIDE - 1)
                ]
    assert changed.dtype == images.dtype
    np.testing.assert_array_equal(changed, expected)
    assert 15 < mirrored.sum() < 49 if flip else not mirrored.any()
    assert set(moved.ravel()) <= set(range(-shift, shift + 1))


def test_each_shift_is_equally_likely():
    keras.utils.set_random_seed(1)
    [layer] = augmentation_layers(32, shift=3)
    _, moved = layer.draw(ops.zeros((7000, 32, 32, 3)))
    for axis in (0, 1):
        steps, counts = np.unique(ops.convert_to_numpy(moved)[:, axis], return_counts=True)
        assert steps.tolist() == [*range(-3, 4)]
        assert counts.min() > 880 and counts.max() < 1120  # 4 standard deviations around 1,000
    assert abs(np.corrcoef(ops.convert_to_numpy(moved).T)[0, 1]) < 0.05


def test_brightness_adds_the_number_that_was_drawn(images):
    (added,), changed = apply(images, brightness=0.2)
    for image, source, number in zip(changed, images, added, strict=True):
        expected = np.clip(source.astype("float32") + number, 0, 255)
        np.testing.assert_allclose(image, expected, atol=1e-3)
    assert np.abs(added).max() <= 51 and added.min() < -25 and added.max() > 25


def test_contrast_multiplies_distances_from_the_mean_of_a_channel(images):
    (factors,), changed = apply(images, contrast=0.3)
    for image, source, factor in zip(changed, images, factors, strict=True):
        mean = source.astype("float64").mean(axis=(0, 1))
        expected = np.clip((source - mean) * factor + mean, 0, 255)
        np.testing.assert_allclose(image, expected, atol=1e-2)
    assert 0.7 <= factors.min() < 0.85 and 1.15 < factors.max() <= 1.3


def test_erase_covers_the_rectangle_that_was_drawn(images):
    (rectangles, chosen, noise), changed = apply(images, erase=0.5)
    for n in range(COUNT):
        top, left, bottom, right = rectangles[n]
        expected = images[n].astype("float32")
        for i in range(SIDE):
            for j in range(SIDE):
                if chosen[n] and top <= i < bottom and left <= j < right:
                    expected[i, j] = noise[i, j]
        np.testing.assert_array_equal(changed[n], expected)
    assert 16 < chosen.sum() < 48
    shares = (rectangles[:, 2:] - rectangles[:, :2]) / SIDE
    assert shares.min() >= 0.02**0.5 - 1e-5 and shares.max() <= 0.33**0.5 + 1e-5
    assert rectangles.min() >= 0 and rectangles.max() <= SIDE + 1e-4
    assert noise.min() == 0 and noise.max() == 255 and 0.4 < (noise == 0).mean() < 0.6


def test_nothing_changes_outside_training_or_without_options(images):
    assert augmentation_layers(SIDE) == []
    with pytest.raises(ValueError, match="shift 8 must be less than half of the side 16"):
        augmentation_layers(SIDE, shift=8)
    every = {"flip": True, "shift": 2, "brightness": 0.1, "contrast": 0.1, "erase": 0.5}
    layers = augmentation_layers(SIDE, **every)
    assert len(layers) == 4
    for layer in layers:
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(images)), images)


def test_the_state_of_the_generator_decides_what_is_drawn(images):
    options = {"flip": True, "shift": 3}
    keras.utils.set_random_seed(5)
    first, second = (apply(images, **options)[1] for _ in range(2))
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(apply(images, **options)[1], first)
    assert not np.array_equal(first, second)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch has no XLA")
def test_xla_compiles_every_change(images):
    every = {"flip": True, "shift": 2, "brightness": 0.1, "contrast": 0.1, "erase": 0.5}
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit
    else:
        import tensorflow

        def compiled(function):
            return tensorflow.function(function, jit_compile=True)

    for layer in augmentation_layers(SIDE, **every):
        drawn = layer.draw(images)
        expected = layer.change(ops.convert_to_tensor(images), *drawn)
        found = compiled(layer.change)(ops.convert_to_tensor(images), *drawn)
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, expected)), atol=1e-3)
