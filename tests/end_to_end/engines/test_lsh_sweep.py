"""A setting that the sweep recommends, on a real Redis: the candidates are those in memory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.search.lsh_sweep import measure_redis, redis_settings
from facehash.bench.lsh_sweep import Sweep, SweptFaces, sweep_lsh
from facehash.vectors import unit_rows

pytestmark = pytest.mark.engines


def test_redis_proposes_the_candidates_of_the_index_in_memory(redis_server):
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(1000), 3)
    rows = rng.normal(size=(1000, 16))[people] + 0.4 * rng.normal(size=(3000, 16)) + 0.5
    faces = SweptFaces.of_people(unit_rows(rows.astype(np.float32)), people, 30, seed=1)
    sweep = Sweep(tables=(4,), bits=(12,), probes=(1, 8), queries=30)
    settings = sweep_lsh(faces, sweep, shown=False)["settings"]
    assert redis_settings(settings)
    for setting in settings:
        found = measure_redis(redis_server.url, faces, setting, seed=0)
        assert found["same_candidates"] == 1
        assert found["candidates"] == pytest.approx(setting["compared"], abs=0.1)
        assert found["recall@10"] == pytest.approx(setting["recall@10"], abs=1e-4)
        assert found["P@1"] == pytest.approx(setting["P@1"], abs=1e-4)
        assert found["bytes"] > 100_000 and 0 < found["p50_ms"] <= found["p95_ms"]
