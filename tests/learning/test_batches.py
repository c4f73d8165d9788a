import numpy as np
import pytest

from facehash.learning.batches import ShuffledBatches


@pytest.fixture
def data(rng):
    return rng.integers(0, 256, (10, 2, 2, 3)).astype("uint8"), np.arange(10)


def rows_of_epoch(batches):
    return [batches[i][1].tolist() for i in range(len(batches))]


def test_an_epoch_holds_every_image_once_with_its_own_class(data):
    images, classes = data
    batches = ShuffledBatches(images, classes, batch=4, seed=1)
    epoch = [batches[i] for i in range(len(batches))]
    assert [len(c) for _, c in epoch] == [4, 4, 2]
    seen = np.concatenate([c for _, c in epoch])
    assert sorted(seen) == list(range(10))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch]), images[seen])


def test_the_order_changes_with_the_epoch_and_the_seed(data):
    batches = ShuffledBatches(*data, batch=10, seed=1)
    first = rows_of_epoch(batches)
    batches.on_epoch_end()
    assert rows_of_epoch(batches) != first
    assert rows_of_epoch(ShuffledBatches(*data, batch=10, seed=2)) != first


def test_a_resumed_epoch_has_the_order_of_an_unbroken_run(data):
    unbroken = ShuffledBatches(*data, batch=3, seed=5)
    for _ in range(4):
        unbroken.on_epoch_end()
    assert rows_of_epoch(ShuffledBatches(*data, 3, seed=5, epoch=4)) == rows_of_epoch(unbroken)


def test_the_last_batch_can_be_cut_so_that_devices_share_it(data):
    batches = ShuffledBatches(*data, batch=8, seed=1, multiple=4)
    first = rows_of_epoch(batches)
    assert [len(rows) for rows in first] == [8]
    batches.on_epoch_end()
    left_out = [set(range(10)) - set(rows[0]) for rows in (first, rows_of_epoch(batches))]
    assert left_out[0] != left_out[1]
    assert [len(rows) for rows in rows_of_epoch(ShuffledBatches(*data, 6, 1, multiple=2))] == [6, 4]
