"""Engines beside the exact index: what they find, whatever they lack, and how it is shown."""

import json

import numpy as np
import pytest

from facehash.bench.run import Plan, bench
from facehash.bench.table import format_bench
from facehash.library.derived.engines import push
from facehash.library.storage import engines as registry
from facehash.library.storage.database import LibraryError
from facehash.library.storage.engines import Engine
from facehash.library.storage.store import Store
from tests.helpers.servers import memory as memory_engine
from tests.library import fakes

PLAN = Plan(hashers=(), draws=0, rerank=0, near_duplicate=2, engines=["office"])


@pytest.fixture
def server(monkeypatch):
    return memory_engine.install(monkeypatch)["one"]


@pytest.fixture
def store(photos, index, directory, server):
    """A library of seven faces, two of them without a name, and an engine that has them."""
    index(names="folders")
    with Store.open(directory) as store:
        registry.register(store, Engine("office", "memory://one", "embedding"))
        push(store, "office", progress=False)
        yield store


def run(store):
    return bench(store, PLAN, fakes.make_pipeline, progress=False)


def test_an_engine_that_proposes_all_faces_equals_the_exact_index(store, server):
    result = run(store)
    [engine] = result["engines"]
    assert {key: engine[key] for key in ("name", "server", "by", "faces", "behind", "queries")} == {
        "name": "office",
        "server": "Memory 1.0",
        "by": "embedding",
        "faces": 7,
        "behind": 0,
        "queries": 4,
    }
    assert engine["bytes"] == 7 * 12 * 4
    assert engine["recall@10"] == 1
    assert engine["P@1"] == engine["exact_P@1"] == result["methods"][0]["P@1"]
    for prefix in ("", "exact_"):
        assert 0 < engine[f"{prefix}p50_ms"] <= engine[f"{prefix}p95_ms"]
    assert "memory://" not in json.dumps(result)
    assert "engines" not in result["plan"]
    lines = format_bench(result).splitlines()
    [line] = [line for line in lines if line.startswith("office (Memory 1.0)")]
    assert line.split()[3:8] == ["embedding", "7", "0", "0.0", "1.0000"]


def test_faces_that_an_engine_does_not_propose_are_missing_from_the_recall(
    store, server, monkeypatch
):
    search = memory_engine.MemoryIndex.search

    def worse(self, queries, k):
        found = search(self, queries, k)
        ids = np.full_like(found.ids, -1)
        ids[:, :3] = found.ids[:, :3]  # the face itself, and two of its six neighbors
        return found._replace(ids=ids)

    monkeypatch.setattr(memory_engine.MemoryIndex, "search", worse)
    [engine] = run(store)["engines"]
    assert engine["recall@10"] == pytest.approx(2 / 6)


def test_a_late_engine_finds_everything_and_its_lag_is_shown(store, server):
    store.database.run("UPDATE faces SET embedding = embedding WHERE id <= 2")
    server.rows.pop(1)
    [engine] = run(store)["engines"]
    assert engine["recall@10"] == 1
    assert engine["behind"] >= 1


def test_an_engine_that_is_down_or_was_never_filled_is_skipped_with_the_reason(
    store, server, caplog
):
    registry.register(store, Engine("empty", "memory://two", "embedding"))
    server.down = True
    plan = Plan(hashers=(), draws=0, rerank=0, near_duplicate=2, engines=["office", "empty"])
    result = bench(store, plan, fakes.make_pipeline, progress=False)
    assert result["engines"] == []
    assert [reason.split(":")[0] for reason in result["skipped"]] == [
        "engine office",
        "engine empty",
    ]
    assert "connection refused" in caplog.text
    assert "facehash engine push empty --library" in caplog.text
    assert "not measured: engine office" in format_bench(result)


def test_an_unknown_engine_is_refused_at_once(store):
    plan = Plan(engines=["ofice"])
    with pytest.raises(LibraryError, match="office"):
        bench(store, plan, fakes.make_pipeline, progress=False)
