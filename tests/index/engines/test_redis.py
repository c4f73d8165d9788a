"""The index on Redis."""

from __future__ import annotations

import struct
import uuid
from dataclasses import replace

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.index.engines.address import Address
from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    CannotEraseError,
    EngineError,
    ForeignIndexError,
    Identity,
    LostRaceError,
    UnreachableEngineError,
)
from facehash.index.engines.connect import connect
from facehash.index.lsh import table_keys
from facehash.vectors import Space, unit_rows
from tests.helpers.servers.redis import RedisServer
from tests.index.engines.conformance import Conformance
from tests.index.engines.content import filled
from tests.index.engines.engine import CODES, Engine, Library, assert_content, nothing, removed

pytestmark = pytest.mark.engines

TABLES, BITS = 32, 14


class Redis(Engine):
    recall = 0.95

    def content(self, index):
        """Return the ids, after comparing all buckets with the keys that are stored for each id."""
        prefix = index._prefix
        with self.server.client() as client:
            epoch = f"{prefix}{client.hget(f'{prefix}index', 'epoch').decode()}:"
            stored = client.hgetall(f"{epoch}keys")
            expected = [{} for _ in range(TABLES)]
            for face, keys in stored.items():
                for table, key in enumerate(struct.unpack(f"<{TABLES}I", keys)):
                    expected[table].setdefault(key, set()).add(face)
            more = set()
            for table, buckets in enumerate(expected):
                found = client.hgetall(f"{epoch}{table}")
                assert {struct.unpack("<I", key)[0] for key in found} == buckets.keys()
                for key, text in found.items():
                    (number,) = struct.unpack("<I", key)
                    ids = [text[i : i + 8] for i in range(0, len(text), 8)]
                    assert len(ids) <= 256
                    if len(ids) == 256:
                        name = f"{epoch}{table}:{number}".encode()
                        ids += client.smembers(name)
                        more.add(name)
                    assert sorted(ids) == sorted(buckets[number])
            assert set(client.scan_iter(f"{epoch}*:*", count=10_000)) <= more
        return dict.fromkeys(struct.unpack("<q", face)[0] for face in stored)

    def traces(self, space, row):
        """Return the row's keys in all tables, as they are stored."""
        return [table_keys(space, TABLES, BITS, 0).keys(row[None]).astype("<u4").tobytes()]

    def tls_errors(self, place):
        secure = replace(self.address(place), scheme="rediss", port=self.server.tls_port)
        certificates = self.server.certificates
        if certificates is None:
            return []
        trusted = {"ssl_ca_certs": str(certificates.authority), "timeout": "3"}
        return [
            replace(secure, options={}),
            replace(secure, options={**trusted, "ssl_ca_certs": str(certificates.other_authority)}),
            replace(secure, options=trusted, port=self.server.port),
        ]


@pytest.fixture(scope="module")
def engine(redis_server):
    return Redis(redis_server)


class TestRedis(Conformance):
    pass


def names(engine, index):
    with engine.server.client() as client:
        return list(client.scan_iter(f"{index._prefix}*"))


def with_configuration(client, **settings):
    for name, value in settings.items():
        client.config_set(name.replace("_", "-"), value)


def test_its_name_and_no_trace_after_drop(engine, place):
    index, _ = filled(place, CODES)
    assert index.server().startswith(("Redis 7.", "Redis 8.", "Valkey "))
    assert names(engine, index)
    index.drop()
    assert names(engine, index) == []
    assert index.generation() == NO_GENERATION
    found = index.search(Library(CODES).fresh_rows(2), 3)
    assert found.generation == NO_GENERATION and found.ids.shape == (2, 0)
    with pytest.raises(LostRaceError):
        index.apply(1, 2, nothing(CODES), removed([1], 2))


def test_messages_end_without_the_words_of_the_client(engine):
    address = Address.parse("redis://127.0.0.1:1/0?timeout=2")
    with pytest.raises(UnreachableEngineError) as caught:
        connect(address, Identity("ab" * 16, CODES, "sface"))
    text = str(caught.value)
    assert text.startswith(f"{address}: ") and text.endswith("Connection refused")


def test_tls(engine, place):
    certificates = engine.server.certificates
    if certificates is None:
        pytest.skip("openssl is not installed: no certificates for servers")
    address = engine.address(place.library, ssl_ca_certs=certificates.authority)
    address = replace(address, scheme="rediss", port=engine.server.tls_port)
    index = connect(address, place.identity(CODES))
    assert index.generation() == NO_GENERATION
    index.close()


@pytest.mark.parametrize("space", [Space("cosine", 128), Space("euclidean", 128), CODES])
def test_buckets_find_the_nearest(engine, place, space):
    """So few candidates that the index is not read whole; faces in groups around other places."""
    random = np.random.default_rng(8)
    groups = 5 + random.standard_normal((300, space.dimension))
    vectors = np.repeat(groups, 12, axis=0)
    vectors = (vectors + 0.4 * random.standard_normal(vectors.shape)).astype(np.float32)
    library = Library(space)
    rows = vectors if space.metric != "hamming" else np.packbits(vectors > 5, axis=1)
    library.change(add=len(rows), rows=rows)
    index = place.connect(space, candidates=150)
    index.rebuild(NO_GENERATION, 1, library.everything(100))
    assert_content(engine, index, library)
    queries = rows[random.permutation(len(rows))[:100]]
    assert library.recall(index, queries) >= 0.95
    assert index.search(queries, 5).ids.shape[1] <= 150
    assert index.search(queries, 40).ids.shape[1] > 150


def test_a_stored_center_serves_other_connections(engine, place):
    space = Space("euclidean", 24)
    library = Library(space)
    rows = 9 + library.fresh_rows(1200)
    library.change(add=1200, rows=rows)
    index = place.connect(space, candidates=100)
    index.rebuild(NO_GENERATION, 1, library.everything(500))
    other = place.connect(space, candidates=100)
    np.testing.assert_array_equal(index.search(rows[:9], 3).ids, other.search(rows[:9], 3).ids)
    assert library.recall(other, rows[:50], k=1) == 1
    np.testing.assert_allclose(other._load()[1]._center, rows.mean(axis=0), rtol=1e-5)


def test_large_buckets_and_their_removal(engine, place):
    library = Library(CODES, pool=1)
    library.change(add=700)
    index = place.connect(CODES, candidates=300)
    index.rebuild(NO_GENERATION, 1, library.everything(100))
    assert_content(engine, index, library)
    found = index.search(library.queries(2)[:1], 10).ids
    assert found.shape == (1, 300) and set(found[0].tolist()) <= library.rows.keys()
    for _ in range(4):
        index.apply(*library.change(remove=150, update=20, rows=library.fresh_rows(20)))
        assert_content(engine, index, library)
    index.apply(*library.change(remove=len(library.rows)))
    assert_content(engine, index, library)


def test_ids_of_all_sizes(engine, place):
    ids = np.array([0, 1, 255, 2**31, 2**53 + 1, 2**62, 2**63 - 1])
    rows = Library(CODES).fresh_rows(len(ids))
    index = place.connect(CODES)
    index.rebuild(NO_GENERATION, 1, iter([Added(ids, rows, np.ones(len(ids), np.int64))]))
    assert sorted(index.search(rows[:1], 3).ids[0].tolist()) == ids.tolist()
    index.apply(1, 2, nothing(CODES), removed(ids[3:5], 2))
    assert len(index) == 5


def test_other_tables_are_refused_or_replaced(engine, place):
    index, library = filled(place, CODES)
    for option in ({"tables": 8}, {"bits": 10}, {"seed": 1}):
        with pytest.raises(ForeignIndexError, match=f"{next(iter(option))}.*, not ") as caught:
            place.connect(CODES, **option)
        assert caught.value.same_library
    assert_content(engine, place.connect(CODES, probes=3, candidates=7), library)
    other = place.connect(CODES, again=True, tables=8)
    assert other.generation() == NO_GENERATION
    other.rebuild(NO_GENERATION, 1, library.everything())
    # The first connection does not go on with the keys of what was there before.
    for ask in (
        lambda: index.search(library.queries(2), 3),
        lambda: index.apply(1, 2, nothing(CODES), removed([1], 2)),
    ):
        with pytest.raises(ForeignIndexError, match="tables"):
            ask()
    other.drop()


def test_one_table_takes_many_faces(place):
    index = place.connect(CODES, tables=1)
    ids = np.arange(1, 10_001)
    rows = np.random.default_rng(0).integers(0, 256, (len(ids), CODES.width), np.uint8)
    index.rebuild(NO_GENERATION, 1, iter([Added(ids, rows, np.ones(len(ids), np.int64))]))
    assert len(index) == len(ids)
    assert ids[7] in index.search(rows[7:8], 3).ids
    index.apply(1, 2, nothing(CODES), removed(ids[:9_000], 2))
    assert len(index) == 1_000
    index.drop()


@pytest.mark.parametrize(
    ("options", "message"),
    [("?table=3", "did you mean 'tables'"), ("?bits=15", "bits must be"), ("?tables=0", "tables"),
     ("faces", "the number of a database"), ("?probes=x", "probes")],
)  # fmt: skip
def test_wrong_addresses(engine, options, message):
    address = Address.parse(f"{engine.server.url}/{options}")
    with pytest.raises(InputError, match=message) as caught:
        connect(address, Identity("ab" * 16, Space("hamming", 14), "sface"))
    assert engine.server.password not in str(caught.value)


def test_a_later_writer_takes_over(engine, place):
    index, library = filled(place, CODES)
    other = place.connect(CODES)
    change = library.change(add=300, update=20)
    # As if the first had stopped after one step.
    epoch, keys = index._load()
    writer = index._begin(epoch, 1, epoch)
    ids, rows = change[2].ids[:100], change[2].rows[:100]
    index._step(epoch, writer, 0, keys, ids[:0], ids, rows)
    other.apply(*change)
    with pytest.raises(LostRaceError):
        index._step(epoch, writer, 1, keys, ids[:0], ids, rows ^ 1)
    assert_content(engine, index, library)


def test_steps_that_a_server_has_forgotten_are_noticed(engine, place):
    """A server that comes back without the last second, unnoticed by the client."""
    index, library = filled(place, CODES)
    seen = []

    def batches():
        for batch in library.everything(60):
            seen.append(batch)
            yield batch
            if len(seen) == 1:
                with engine.server.client() as client:
                    epochs = client.hgetall(f"{index._prefix}epochs")
                    name = next(name for name in epochs if name.decode() != index._load()[0])
                    client.hset(f"{index._prefix}epochs", name, epochs[name][:-1] + b"0")

    with pytest.raises(LostRaceError):
        index.rebuild(1, 2, batches())
    assert_content(engine, index, library)


def test_while_memory_is_full_faces_can_be_removed(engine, place):
    index, library = filled(place, CODES)
    with engine.server.client() as client:
        try:
            with_configuration(client, maxmemory="1mb")
            base, to, added, gone = library.change(remove=30)
            index.apply(base, to, added, gone)
            assert_content(engine, index, library)
            change = library.change(add=10, update=10)
            with pytest.raises(EngineError, match="maxmemory") as caught:
                index.apply(*change)
            assert not isinstance(caught.value, UnreachableEngineError)
            assert "\n" not in str(caught.value)
            assert index.generation() == to
            with_configuration(client, maxmemory="0")
            index.apply(*change)
            assert_content(engine, index, library)
        finally:
            with_configuration(client, maxmemory="0")


def test_a_server_that_would_evict_faces_is_refused(engine, place):
    with engine.server.client() as client:
        try:
            with_configuration(client, maxmemory="1gb", maxmemory_policy="allkeys-lru")
            with pytest.raises(EngineError, match="allkeys-lru"):
                place.connect(CODES)
            with_configuration(client, maxmemory_policy="volatile-lru")
            place.connect(CODES)
        finally:
            with_configuration(client, maxmemory="0", maxmemory_policy="noeviction")


def test_an_account_that_may_not_do_everything(engine, place):
    with engine.server.client() as client:
        client.acl_setuser(
            "plain", enabled=True, passwords=["+pw"], keys=["facehash:*"],
            categories=["+@all", "-@admin", "-@dangerous"],
        )  # fmt: skip
    try:
        address = replace(engine.address(place.library), user="plain", password="pw")
        index = connect(address, place.identity(CODES))
        library = Library(CODES)
        library.change(add=5)
        index.rebuild(NO_GENERATION, 1, library.everything())
        assert_content(engine, index, library)
        assert index.server() == "Redis"
        with pytest.raises(CannotEraseError) as caught:
            index.erase()
        assert "\n" not in str(caught.value)
        with pytest.raises(UnreachableEngineError, match="account plain"):
            connect(replace(address, password="other"), place.identity(CODES))
    finally:
        with engine.server.client() as client:
            client.acl_deluser("plain")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({"appendonly": "no", "save": ""}, []), ({"appendonly": "no"}, ["dump.rdb"]), ({}, None)],
    ids=["no files", "snapshots", "log and snapshots"],
)
def test_erasing_ids(settings, kept):
    server = RedisServer(**settings)
    try:
        server.start()
        index = connect(Address.parse(server.url), Identity(uuid.uuid4().hex, CODES, "sface"))
        ids = 2**61 + np.random.default_rng(4).integers(0, 2**60, 40)
        added = Added(ids, Library(CODES).fresh_rows(40), np.ones(40, np.int64))
        index.rebuild(NO_GENERATION, 1, iter([added]))
        if settings.get("save") != "":
            with server.client() as client:
                client.save()
        index.apply(1, 2, nothing(CODES), removed(ids[:30], 2))
        assert index.erase() == ""
        traces = [face.astype("<i8").tobytes() for face in ids]
        found = server.files_with(traces[30:])
        assert found if kept is None else found == kept
        assert server.files_with(traces[:30]) == []
        index.close()
    finally:
        server.close()


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("space", [Space("hamming", 64), Space("cosine", 128)])
def test_the_stated_recall_of_a_hundred_thousand(engine, place, space):
    """Random codes, and vectors in groups of ten at a cosine of 0.6: both are hard for LSH."""
    random = np.random.default_rng(0)
    library = Library(space)
    if space.metric == "hamming":
        rows, queries = library.fresh_rows(100_000), library.fresh_rows(50)
    else:
        groups = random.standard_normal((10_000, 128))
        labels = random.integers(0, 10_000, 100_050)
        noise = 0.8 * random.standard_normal((100_050, 128))
        rows = unit_rows((groups[labels] + noise).astype(np.float32))
        rows, queries = rows[:-50], rows[-50:]
    library.change(add=len(rows), rows=rows)
    index = place.connect(space, timeout=60)
    index.rebuild(NO_GENERATION, 1, library.everything(5_000))
    recall = library.recall(index, queries)
    print(f"\n{space}: Recall@10 {recall:.4f}, {index.bytes() / 1e6:.1f} MB")
    assert recall >= 0.95
    assert index.search(queries, 10).ids.shape[1] <= 10_000
