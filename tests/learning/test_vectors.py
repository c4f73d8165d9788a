"""Networks that take vectors: standardization, the contract, and training."""

from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from facehash import methods
from facehash.codes import packed_from_bits
from facehash.errors import InputError
from facehash.learning.encoding import (
    encode,
    encode_rows,
    features_and_logits,
    projections,
    relaxed_codes,
)
from facehash.learning.hash_model import StandardizeVectors
from facehash.learning.model_files import save_model_file
from facehash.learning.preparation import prepare
from facehash.runs.files import read_history
from facehash.runs.fingerprint import picture_hashes, recorded
from tests.helpers import linearhead
from tests.helpers.training import configure, run_training

NONE = np.empty(0, np.int64)


@pytest.fixture(scope="module", autouse=True)
def method():
    linearhead.install()


@pytest.fixture
def faces():
    return linearhead.vector_faces()


@pytest.fixture
def build():
    def make(mean=(0.5, -1.0, 2.0), bits=12, **options):
        kind = methods.find_method("linearhead").model()
        options = {"input": "vectors", "vector_mean": mean} | options
        return kind(bits=bits, identities=["ann", "bob", "eve"], **options)

    return make


def settings(**training):
    dataset = {"name": "vectors", "loader": "vectors"}
    options = {"epochs": 30, "batch": 16, "learning_rate": 0.02} | training
    return configure("linearhead", bits=16, dataset=dataset, **options)


def standardized(vectors, mean):
    """Written from the formula, in float64, one vector at a time."""
    rows = []
    for vector in np.asarray(vectors, np.float64):
        centered = vector - np.asarray(mean, np.float64)
        rows.append(centered / np.sqrt(sum(value**2 for value in centered)))
    return np.array(rows)


def test_vectors_are_centered_and_scaled_to_length_1(rng):
    mean = rng.normal(size=7)
    vectors = rng.normal(size=(20, 7)).astype("float32") * 10
    found = ops.convert_to_numpy(StandardizeVectors(mean)(vectors))
    np.testing.assert_allclose(found, standardized(vectors, mean), atol=1e-6)
    at_mean = ops.convert_to_numpy(StandardizeVectors([2.0, 3.0])(np.float32([[2, 3]])))
    np.testing.assert_array_equal(at_mean, [[0, 0]])


def test_a_model_computes_the_same_as_numpy_and_after_saving(build, rng, tmp_path):
    model = build()
    vectors = rng.normal(size=(20, 3)).astype("float32")
    kernel, bias = map(ops.convert_to_numpy, model.network.layers[1].weights)
    expected = standardized(vectors, model.vector_mean) @ kernel.astype("f8") + bias
    np.testing.assert_allclose(relaxed_codes(model, vectors), np.tanh(expected), atol=1e-5)
    np.testing.assert_allclose(projections(model, vectors), expected, atol=1e-5)
    codes = encode(model, vectors)
    np.testing.assert_array_equal(codes, packed_from_bits((expected >= 0).astype(np.uint8)))
    np.testing.assert_array_equal(encode(model, vectors[:1]), codes[:1])
    save_model_file(model, tmp_path / "head.keras")
    again = methods.load(tmp_path / "head.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(encode(again, vectors), codes)


def test_a_recentred_model_subtracts_another_mean_with_the_same_weights(build, rng):
    model = build()
    vectors, other = rng.normal(size=(20, 3)).astype("float32"), np.array([3.0, 1.0, -2.0])
    shifted = vectors + (other - np.array(model.vector_mean)).astype("float32")
    recentred = model.recentred(other)
    assert recentred.vector_mean == other.tolist() and model.vector_mean == [0.5, -1.0, 2.0]
    expected = relaxed_codes(model, vectors)
    np.testing.assert_allclose(relaxed_codes(recentred, shifted), expected, atol=1e-5)
    with pytest.raises(InputError, match="takes vectors of 3, got a mean of 2"):
        model.recentred([1.0, 2.0])


def test_a_model_for_images_has_no_key_of_vectors_and_cannot_be_recentred(make_model):
    model = make_model()
    assert not {"input", "vector_mean"} & model.get_config().keys()
    with pytest.raises(InputError, match="takes images"):
        model.recentred([1.0])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"vector_mean": None}, "input 'vectors' needs vector_mean"),
        ({"pixel_mean": 120.0}, "no statistics of pixels"),
        ({"augmentation": {"flip": True}}, "input 'vectors' has no augmentation"),
        ({"input": "image"}, "input 'image' needs pixel_mean and pixel_std"),
        ({"input": "vector"}, "must be 'image' or 'vectors', got 'vector'"),
    ],
)
def test_statistics_of_the_other_kind_of_input_are_refused(build, changes, message):
    with pytest.raises(InputError, match=message):
        build(**changes)


def test_another_shape_is_refused_in_one_line(build, make_model, images):
    with pytest.raises(InputError, match=r"takes vectors \(n, 3\), got an array of shape \(6, 4\)"):
        encode(build(), np.zeros((6, 4), np.float32))
    with pytest.raises(InputError, match=r"takes vectors \(n, 3\), got an array of shape \(6, 32,"):
        encode(build(), images)
    with pytest.raises(InputError, match=r"takes images, got an array of shape \(6, 4\)"):
        encode(make_model(), np.zeros((6, 4), np.float32))


def test_the_mean_is_that_of_the_training_vectors_without_validation(faces):
    validation = faces.train[[0, 9]]
    data = prepare(faces, validation)
    rows = np.setdiff1d(faces.train, validation)
    expected = faces.vectors[rows].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(data.vector_mean, expected, rtol=1e-12)
    np.testing.assert_array_equal(data.validation_images, faces.vectors[validation])
    assert data.statistics == {"vector_mean": data.vector_mean}
    with pytest.raises(InputError, match="vectors: all training vectors are equal"):
        prepare(replace(faces, vectors=np.ones_like(faces.vectors)), NONE)


def test_a_head_learns_and_its_record_and_features_are_those_of_the_vectors(faces, tmp_path):
    run, outcome = run_training(settings(validation=0.2), faces, tmp_path / "run")
    model = methods.load(run.model)
    assert read_history(run.history)[-1]["val_accuracy"] > 0.9  # by chance 0.125
    hashes = picture_hashes(faces.vectors, np.arange(len(faces.labels)))
    known = np.isin(np.arange(len(faces.labels)), faces.train)
    np.testing.assert_array_equal(recorded(model.training_images, hashes), known)
    features, logits = features_and_logits(model, faces, faces.query)
    expected = standardized(faces.vectors[faces.query], model.vector_mean)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert (logits.argmax(axis=1) == faces.labels[faces.query]).mean() > 0.9
    np.testing.assert_array_equal(
        encode_rows(model, faces, faces.query), encode(model, faces.vectors[faces.query])
    )


def test_a_run_that_goes_on_equals_an_uninterrupted_one(faces, tmp_path):
    straight = run_training(settings(epochs=6), faces, tmp_path / "straight")[1]
    run_training(settings(epochs=3), faces, tmp_path / "parts")
    parts = run_training(settings(epochs=6), faces, tmp_path / "parts")[1]
    assert parts.model.vector_mean == straight.model.vector_mean
    for one, other in zip(parts.model.weights, straight.model.weights, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (one, other)))


def test_initial_weights_keep_their_mean_and_vectors_of_another_length_are_refused(faces, tmp_path):
    first = run_training(settings(epochs=2), faces, tmp_path / "first")[1].model
    moved = replace(faces, vectors=faces.vectors + np.float32(1), name="moved")
    tree = settings(epochs=1, initial_weights=str(tmp_path))
    second = run_training(tree, moved, tmp_path / "second", initial=lambda: first)[1].model
    assert second.vector_mean == first.vector_mean
    short = replace(faces, vectors=faces.vectors[:, :9].copy())
    with pytest.raises(InputError, match="holds a LinearHead|another network: its weights"):
        run_training(tree, short, tmp_path / "third", initial=lambda: first)
