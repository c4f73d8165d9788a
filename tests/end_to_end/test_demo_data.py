"""DCBH on the demo's faces, trained until every bit varies."""

import pytest

from facehash.learning.backend import choose_backend, start_backend
from facehash.retrieval.code_statistics import code_statistics
from tests.helpers.training import configure, run_training


@pytest.mark.full
def test_no_bit_of_block_hashing_is_dead_after_training_on_the_demo_data(tmp_path):
    start_backend(choose_backend())
    from data.loading import find_source, load
    from facehash.learning.encoding import encode_rows

    dataset = {"name": "orl", "queries_per_identity": 3}
    training = {"epochs": 16, "batch": 20, "learning_rate": 1e-3, "schedule": "cosine"}
    config = configure("dcbh", bits=24, seed=0, dataset=dataset, **training)
    faces = load(config.dataset, find_source(config.dataset, None, tmp_path))
    _, outcome = run_training(config, faces, tmp_path / "run")
    statistics = code_statistics(encode_rows(outcome.model, faces, faces.gallery), 24)
    assert statistics.dead == 0
    assert 0 < statistics.ones.min() < statistics.ones.max() < 1
