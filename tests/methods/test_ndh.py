"""NDH: its losses against loops in NumPy, its start on vectors, and its class means."""

import keras
import numpy as np
import pytest
from keras import ops

from facehash import methods
from facehash.codes import CodesError
from facehash.hashing import WhitenedITQ
from facehash.hashing.ndh import distillation_loss
from facehash.learning.encoding import encode
from facehash.methods.ndh import ClassMeans, contrast_loss, neighborhood_loss
from tests.helpers.linearhead import draw_vectors, vector_faces
from tests.helpers.training import configure, run_training

LABELS = np.array([0, 2, 2, 1, 2, 0])
DATASET = {"name": "vectors", "loader": "vectors"}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def batch(rng):
    """Six features of unit length, and their codes before the tanh."""
    return unit(rng.normal(size=(6, 5))).astype("float32"), rng.normal(size=(6, 4)).astype(
        "float32"
    )


@pytest.fixture
def vector_model():
    vectors, labels = draw_vectors()
    return methods.find_method("ndh").model()(
        bits=8,
        identities=[*"abcdefgh"],
        backbone="vectors",
        input="vectors",
        vector_mean=vectors.mean(axis=0),
        shrink=0.3,
    )


def whitening(model):
    return ops.convert_to_numpy(model.network.get_layer("whitening").kernel).copy()


def test_neighborhood_loss_equals_a_loop(batch):
    features, code = (array.astype(float) for array in batch)
    codes, sizes, total = np.tanh(code), np.abs(code).mean(axis=0), 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        wanted = np.array([np.exp(features[i] @ features[j] / 0.3) for j in others])
        wanted /= wanted.sum()
        for left in (codes[i], code[i] / sizes):
            found = np.array([np.exp(left @ codes[j] / 4 / 0.4) for j in others])
            total += 0.5 * wanted @ np.log(wanted / found * found.sum()) / 6
    value = neighborhood_loss(*map(ops.convert_to_tensor, batch), 0.3, 0.4)
    assert float(value) == pytest.approx(total, rel=1e-5)


def test_contrast_loss_equals_a_loop(rng):
    similarities = rng.normal(size=(6, 6)).astype("float32") * 3
    terms = []
    for i in range(6):
        same = [j for j in range(6) if j != i and LABELS[j] == LABELS[i]]
        if same:  # nobody else has label 1
            whole = sum(np.exp(float(similarities[i, k])) for k in range(6) if k != i)
            terms.append(-np.mean([similarities[i, j] - np.log(whole) for j in same]))
    assert len(terms) == 5
    value = contrast_loss(ops.convert_to_tensor(LABELS), ops.convert_to_tensor(similarities))
    assert float(value) == pytest.approx(np.mean(terms), rel=1e-5)
    alone = contrast_loss(ops.arange(6), ops.convert_to_tensor(similarities))
    assert float(alone) == 0


def neighborhood_entropy(features, temperature):
    """The mean entropy of the softmax of cosines with the others."""
    powers = np.exp(features @ features.T / temperature)
    np.fill_diagonal(powers, 0)
    chances = powers / powers.sum(axis=1, keepdims=True)
    return -np.mean([np.sum(row[row > 0] * np.log(row[row > 0])) for row in chances])


def test_the_gradient_is_that_of_the_hash_without_keras(batch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow")
    import tensorflow as tf

    features, code = (tf.Variable(array) for array in batch)
    with tf.GradientTape() as tape:
        h = ops.tanh(code.value())
        value = neighborhood_loss(features.value(), code.value(), 0.3, 0.4)
        value += 0.1 * ops.mean(1 - ops.abs(h))
    of_features, of_code = tape.gradient(value, [features, code])
    loss, slope = distillation_loss(batch[1].astype(float), batch[0].astype(float), 0.3, 0.4)
    entropy = neighborhood_entropy(batch[0].astype(float), 0.3)
    assert float(value) == pytest.approx(loss - entropy, rel=1e-4)
    np.testing.assert_allclose(of_code, slope, rtol=1e-3, atol=1e-6)
    assert of_features is None  # the codes follow the features, not the other way round


def test_class_means_follow_the_codes_of_each_class(rng):
    codes = np.tanh(rng.normal(size=(6, 4))).astype("float32")
    layer = ClassMeans(classes=4)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(codes)), np.zeros((6, 4)))
    for _ in range(2):
        layer.move(ops.convert_to_tensor(codes), ops.convert_to_tensor(LABELS))
    sums = [codes[LABELS == c].astype(float).sum(axis=0) for c in range(4)]
    expected = 1.99 * np.array(sums)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.means), expected, atol=1e-6)
    found = ops.convert_to_numpy(layer(codes))
    np.testing.assert_allclose(found[:, :3], unit(codes) @ unit(expected[:3]).T, atol=1e-6)
    np.testing.assert_array_equal(found[:, 3], 0)  # nobody of the last class so far


def test_a_linear_head_starts_at_whitened_itq(vector_model):
    vectors, labels = draw_vectors()
    vector_model.start_from(vectors, labels, seed=4)
    start = WhitenedITQ.fit(vectors, 8, 4, labels=labels, shrink=0.3)
    ours = vector_model.linear_hash(vectors)
    np.testing.assert_allclose(unit(ours.projection.T), unit(start.projection.T), atol=1e-4)
    np.testing.assert_array_equal(ours.encode(vectors), start.encode(vectors))
    np.testing.assert_array_equal(encode(vector_model, vectors), start.encode(vectors))
    outputs = vector_model(vectors)
    code, teacher = (ops.convert_to_numpy(outputs[name]) for name in ("code", "teacher"))
    assert np.abs(code).mean() == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(teacher, axis=1), 1, rtol=1e-5)


def test_training_starts_there_unless_it_takes_the_weights_of_another_run(tmp_path):
    faces = vector_faces()
    settings = {"epochs": 1, "learning_rate": 1e-9}
    model = {"backbone": "vectors", "weight_decay": 0.0}
    config = configure("ndh", bits=8, dataset=DATASET, model=model, **settings)
    trained, labels = faces.vectors[faces.train], faces.labels[faces.train]
    start = WhitenedITQ.fit(trained, 8, 3, labels=labels).encode(trained)
    run, outcome = run_training(config, faces, tmp_path / "run")
    np.testing.assert_array_equal(encode(outcome.model, trained), start)
    before = whitening(outcome.model)  # before JAX gives its memory to the next training
    outcome.model.network.get_layer("hash").kernel.assign(-np.eye(16, 8))
    _, later = run_training(config, faces, tmp_path / "next", initial=lambda: outcome.model)
    kernel = ops.convert_to_numpy(later.model.network.get_layer("hash").kernel)
    np.testing.assert_allclose(kernel, -np.eye(16, 8), atol=1e-6)
    np.testing.assert_array_equal(whitening(later.model), before)


def test_data_without_differences_within_people_are_refused(vector_model):
    vectors, labels = draw_vectors()
    with pytest.raises(CodesError, match="ndh: no person has two different vectors"):
        vector_model.start_from(vectors[::9], labels[::9], seed=0)
