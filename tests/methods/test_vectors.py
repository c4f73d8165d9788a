"""Every method on float vectors: linear heads, hidden layers, and the export without Keras."""

import numpy as np
import pytest

from facehash import methods
from facehash.config import ConfigError
from facehash.errors import InputError
from facehash.hashing import LinearHash
from facehash.learning.encoding import Projector, encode, projections, retrieval_map
from facehash.runs.files import read_history
from tests.helpers.linearhead import vector_faces
from tests.helpers.training import configure, run_training
from tests.methods.test_methods import NAMES, TERMS

DATASET = {"name": "vectors", "loader": "vectors"}


@pytest.mark.parametrize(
    "name, hidden",
    [
        *((name, 0) for name in NAMES),
        ("orthohash", 24),
        pytest.param("greedyhash", 24, marks=pytest.mark.full),
        pytest.param("ndh", 24, marks=pytest.mark.full),
    ],
)
def test_each_method_learns_people_from_vectors(tmp_path, name, hidden):
    faces = vector_faces()
    config = configure(
        name,
        bits=16,
        dataset=DATASET,
        model={"backbone": "vectors", "hidden": hidden, "weight_decay": 0.0},
        **{"epochs": 30, "learning_rate": 0.02},
    )
    run, outcome = run_training(config, faces, tmp_path / "run")
    history = read_history(run.history)
    terms = TERMS[name] - {"feature_cross_entropy"}  # vectors are fixed
    assert set(history[0]) == terms | {"weight_decay", "epoch", "loss", "accuracy", "seconds"}
    losses = [row["loss"] for row in history]
    if (name, hidden) == ("ndh", 0):  # starts at ITQ, close to the best
        assert min(losses) < losses[0]
    else:
        assert losses[-1] < 0.8 * losses[0]
    roles = [(faces.vectors[rows], faces.labels[rows]) for rows in (faces.gallery, faces.query)]
    assert retrieval_map(outcome.model, *roles) > 0.8
    loaded = methods.load(run.model)
    codes = encode(outcome.model, faces.vectors)
    np.testing.assert_array_equal(encode(loaded, faces.vectors), codes)
    if hidden:
        with pytest.raises(InputError, match="only a linear head is a LinearHash.*and hidden 24"):
            loaded.linear_hash()
        return
    hashed = loaded.linear_hash(faces.vectors[faces.train])
    assert type(hashed) is LinearHash
    np.testing.assert_array_equal(hashed.encode(faces.vectors), codes)
    np.testing.assert_array_equal(
        LinearHash.from_arrays(hashed.arrays()).encode(faces.vectors), codes
    )
    # The model scales vectors to unit length, so its projections differ by a factor for each row.
    pairs = [(hashed.project(faces.vectors), projections(loaded, faces.vectors))]
    # With the scale of the model, both rank alike.
    scaled = Projector(loaded).scaled(faces.vectors)[1]
    pairs.append((loaded.linear_hash().projections(faces.vectors), scaled))
    for rows in pairs:
        units = [found / np.linalg.norm(found, axis=1, keepdims=True) for found in rows]
        np.testing.assert_allclose(*units, atol=1e-4)


@pytest.mark.parametrize(
    "model, dataset, message",
    [
        ({"backbone": "vectors"}, {"name": "looks"}, "set dataset.loader to vectors"),
        ({}, DATASET, "takes images, and dataset.loader is vectors"),
        ({"hidden": 8}, {"name": "looks"}, "hidden is for the backbone vectors, got backbone"),
        ({"backbone": "vectors", "width": 8}, DATASET, "width is for backbones of images"),
    ],
)
def test_options_that_do_not_fit_the_input_are_refused(model, dataset, message):
    with pytest.raises(ConfigError, match=message):
        configure("csq", model=model, dataset=dataset)


def test_a_backbone_of_another_input_is_refused(make_model):
    with pytest.raises(InputError, match="backbone vectors takes vectors, got input 'image'"):
        make_model("csq", backbone="vectors")
    with pytest.raises(InputError, match="only a linear head is a LinearHash.*'ddh'"):
        make_model("csq").linear_hash()
