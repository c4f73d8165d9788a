"""What training reads: images, classes, statistics, and shuffled batches."""

from dataclasses import replace

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.learning import preparation
from facehash.learning.batches import ShuffledBatches
from facehash.learning.preparation import draw_validation, pixel_statistics, prepare

NONE = np.empty(0, np.int64)


def test_classes_are_numbered_from_zero_over_the_people_in_training(faces):
    train = faces.train[np.isin(faces.labels[faces.train], [1, 4])]
    data = prepare(replace(faces, train=train), NONE)
    assert data.identities == ("b", "e")
    np.testing.assert_array_equal(data.classes, np.repeat([0, 1], 6))
    np.testing.assert_array_equal(data.images, faces.images[train])


def test_validation_images_are_held_out_and_keep_their_classes(faces):
    validation = faces.train[[0, 7, 20]]
    data = prepare(faces, validation)
    assert len(data.images) == len(faces.train) - 3
    assert data.validation_classes.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(data.validation_images, faces.images[validation])
    assert (data.pixel_mean, data.pixel_std) == pixel_statistics(data.images)
    data = prepare(faces, faces.train[:6])  # all images of one person
    assert data.identities == tuple("abcdef")
    assert data.classes.min() == 1


def test_pixel_statistics_equal_those_of_floats(rng, monkeypatch):
    images = rng.integers(0, 256, (5, 8, 8, 3)).astype("uint8")
    expected = images.astype(np.float64).mean(), images.astype(np.float64).std()
    assert pixel_statistics(images) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(preparation, "_PIXELS_AT_A_TIME", 400)
    assert pixel_statistics(images) == pytest.approx(expected, rel=1e-12)


def test_images_of_one_color_are_refused(faces):
    flat = replace(faces, images=np.full_like(faces.images, 7))
    with pytest.raises(InputError, match="every training pixel is 7"):
        prepare(flat, NONE)


def test_the_validation_split_is_drawn_by_image_and_seed_and_is_never_empty_or_all(faces):
    first = draw_validation(faces.train, 0.25, seed=3)
    assert len(first) == 9
    assert np.isin(first, faces.train).all()
    np.testing.assert_array_equal(first, draw_validation(faces.train, 0.25, seed=3))
    assert not np.array_equal(first, draw_validation(faces.train, 0.25, seed=4))
    assert not np.array_equal(first, faces.train[-9:])
    assert len(draw_validation(faces.train, 0.0, seed=0)) == 0
    assert len(draw_validation(faces.train, 1e-6, seed=0)) == 1
    with pytest.raises(InputError, match="leaves none for training"):
        draw_validation(np.arange(3), 0.9, seed=0)


@pytest.fixture
def data(rng):
    return rng.integers(0, 256, (10, 2, 2, 3)).astype("uint8"), np.arange(10)


def rows_of_epoch(batches):
    return [batches[i][1].tolist() for i in range(len(batches))]


def test_an_epoch_has_every_image_once_with_its_own_class(data):
    images, classes = data
    batches = ShuffledBatches(images, classes, batch=4, seed=1)
    epoch = [batches[i] for i in range(len(batches))]
    assert [len(c) for _, c in epoch] == [4, 4, 2]
    seen = np.concatenate([c for _, c in epoch])
    assert sorted(seen) == list(range(10))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch]), images[seen])


def test_the_order_of_batches_depends_on_epoch_and_seed_alone(data):
    batches = ShuffledBatches(*data, batch=3, seed=1)
    first = rows_of_epoch(batches)
    batches.on_epoch_end()
    assert rows_of_epoch(batches) != first
    assert rows_of_epoch(ShuffledBatches(*data, batch=3, seed=2)) != first
    assert rows_of_epoch(ShuffledBatches(*data, 3, seed=1, epoch=1)) == rows_of_epoch(batches)


def test_row_numbers_in_place_of_images_are_those_of_the_same_batches():
    images, classes = np.arange(40).reshape(20, 2), np.arange(20)
    plain = ShuffledBatches(images, classes, batch=3, seed=1)
    for together, shapes in (
        (0, [(3,)] * 6 + [(2,)]),
        (1, [(1, 3)] * 6 + [(1, 2)]),
        (4, [(4, 3), (1, 3), (1, 3), (1, 2)]),
    ):
        batches = ShuffledBatches(images, classes, batch=3, seed=1, together=together)
        items = [batches[i] for i in range(len(batches))]
        assert [rows.shape for rows, _ in items] == shapes
        assert all(rows.dtype == np.int32 for rows, _ in items)
        rows = np.concatenate([rows.ravel() for rows, _ in items])
        np.testing.assert_array_equal(images[rows], np.concatenate([plain[i][0] for i in range(7)]))
        np.testing.assert_array_equal(rows, np.concatenate([c.ravel() for _, c in items]))
        assert batches.edges[-1] == 20 and len(batches.edges) == len(items) + 1
