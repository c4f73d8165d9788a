import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

from facehash.errors import InputError
from facehash.methods.targets import CodeTargets, binary_targets


def test_hadamard_targets_differ_in_half_of_their_bits_or_in_all():
    targets = binary_targets(20, 16, "hadamard", np.random.default_rng(0))
    distances = {int(np.sum(a != b)) for a, b in itertools.combinations(targets, 2)}
    assert distances == {8, 16}
    assert set(np.unique(targets)) == {-1.0, 1.0}


@pytest.mark.parametrize(
    "classes, bits, kind, half",
    [(33, 16, "auto", True), (10, 12, "auto", True), (6, 4, "balanced", True),
     (35, 7, "balanced", False), (16, 4, "bernoulli", False), (1000, 32, "balanced", True)],
)  # fmt: skip
def test_targets_differ_for_any_number_of_people(classes, bits, kind, half):
    targets = binary_targets(classes, bits, kind, np.random.default_rng(1))
    assert targets.shape == (classes, bits) and targets.dtype == np.float32
    assert len(np.unique(targets, axis=0)) == classes
    if half:
        assert (targets.sum(axis=1) == 0).all()


def test_the_generator_decides_random_targets():
    one, same, other = (
        binary_targets(50, 24, "bernoulli", np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "classes, bits, kind, message",
    [
        (7, 4, "balanced", "7 people need different codes, and there are 6 of 4 bits"),
        (5, 2, "bernoulli", "there are 4 of 2 bits; use more bits or other targets"),
        (3, 12, "hadamard", "3 people need different codes, and there are 0 of 12 bits"),
        (3, 12, "nearest", "must be one of auto, hadamard, balanced, bernoulli, got 'nearest'"),
    ],
)
def test_impossible_targets_are_refused(classes, bits, kind, message):
    with pytest.raises(InputError, match=message):
        binary_targets(classes, bits, kind, np.random.default_rng(0))


def test_the_layer_returns_cosines_and_the_seed_of_keras_decides_its_targets(rng):
    codes = rng.normal(size=(5, 6)).astype("float32")
    codes[4] = 0
    found = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        layer = CodeTargets(7, "bernoulli")
        cosines = ops.convert_to_numpy(layer(codes))
        targets = ops.convert_to_numpy(layer.targets)
        found.append(targets)
        for b, c in itertools.product(range(4), range(7)):
            expected = codes[b] @ targets[c] / np.linalg.norm(codes[b]) / math.sqrt(6)
            assert cosines[b, c] == pytest.approx(expected, abs=1e-5)
    assert (cosines[4] == 0).all()
    assert layer.trainable_variables == []
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.of([2, 2, 0])), found[2][[2, 2, 0]])
