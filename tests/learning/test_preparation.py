from dataclasses import replace

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.learning.preparation import draw_validation, pixel_statistics, prepare

NONE = np.empty(0, np.int64)


def test_classes_are_numbered_from_zero_over_the_people_who_train(faces):
    train = faces.train[np.isin(faces.labels[faces.train], [1, 4])]
    data = prepare(replace(faces, train=train), NONE)
    assert data.identities == ("b", "e")
    np.testing.assert_array_equal(data.classes, np.repeat([0, 1], 6))
    np.testing.assert_array_equal(data.images, faces.images[train])


def test_validation_images_are_not_fitted_and_keep_their_classes(faces):
    validation = faces.train[[0, 7, 20]]
    data = prepare(faces, validation)
    assert len(data.images) == len(faces.train) - 3
    assert data.validation_classes.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(data.validation_images, faces.images[validation])
    mean, std = pixel_statistics(data.images)
    assert (data.pixel_mean, data.pixel_std) == (mean, std)


def test_a_person_all_of_whose_images_validate_still_has_a_class(faces):
    data = prepare(faces, faces.train[:6])
    assert data.identities == tuple("abcdef")
    assert data.classes.min() == 1


def test_pixel_statistics_equal_those_of_floats(rng):
    images = rng.integers(0, 256, (5, 8, 8, 3)).astype("uint8")
    as_floats = images.astype(np.float64)
    assert pixel_statistics(images) == pytest.approx((as_floats.mean(), as_floats.std()), rel=1e-12)


def test_pixel_statistics_of_many_images_are_taken_in_blocks(rng):
    images = rng.integers(0, 256, (6000, 32, 32, 3)).astype("uint8")  # 18 million pixels
    assert pixel_statistics(images) == pytest.approx((images.mean(), images.std()), rel=1e-9)


def test_images_of_one_colour_are_refused(faces):
    flat = replace(faces, images=np.full_like(faces.images, 7))
    with pytest.raises(InputError, match="every training pixel is 7"):
        prepare(flat, NONE)


def test_the_validation_draw_is_by_image_seeded_and_never_the_last_rows(faces):
    first = draw_validation(faces.train, 0.25, seed=3)
    assert len(first) == 9
    assert np.isin(first, faces.train).all()
    np.testing.assert_array_equal(first, draw_validation(faces.train, 0.25, seed=3))
    assert not np.array_equal(first, draw_validation(faces.train, 0.25, seed=4))
    assert not np.array_equal(first, faces.train[-9:])


def test_a_validation_share_of_zero_is_empty_and_a_small_one_is_one_image(faces):
    assert len(draw_validation(faces.train, 0.0, seed=0)) == 0
    assert len(draw_validation(faces.train, 1e-6, seed=0)) == 1


def test_a_validation_share_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match="leaves none to fit"):
        draw_validation(np.arange(3), 0.9, seed=0)
