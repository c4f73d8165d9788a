import numpy as np
import pytest
from keras import ops

from facehash.learning.losses import cross_entropy, quantization_loss


def test_quantization_loss_of_a_hand_made_batch_and_by_a_loop(rng):
    # | |h| - 1 |: .5, 0, .75, 0 -> mean 1.25 / 4.
    relaxed = ops.convert_to_tensor([[0.5, -1.0], [-0.25, 1.0]])
    assert float(quantization_loss(relaxed)) == pytest.approx(0.3125)
    relaxed = rng.uniform(-1, 1, (7, 12)).astype("float32")
    loop = sum(abs(abs(h) - 0.5) for row in relaxed for h in row) / relaxed.size
    value = quantization_loss(ops.convert_to_tensor(relaxed), 0.5)
    assert float(value) == pytest.approx(loop, 1e-5)


def test_cross_entropy_equals_a_loop(rng):
    logits = rng.normal(size=(9, 5)).astype("float32")
    labels = rng.integers(0, 5, 9)
    loop = 0.0
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        loop -= np.log(np.exp(row[label]) / np.exp(row).sum()) / 9
    value = cross_entropy(ops.convert_to_tensor(labels), ops.convert_to_tensor(logits))
    assert float(value) == pytest.approx(loop, rel=1e-5)
