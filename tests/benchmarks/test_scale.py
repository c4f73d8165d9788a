"""The benchmark of large libraries measures what it says, and its committed result has its bars."""

import json

import numpy as np
import pytest

from benchmarks.scale import library as scale
from benchmarks.scale.__main__ import RESULT
from facehash.library.derived.arrays import spaces, verify
from facehash.library.query.library import open_library
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from facehash.vectors import unit_rows
from tools.scale_tables import _duration, engine_scale_table, paper_table, scale_table

FACES = 700


@pytest.fixture
def vectors(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), 3)
    rows = rng.normal(size=(100, 128))[labels] + 0.3 * rng.normal(size=(300, 128))
    np.savez(tmp_path / "v.npz", vectors=unit_rows(rows.astype(np.float32)), labels=labels)
    return tmp_path / "v.npz"


def test_every_step_leaves_a_sound_library(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(scale, "CHUNK", 256)
    directory, found = tmp_path / "lib", {}
    for name, step in scale.STEPS.items():
        found[name] = step(directory, vectors, FACES)
        with Store.open(directory) as store:
            for column, space in spaces(scale.SETTINGS, True).items():
                assert verify(store, column, space), (name, column)
    assert check(directory) == []
    with open_library(directory, by="embedding") as library:
        assert len(library) == FACES + 3 * scale.BATCH - scale.NAMED
    assert found["forget"]["faces"] == scale.NAMED
    built = found["build"]["bytes"]
    assert built["embedding"] == FACES * (128 * 4 + 8) + 2 * 128
    assert built["code"] == FACES * (8 + 8) + 2 * 128


def test_the_committed_result_reaches_its_bars():
    libraries = json.loads(RESULT.read_text(encoding="utf-8"))["libraries"]
    assert {"100000", "500000", "1000000"} <= libraries.keys()
    steps = libraries["1000000"]["steps"]
    assert steps["add"]["seconds"]["index files"] < 2
    assert max(step["peak_mb"] for step in steps.values()) < 4000
    for size, library in libraries.items():
        assert library["steps"].keys() == scale.STEPS.keys()
        assert library["steps"]["build"]["bytes"]["embedding"] > 520 * int(size)
        assert library["engines"].keys() == {"elasticsearch", "postgresql", "redis"}
        for engine in library["engines"].values():
            assert all(engine[side]["recall"] > 0.5 for side in ("vectors", "codes"))


def test_the_tables_have_every_size_and_engine():
    assert scale_table().splitlines()[0].count("faces") == 3
    assert engine_scale_table().count("PostgreSQL") == 6
    assert "520.0 GB | 9 |" in paper_table() and "16.0 GB | 1 |" in paper_table()
    assert [_duration(value) for value in (0.0123, 1.26, 94.6)] == ["12 ms", "1.3 s", "95 s"]
