"""The index on Elasticsearch, against a real server."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facehash.index.engines.base import (
    NO_GENERATION,
    EngineError,
    ForeignIndexError,
    LostRaceError,
    UnreachableEngineError,
)
from facehash.index.engines.connect import connect
from facehash.vectors import unit_rows
from tests.helpers.servers.elasticsearch import LIMITED_ACCOUNT
from tests.index.engines.conformance import Conformance
from tests.index.engines.content import filled
from tests.index.engines.engine import (
    CODES,
    VECTORS,
    Engine,
    Library,
    assert_content,
    removed,
)

pytestmark = pytest.mark.engines

# Named, not imported: these tests are collected where its client is not installed.
SERVER = "facehash.index.engines.elasticsearch_server.Server"


class ElasticsearchEngine(Engine):
    """Reads all documents of an index by their names in the alias."""

    many_libraries = False

    def address(self, place, port=None, **options):
        return replace(super().address(place, port, **options), path=f"faces-{place}")

    def content(self, index):
        client = self.server.client()
        name = index._name
        if not client.indices.exists_alias(name=name):
            return {}
        found = client.search(
            index=name, query={"exists": {"field": "face"}}, docvalue_fields=["vector"], size=10_000
        )
        content = {}
        for hit in found["hits"]["hits"]:
            vector = np.array(hit["fields"]["vector"]).reshape(-1)
            if index._identity.space.metric == "hamming":
                vector = vector.astype(np.int8).view(np.uint8)
            content[int(hit["_id"])] = vector.astype(index._identity.space.dtype)
        client.close()
        return content

    def traces(self, space, row):
        if space.metric == "hamming":
            return [row.tobytes(), row.tobytes().hex().encode()]
        if space.metric == "cosine":
            row = unit_rows(row[None])[0]
        return [row.astype("<f4").tobytes()]

    def wrong_passwords(self, place):
        address = self.address(place)
        return [
            replace(address, password="not the s3cret"),
            replace(address, user="api_key", password="not the s3cret"),
        ]

    def tls_errors(self, place):
        return [replace(self.address(place), scheme="elasticsearch+https")]


@pytest.fixture(scope="module")
def engine(elasticsearch_server):
    return ElasticsearchEngine(elasticsearch_server)


class TestElasticsearch(Conformance):
    pass


def indices(engine, place):
    client = engine.server.client()
    try:
        return sorted(client.indices.get(index=f"faces-{place.library}*"))
    finally:
        client.close()


def test_vectors_of_length_zero_are_always_candidates(engine, place):
    library = Library(VECTORS)
    rows = library.fresh_rows(60)
    rows[::20] = 0
    library.change(add=60, rows=rows)
    index = place.connect(VECTORS)
    index.rebuild(NO_GENERATION, 1, library.everything())
    zeros = [1, 21, 41]
    assert all(set(zeros) <= set(found) for found in index.search(library.queries(4), 5).ids)
    nothing = np.zeros((1, 32), np.float32)
    assert index.search(nothing, 4).ids.tolist()[0][:4] == [1, 2, 3, 4]
    index.erase()
    assert len(index) == 60
    assert all(set(zeros) <= set(found) for found in index.search(library.queries(4), 5).ids)


def test_a_full_disk_is_an_error_until_there_is_space(engine, place):
    index, library = filled(place, CODES)
    before = library.queries(10)
    client = engine.server.client()
    name = f"faces-{place.library}"
    client.indices.put_settings(index=name, settings={"index.blocks.read_only_allow_delete": True})
    change = library.change(add=3)
    with pytest.raises(EngineError) as caught:
        index.apply(*change)
    assert "disk is full" in str(caught.value)
    assert not isinstance(caught.value, UnreachableEngineError)
    with pytest.raises(EngineError, match="disk is full"):
        index.rebuild(1, 2, library.everything())
    assert (index.search(before, 5).ids >= 0).all()
    client.indices.put_settings(index=name, settings={"index.blocks.read_only_allow_delete": None})
    client.close()
    index.apply(*change)
    assert_content(engine, index, library)


@pytest.mark.parametrize("again", [False, True])
def test_an_index_of_another_program_is_not_touched(engine, place, again):
    client = engine.server.client()
    name = f"faces-{place.library}"
    client.index(index=name, id="1", document={"name": "Ann"}, refresh=True)
    try:
        with pytest.raises(ForeignIndexError) as caught:
            place.connect(CODES, again=again)
        assert not caught.value.same_library
        suggested = f"127.0.0.1:{engine.server.port}/face_recognition-{place.library[:8]}"
        assert suggested in str(caught.value)
        assert client.count(index=name)["count"] == 1
    finally:
        client.indices.delete(index=name)
        client.close()


def test_a_rebuild_that_broke_off_before_the_alias_changed(engine, place, monkeypatch):
    index, library = filled(place, CODES)
    reader = place.connect(CODES)
    new = Library(CODES, seed=3)
    new.change(add=50)
    new.generation = 5

    def break_off(*_):
        raise UnreachableEngineError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(f"{SERVER}.move_alias", break_off)
        with pytest.raises(UnreachableEngineError):
            index.rebuild(1, 5, new.everything())
        assert reader.generation() == 5
        assert new.recall(reader, new.queries()) >= engine.recall
    assert len(indices(engine, place)) == 2
    assert_content(engine, place.connect(CODES), new)
    assert len(indices(engine, place)) == 1
    reader.apply(*new.change(add=2))
    assert_content(engine, index, new)


def test_of_two_rebuilds_the_second_wins(engine, place):
    index, library = filled(place, CODES)
    other = place.connect(CODES)
    new = Library(CODES, seed=3)
    new.change(add=50)
    new.generation = 5

    def batches():
        yield from Library(CODES, seed=4).everything()
        other.rebuild(1, 5, new.everything())
        yield from library.everything()

    with pytest.raises(LostRaceError):
        index.rebuild(1, 2, batches())
    assert_content(engine, index, new)
    assert len(indices(engine, place)) == 1


def test_a_slow_writer_replaces_nothing_newer(engine, place):
    index, library = filled(place, CODES)
    old = library.change(update=20, remove=5)
    library.change(update=30, remove=30)
    now = [face for face in library.rows if library.changed[face] == 3]
    added = library._added(now)
    gone = [face for face in range(1, 121) if face not in library.rows]
    index.apply(1, 3, added, removed(gone, 3))
    _, _, late, late_gone = old
    keep = np.isin(late.ids, now + gone)
    assert keep.any()
    late = type(late)(late.ids[keep], late.rows[keep], late.generations[keep])
    index.apply(3, 4, late, late_gone)
    library.generation = 4
    content = engine.content(index)
    assert content.keys() == library.rows.keys()
    for face in now:
        np.testing.assert_array_equal(content[face], library.rows[face])


def test_more_candidates_than_the_server_answers(engine, place):
    index, library = filled(place, CODES, faces=60)
    found = index.search(library.queries(2), 50_000).ids
    assert all(set(one[one >= 0]) == library.rows.keys() for one in found)


def test_documents_without_vectors_stop_an_erasure(engine, place):
    index, library = filled(place, CODES)
    client = engine.server.client()
    name = f"faces-{place.library}"
    client.index(index=name, id="777", document={"face": 777, "changed": 1}, refresh=True)
    with pytest.raises(EngineError, match="face 777 has no vector"):
        index.erase()
    client.delete(index=name, id="777", refresh=True)
    client.close()
    assert_content(engine, index, library)
    assert len(indices(engine, place)) == 1


@pytest.mark.parametrize("space", [CODES, VECTORS], ids=["codes", "vectors"])
@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_both_kinds_of_search(engine, place, kind, space):
    library = Library(space, pool=300)
    library.change(add=400)
    index = place.connect(space, index=kind)
    index.rebuild(NO_GENERATION, 1, library.everything())
    assert library.recall(index, library.queries(40)) >= (1 if kind == "exact" else 0.98)
    client = engine.server.client()
    (mapping,) = client.indices.get_mapping(index=f"faces-{place.library}").body.values()
    client.close()
    used = mapping["mappings"]["properties"]["vector"]["index_options"]["type"]
    assert used == {"exact": "flat", "hnsw": "hnsw"}[kind]


def test_a_server_that_is_too_old(engine, place, monkeypatch):
    monkeypatch.setattr(f"{SERVER}.version", lambda _: "8.14.3")
    with pytest.raises(EngineError, match="8.14.3 is too old, 8.15"):
        place.connect(CODES)


def test_an_erasure_names_the_places_of_snapshots(engine, place, monkeypatch):
    index, library = filled(place, CODES, faces=10)
    assert index.erase() == ""
    monkeypatch.setattr(f"{SERVER}.repositories", lambda _: ["nightly"])
    assert index.erase().endswith("until they are deleted (repositories: nightly)")
    monkeypatch.setattr(f"{SERVER}.repositories", lambda _: None)
    assert "snapshots" in index.erase()
    assert_content(engine, index, library)


def test_an_account_with_few_privileges(engine, place):
    address = replace(engine.address(place.library), user=LIMITED_ACCOUNT)
    library = Library(CODES)
    library.change(add=20)
    index = connect(address, place.identity(CODES))
    index.rebuild(NO_GENERATION, 1, library.everything())
    index.apply(*library.change(add=2, remove=2))
    assert "snapshots" in index.erase()  # which it may not see
    assert_content(engine, index, library)
    index.drop()
    index.close()
    with pytest.raises(EngineError) as caught:
        connect(replace(address, path="others"), place.identity(CODES))
    assert "may not do this" in str(caught.value) and "\n" not in str(caught.value)
