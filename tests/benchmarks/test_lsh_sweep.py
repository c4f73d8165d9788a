"""What the committed sweep of LSH settings shows, and how its synthetic faces are drawn."""

import json

import numpy as np
import pytest

from benchmarks.search.lsh_sweep import RESULT, make_faces, redis_settings
from facehash.bench.lsh_sweep import Sweep


@pytest.fixture(scope="module")
def result():
    return json.loads(RESULT.read_text(encoding="utf-8"))


def test_the_committed_sweep_is_the_full_grid(result):
    plan = Sweep()
    expected = [(t, b, p) for t, b, all_probes in plan.grid() for p in all_probes]
    assert len(expected) == 125
    for name, faces in (("synthetic", 500_000), ("photos", 2697)):
        found = result[name]
        settings = [(one["tables"], one["bits"], one["probes"]) for one in found["settings"]]
        assert settings == expected and found["faces"] == faces
        assert found["exact"]["recall@10"] == 1 and found["exact"]["P@1"] > 0.98
        assert all(one["P@1"] is not None and one["bytes"] > 0 for one in found["settings"])
    assert result["peak_megabytes"] < 4000


def test_more_tables_and_more_probes_never_find_less(result):
    for name in ("synthetic", "photos"):
        recall = {
            (one["tables"], one["bits"], one["probes"]): one["recall@10"]
            for one in result[name]["settings"]
            if one["queries"] == 300
        }
        for (tables, bits, probes), found in recall.items():
            assert recall.get((tables, bits, 4 * probes), 1) >= found
            assert recall.get((2 * tables, bits, probes), 1) >= found


def test_redis_proposes_what_the_index_in_memory_does(result):
    measured = [(one["tables"], one["bits"], one["probes"]) for one in result["redis"]]
    chosen = redis_settings(result["synthetic"]["settings"])
    assert measured == [(one["tables"], one["bits"], one["probes"]) for one in chosen]
    assert len(measured) == 3
    for one in result["redis"]:
        assert one["server"].startswith("Redis") and one["same_candidates"] == 1


def test_queries_are_faces_of_people_with_two_or_more(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(200), rng.integers(1, 5, 200))
    vectors = rng.normal(size=(200, 8))[labels] + 0.5 * rng.normal(size=(len(labels), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(tmp_path / "faces.npz", vectors=vectors.astype(np.float16), labels=labels)
    faces = make_faces(tmp_path / "faces.npz", 1000, 50)
    assert faces.rows.shape == (1000, 8) and len(set(faces.queries.tolist())) == 50
    assert (np.bincount(faces.people)[faces.people[faces.queries]] > 1).all()
    assert (np.diff(faces.people) < 0).sum() > 300  # in random order
    near = faces.rows[faces.queries] @ faces.rows.T
    near[np.arange(50), faces.queries] = -1
    right = faces.people[near.argmax(axis=1)] == faces.people[faces.queries]
    assert right.mean() > 0.2
