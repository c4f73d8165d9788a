"""A search with candidates from a server finds what the exact index finds, however late it is."""

import numpy as np
import pytest

from facehash.index.engines.base import UnreachableEngineError
from facehash.library.derived import engines
from facehash.library.derived.codes import encode, fit_codes, read_hasher
from facehash.library.query import library as querying
from facehash.library.query import remote
from facehash.library.query.library import open_library
from facehash.library.storage import engines as registry
from facehash.library.storage.database import LibraryError
from facehash.library.storage.engines import Engine
from facehash.library.storage.settings import write_settings
from facehash.library.storage.store import Store
from tests.helpers.servers import memory as memory_engine
from tests.library.random_rows import DIMENSION, add, change, column, content, remove, settings

FULL = pytest.mark.full
KINDS = {
    "cosine": ({"metric": "cosine"}, "embedding", None),
    "euclidean": ({"metric": "euclidean"}, "embedding", None),
    "codes of a network": ({"metric": "hamming"}, "code", None),
    "codes": ({"codes": "lsh:12"}, "code", "hamming"),
    "asymmetric": ({"codes": "lsh:12"}, "code", "asymmetric"),
}


@pytest.fixture
def server(monkeypatch):
    return memory_engine.install(monkeypatch)["one"]


def make(directory, kind, faces=30):
    """Make a library with an engine that has all its faces."""
    options, by, _ = KINDS[kind]
    with Store.create(directory) as store:
        write_settings(store.database, settings(**options))
        add(store, faces)
        fit_codes(store, settings(**options))
        registry.register(store, Engine("memory", "memory://one", by))
        push(store)


def push(store):
    return engines.push(store, "memory", progress=False)


def complete(store):
    """Give new and changed faces their codes, as `facehash index` does."""
    found = settings(codes="lsh:12")
    hasher = read_hasher(store.database, found)
    if hasher is None or column(store) == "code":
        return
    for face, vector in content(store).items():
        [code] = encode(hasher, np.frombuffer(vector, "<f4")[None], found)
        store.database.run(
            "UPDATE faces SET code = ?1 WHERE id = ?2 AND code IS NOT ?1", (code.tobytes(), face)
        )


def found(opened, queries, k, **options):
    return [
        [(hit.face_id, hit.distance) for hit in result.hits]
        for result in opened.search_vectors(queries, k, **options)
    ]


def queries_of(kind, count, rng):
    if kind == "codes of a network":
        return rng.integers(0, 256, (count, 1), dtype=np.uint8)
    return np.concatenate(
        [rng.normal(size=(count, DIMENSION)), np.ones((1, DIMENSION))], dtype=np.float32
    )


def check_equal(directory, kind, rng, k=5):
    _, by, distance = KINDS[kind]
    queries = queries_of(kind, 4, rng)
    with (
        open_library(directory, engine="memory", distance=distance) as remotely,
        open_library(directory, by=by, distance=distance) as locally,
    ):
        assert remotely.metric == locally.metric
        assert len(remotely) == len(locally)
        assert found(remotely, queries, k) == found(locally, queries, k)
        assert found(remotely, queries, k, max_distance=2) == found(
            locally, queries, k, max_distance=2
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=FULL), pytest.param(2, marks=FULL)])
def test_results_equal_the_exact_index_however_late_the_engine_is(
    tmp_path, server, monkeypatch, caplog, kind, seed
):
    monkeypatch.setattr(remote, "_SPARE", 0)
    monkeypatch.setattr(remote, "_ASYMMETRIC_LEAST", 200)
    rng = np.random.default_rng([seed, len(kind)])
    make(tmp_path / "lib", kind)
    with Store.open(tmp_path / "lib") as store:
        for _ in range(12):
            ids = list(content(store))
            action = rng.integers(5)
            if action == 0:
                add(store, int(rng.integers(1, 8)))
            elif action == 1:
                for face in rng.choice(ids, min(4, len(ids)), replace=False).tolist():
                    change(store, face)
            elif action == 2:
                for face in rng.choice(ids, min(5, len(ids)), replace=False).tolist():
                    remove(store, face)
            elif action == 3:
                server.dies_after = int(rng.integers(4))
                try:
                    push(store)
                except UnreachableEngineError:
                    pass
                server.down, server.dies_after = False, None
            complete(store)
            check_equal(tmp_path / "lib", kind, rng, k=int(rng.integers(1, 9)))
        push(store)
    check_equal(tmp_path / "lib", kind, rng, k=100)
    assert not caplog.records  # the engine was asked each time


def test_the_nearest_faces_are_found_after_more_changes_than_were_known(tmp_path, server):
    """The generation of the server goes back, so that the first number of candidates is too low."""
    make(tmp_path / "lib", "cosine")
    before = dict(server.rows), server.generation
    rng = np.random.default_rng(0)
    with Store.open(tmp_path / "lib") as store:
        for face in range(1, 21):
            change(store, face)
        # The outbox must keep what it has: another engine still needs it.
        registry.register(store, Engine("other", "memory://two", "embedding"))
        push(store)
        registry.begin_push(store.database, "memory", before[1])
        server.rows, server.generation = before
    check_equal(tmp_path / "lib", "cosine", rng)
    assert len(server.asked) >= 2 and server.asked[1] >= server.asked[0] + 20


def test_new_faces_do_not_increase_the_number_of_candidates(tmp_path, server):
    make(tmp_path / "lib", "cosine")
    with Store.open(tmp_path / "lib") as store:
        add(store, 50)
        remove(store, 3)
        change(store, 40)  # new, and changed again
    check_equal(tmp_path / "lib", "cosine", np.random.default_rng(0))
    assert set(server.asked) == {5 + remote._SPARE + 1}


def test_a_push_between_the_answer_and_its_use_costs_a_second_question(
    tmp_path, server, monkeypatch, caplog
):
    make(tmp_path / "lib", "cosine")
    real = memory_engine.MemoryIndex.search
    with Store.open(tmp_path / "lib") as store:
        change(store, 1)

        def search(index, *args):
            answer = real(index, *args)
            push(store)  # prunes the outbox
            return answer

        monkeypatch.setattr(memory_engine.MemoryIndex, "search", search)
        check_equal(tmp_path / "lib", "cosine", np.random.default_rng(0))
    assert len(server.asked) == 3 and not caplog.records


def prepare_unreachable(store, server):
    server.down = True
    return "connection refused"


def prepare_foreign(store, server):
    server.identity = engines.identity_of(store, "embedding").__class__("0" * 32, None, "other")
    return "the index of another library"


def prepare_far_behind(store, server):
    for _ in range(3):
        add(store, 1)
    return "its index lacks 3 changes (facehash engine push memory --library "


def prepare_of_a_copy(store, server):
    server.generation -= 1
    return "its index does not follow from this library (facehash engine push memory --library "


def prepare_never_filled(store, server):
    server.generation = -1
    return "its index was never filled"


@pytest.mark.parametrize(
    "prepare",
    [
        prepare_unreachable,
        prepare_foreign,
        prepare_far_behind,
        prepare_of_a_copy,
        prepare_never_filled,
    ],
)
def test_without_a_usable_engine_the_local_index_is_searched_with_one_warning(
    tmp_path, server, monkeypatch, caplog, prepare
):
    monkeypatch.setattr(remote, "MOST_CHANGED", 2)
    make(tmp_path / "lib", "cosine")
    with Store.open(tmp_path / "lib") as store:
        message = prepare(store, server)
    queries = queries_of("cosine", 3, np.random.default_rng(0))
    with (
        open_library(tmp_path / "lib", engine="memory") as remotely,
        open_library(tmp_path / "lib") as locally,
    ):
        for _ in range(2):
            assert found(remotely, queries, 5) == found(locally, queries, 5)
    [record] = caplog.records
    assert record.getMessage().startswith("engine memory: ") and message in record.getMessage()
    assert record.getMessage().endswith("; the local index is searched instead")


def test_an_engine_that_is_back_is_asked_again(tmp_path, server, monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(remote.time, "monotonic", lambda: now[0])
    make(tmp_path / "lib", "cosine")
    queries = queries_of("cosine", 3, np.random.default_rng(0))
    with open_library(tmp_path / "lib", engine="memory") as opened:
        for now[0], server.down, asked, warnings in (
            (1000, False, 1, 0),
            (1001, True, 1, 1),
            (1002, False, 1, 1),  # not yet
            (1040, False, 2, 1),
            (1041, True, 2, 2),
        ):
            found(opened, queries, 2)
            assert (len(server.asked), len(caplog.records)) == (asked, warnings)


def test_a_connection_that_was_cut_is_made_again(tmp_path, server, caplog):
    make(tmp_path / "lib", "cosine")
    queries = queries_of("cosine", 3, np.random.default_rng(0))
    with open_library(tmp_path / "lib", engine="memory") as opened:
        found(opened, queries, 2)
        server.epoch += 1  # restarted
        found(opened, queries, 2)
    assert len(server.asked) == 2 and not caplog.records


def test_the_arrays_of_the_local_index_are_not_read(tmp_path, server, monkeypatch):
    make(tmp_path / "lib", "asymmetric")
    monkeypatch.setattr(querying, "open_parts", None)
    with open_library(tmp_path / "lib", engine="memory") as opened:
        queries = queries_of("asymmetric", 2, np.random.default_rng(0))
        assert len(opened) == 30 and len(found(opened, queries, 3)[0]) == 3


def test_candidates_for_the_asymmetric_distance_are_many_more(tmp_path, server):
    make(tmp_path / "lib", "asymmetric")
    with open_library(tmp_path / "lib", engine="memory") as opened:
        for k in (10, 100, 1000, 9000):
            found(opened, queries_of("asymmetric", 2, np.random.default_rng(0)), k)
    assert [k - remote._SPARE for k in server.asked] == [2000, 5000, 8000, 9000]


def test_an_engine_decides_what_is_compared(tmp_path, server):
    make(tmp_path / "lib", "codes")
    with pytest.raises(LibraryError, match="the engine memory compares by code, not by embedding"):
        open_library(tmp_path / "lib", by="embedding", engine="memory")
    with pytest.raises(LibraryError, match="has no engine 'memroy' .did you mean 'memory'"):
        open_library(tmp_path / "lib", engine="memroy")
