import itertools

import keras
import numpy as np
import pytest
from keras import ops

from dcbh.layers import BlockHash
from dcbh.losses import CenterLoss


def loop_block_hash(features, bits):
    """Softmax, minus one half, maximum, tanh, block by block."""
    out = np.zeros((len(features), bits))
    block = features.shape[1] // bits
    for n, j in itertools.product(range(len(features)), range(bits)):
        values = np.exp(features[n, j * block : (j + 1) * block].astype(np.float64))
        out[n, j] = np.tanh(max(values / values.sum()) - 0.5)
    return out


def test_block_hash_equals_a_loop_over_blocks(rng):
    features = rng.normal(size=(7, 24)).astype("float32") * 3
    relaxed = ops.convert_to_numpy(BlockHash(4)(features))
    np.testing.assert_allclose(relaxed, loop_block_hash(features, 4), atol=1e-6)


def test_the_outputs_of_blocks_of_6_lie_between_the_stated_bounds(rng):
    lowest, highest = np.tanh(1 / 6 - 0.5), np.tanh(0.5)
    relaxed = ops.convert_to_numpy(BlockHash(2)(np.zeros((1, 12), "float32")))
    np.testing.assert_allclose(relaxed, lowest, atol=1e-6)  # all shares equal
    one_hot = np.zeros((1, 12), "float32")
    one_hot[0, [3, 7]] = 100.0
    np.testing.assert_allclose(ops.convert_to_numpy(BlockHash(2)(one_hot)), highest, atol=1e-6)
    many = ops.convert_to_numpy(BlockHash(8)(rng.normal(size=(500, 48)).astype("float32") * 5))
    assert lowest - 1e-6 <= many.min() < -0.1
    assert 0.4 < many.max() <= highest + 1e-6


def test_a_bit_is_1_exactly_when_one_feature_outweighs_the_others_together(rng):
    features = rng.normal(size=(200, 6)).astype("float32") * 2
    shares = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    positive = ops.convert_to_numpy(BlockHash(1)(features))[:, 0] >= 0
    np.testing.assert_array_equal(positive, shares.max(axis=1) >= 0.5)


@pytest.mark.parametrize("features, bits", [(10, 4), (8, 4), (4, 4)])
def test_blocks_that_are_uneven_or_too_small_are_refused(features, bits):
    with pytest.raises(
        ValueError, match=f"{features} features into {bits} equal blocks of at least"
    ):
        BlockHash(bits).build((None, features))


def moved_by_a_loop(centers, features, labels):
    """The moving update from its definition: every row pulls on the centers from before."""
    moved = centers.copy()
    for y in range(len(centers)):
        rows = [f for f, label in zip(features, labels, strict=True) if label == y]
        for f in rows:
            moved[y] -= (centers[y] - f) / (1 + len(rows))
    return moved


def positions_of(layer):
    return ops.convert_to_numpy(layer.positions())


@pytest.mark.parametrize("centers", ["moving", "gradient", "both"])
def test_center_loss_equals_a_loop_and_uses_the_centers_from_before(rng, centers):
    layer = CenterLoss(5, centers)
    layer.build((None, 3))
    before = positions_of(layer)
    features = rng.normal(size=(8, 3)).astype("float32")
    labels = np.array([0, 2, 2, 4, 2, 0, 1, 4])
    loss = float(ops.convert_to_numpy(layer(features, labels, training=True)))
    rows = zip(features, labels, strict=True)
    assert loss == pytest.approx(sum(np.square(f - before[y]).sum() / 2 for f, y in rows), rel=1e-5)


@pytest.mark.parametrize("centers", ["moving", "both"])
def test_centers_move_by_the_loop_with_repeated_identities_and_others_stay(rng, centers):
    layer = CenterLoss(5, centers)
    layer.build((None, 3))
    before = positions_of(layer)
    features = rng.normal(size=(8, 3)).astype("float32")
    labels = np.array([0, 2, 2, 4, 2, 0, 1, 4])
    layer(features, labels, training=True)
    after = positions_of(layer)
    np.testing.assert_allclose(after, moved_by_a_loop(before, features, labels), atol=1e-6)
    np.testing.assert_array_equal(after[3], before[3])


@pytest.mark.parametrize("centers", ["moving", "gradient", "both"])
def test_centers_stay_put_in_evaluation(rng, centers):
    layer = CenterLoss(4, centers)
    layer.build((None, 3))
    before = positions_of(layer)
    layer(rng.normal(size=(6, 3)).astype("float32"), np.arange(6) % 4, training=False)
    np.testing.assert_array_equal(positions_of(layer), before)


def test_only_centers_that_learn_by_gradient_are_trainable():
    shapes = {}
    for centers in ("moving", "gradient", "both"):
        layer = CenterLoss(4, centers)
        layer.build((None, 3))
        shapes[centers] = (len(layer.trainable_weights), len(layer.non_trainable_weights))
        assert np.abs(positions_of(layer)).max() <= np.sqrt(6 / 7)  # Glorot and Bengio's limit
        assert np.ptp(positions_of(layer)) > 0
    assert shapes == {"moving": (0, 1), "gradient": (1, 0), "both": (1, 1)}


def test_an_unknown_way_of_moving_is_refused():
    with pytest.raises(ValueError, match="one of moving, gradient, both, got 'none'"):
        CenterLoss(4, "none")


@pytest.mark.parametrize("layer", [BlockHash(4, name="hash"), CenterLoss(3, "both", name="center")])
def test_a_layer_comes_back_from_its_configuration(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
