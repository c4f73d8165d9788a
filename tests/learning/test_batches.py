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
