"""DCBH on the demo's faces: long enough for every bit to come alive."""

import functools

import pytest

from facehash import methods
from facehash.config import check_config
from facehash.learning.backend import choose_backend, start_backend
from facehash.retrieval.code_statistics import code_statistics
from facehash.runs.directory import RunDirectory


@pytest.mark.slow
def test_no_bit_of_block_hashing_is_dead_after_training_on_the_demo_data(tmp_path):
    start_backend(choose_backend())
    from data.loading import find_source, load
    from facehash.learning.encoding import encode_rows
    from facehash.learning.training import train

    tree = {
        "method": "dcbh",
        "bits": 24,
        "dataset": {"name": "orl", "queries_per_identity": 3},
        "training": {"epochs": 16, "batch": 20, "schedule": "cosine"},
    }
    config = check_config(tree, methods.options_class, "test")
    faces = load(config.dataset, find_source(config.dataset, None, tmp_path))
    run = RunDirectory(tmp_path / "run")
    model = train(config, faces, run, functools.partial(methods.build, config)).model
    statistics = code_statistics(encode_rows(model, faces, faces.gallery), 24)
    assert statistics.dead == 0
    assert 0 < statistics.ones.min() < statistics.ones.max() < 1
