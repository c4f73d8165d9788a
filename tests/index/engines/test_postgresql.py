from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.index.engines.base import (
    NO_GENERATION,
    EngineError,
    ForeignIndexError,
    UnreachableEngineError,
)
from facehash.index.engines.connect import connect
from facehash.vectors import Space, unit_rows
from tests.helpers.servers.certificates import Certificates
from tests.helpers.servers.postgresql import (
    DATABASE,
    WITHOUT_EXTENSION,
    PostgreSQLTLSProxy,
)
from tests.index.engines.conformance import Conformance
from tests.index.engines.content import filled
from tests.index.engines.engine import (
    CODES,
    SPACES,
    VECTORS,
    Engine,
    Library,
    assert_content,
)

pytestmark = pytest.mark.engines


class PostgreSQL(Engine):
    log_folders = ("pg_wal",)
    options = {}
    database = DATABASE

    def address(self, place, port=None, **options):
        address = super().address(place, port, **{**self.options, **options})
        return replace(address, path=self.database)

    def content(self, index):
        schema, tables = index._schema, index._tables
        with self.server.administrator(self.database) as connection:
            number, staging = connection.execute(
                f"SELECT content, staging FROM {schema}.meta"
            ).fetchone()
            found = connection.execute(
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = %s",
                (schema,),
            )
            known = {f"{schema}.meta", *tables.names(number)}
            if staging is not None:  # a rebuild that was broken off; the next one deletes them
                known |= set(tables.names(staging))
            assert {name for (name,) in found} <= known, "tables that nobody needs"
            if tables.space.metric != "hamming":
                rows = connection.execute(f"SELECT face, row::text FROM {schema}.vectors_{number}")
                return {
                    face: np.array(text.strip("[]").split(","), np.float32)[
                        : tables.space.dimension
                    ]
                    for face, text in rows
                }
            rows = connection.execute(
                f"SELECT face, c.code::text FROM {schema}.faces_{number} AS f "
                f"JOIN {schema}.codes_{number} AS c ON c.id = f.code"
            ).fetchall()
            distinct = connection.execute(f"SELECT count(*) FROM {schema}.codes_{number}")
            assert distinct.fetchone()[0] == len({text for _, text in rows})
        return {
            face: np.packbits(np.array(list(text), np.uint8), bitorder="little")
            for face, text in rows
        }

    def traces(self, space, row):
        if space.metric == "hamming":
            bits = np.unpackbits(row, bitorder="little")
            text = "".join(map(str, bits)).encode()
            return [row.tobytes(), np.packbits(bits).tobytes(), text]
        unit = unit_rows(row[None])[0]
        halves = [one.astype(f"{order}f2").tobytes()[:32] for one in (row, unit) for order in "<>"]
        return [row.tobytes(), unit.tobytes(), *halves]

    def tls_errors(self, place):
        return [self.address(place, sslmode="require")]


class Exact(PostgreSQL):
    options = {"index": "exact"}


class Plain(PostgreSQL):
    spaces = [space for space in SPACES if space.metric == "hamming"]
    database = WITHOUT_EXTENSION


class TestPostgreSQL(Conformance):
    @pytest.fixture
    def engine(self, postgresql_server):
        return PostgreSQL(postgresql_server)


class TestExactScan(Conformance):
    @pytest.fixture
    def engine(self, postgresql_server):
        return Exact(postgresql_server)


class TestWithoutPgvector(Conformance):
    @pytest.fixture
    def engine(self, postgresql_server):
        return Plain(postgresql_server)


@pytest.fixture
def engine(postgresql_server):
    return PostgreSQL(postgresql_server)


def test_vectors_need_pgvector(postgresql_server, place):
    address = Plain(postgresql_server).address(place.library)
    with pytest.raises(EngineError, match="vectors need pgvector .* CREATE EXTENSION vector"):
        connect(address, place.identity(VECTORS))
    with pytest.raises(EngineError, match="no HNSW here"):
        connect(replace(address, options={"index": "hnsw"}), place.identity(CODES))


def test_the_server_says_how_it_searches(postgresql_server, place):
    assert place.connect(CODES).server().startswith("PostgreSQL 18.")
    assert ", pgvector 0.8." in place.connect(CODES).server()
    assert place.connect(CODES, index="exact").server().endswith(", exact scan")
    plain = connect(Plain(postgresql_server).address(place.library), place.identity(CODES))
    with contextlib.closing(plain):
        assert "pgvector" not in plain.server()
        assert plain.server().endswith(", exact scan")
        plain.drop()


def test_an_account_that_may_makes_the_extension(postgresql_server, place):
    with postgresql_server.administrator("postgres") as connection:
        connection.execute("CREATE DATABASE empty")
    try:
        folder = str(postgresql_server.folder)
        address = replace(
            place.engine.address(place.library), path="empty", host=folder, user="admin"
        )
        index = connect(address, place.identity(VECTORS))
        assert "pgvector" in index.server()
        index.close()
    finally:
        with postgresql_server.administrator("postgres") as connection:
            connection.execute("DROP DATABASE empty WITH (FORCE)")


def test_the_graph_is_used(postgresql_server, place):
    for space in (CODES, VECTORS):
        library = Library(space, pool=3_000)
        library.change(add=4_000)
        index = place.connect(space, again=True)
        index.rebuild(NO_GENERATION, 1, library.everything(1_000))
        tables = index._tables
        for exact in (False, True):
            query = tables.candidates(index._until_found(index._state)[1], 20, exact)
            with postgresql_server.administrator() as connection:
                plan = connection.execute(
                    f"EXPLAIN {query}", (tables.texts(library.queries(2)),)
                ).fetchall()
            first_table = tables.names(0)[0].split(".")[1].rstrip("0")
            scanned = [line for (line,) in plan if f"on {first_table}" in line]
            assert ("Index Scan" in scanned[0]) != exact, scanned
        assert library.recall(index, library.queries()) >= 0.95


def test_faces_of_equal_codes_come_in_the_order_of_their_ids(place):
    index, library = filled(place, CODES, faces=0)
    row = library.fresh_rows(1)
    index.apply(*library.change(add=500, rows=np.repeat(row, 500, axis=0)))
    assert index.search(row, 7).ids.tolist() == [[1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize("index", ["hnsw", "exact"])
def test_a_vector_of_length_0_is_perpendicular(place, index):
    rows = np.zeros((4, 32), np.float32)
    rows[0, 0], rows[1, 0], rows[3, 1] = 1, -1, 5
    library = Library(VECTORS)
    library.change(add=4, rows=rows)
    remote = place.connect(VECTORS, index=index)
    remote.rebuild(NO_GENERATION, 1, library.everything())
    found = remote.search(rows[:1], 4).ids[0].tolist()
    assert found[0] == 1
    assert found[3] == 2
    assert sorted(found[1:3]) == [3, 4]
    assert set(remote.search(rows[2:3], 4).ids[0].tolist()) == {1, 2, 3, 4}


def test_vectors_that_half_precision_cannot_hold(place):
    space = Space("euclidean", 3)
    index = place.connect(space)
    library = Library(space)
    change = library.change(add=1, rows=np.array([[1e6, 0, 0]], np.float32))
    index.rebuild(NO_GENERATION, 0, iter(()))
    with pytest.raises(EngineError, match="up to 65,504 in half precision"):
        index.apply(*change)
    assert index.generation() == 0


def test_many_dimensions(place):
    space = Space("euclidean", 5_000)
    library = Library(space)
    library.change(add=30)
    index = place.connect(space)
    assert index.server().endswith("exact scan")
    index.rebuild(NO_GENERATION, 1, library.everything())
    assert library.recall(index, library.queries()) == 1
    with pytest.raises(EngineError, match="at most 16000 dimensions"):
        place.connect(Space("euclidean", 16_001), made_by="dlib", again=True)


def test_statistics_hold_no_rows(postgresql_server, place):
    index, _ = filled(place, CODES)
    with postgresql_server.administrator() as connection:
        connection.execute("ANALYZE")
        columns = connection.execute(
            "SELECT tablename, attname FROM pg_stats WHERE schemaname = %s AND tablename <> 'meta'",
            (index._schema,),
        ).fetchall()
    # The codes of faces are numbers, in another table than the codes.
    assert ("faces_2", "code") in columns
    assert all(name in ("id", "face") or table == "faces_2" for table, name in columns)


def test_a_full_disk(postgresql_server, place):
    """The disk is a small one in memory, which takes root."""
    index, library = filled(place, CODES)
    with postgresql_server.small_disk():
        big = Library(CODES)
        big.change(add=60_000, rows=big.fresh_rows(60_000))
        full = place.connect(CODES)
        with pytest.raises(EngineError, match="No space left on device") as caught:
            full.rebuild(1, 2, big.everything(10_000))
        assert not isinstance(caught.value, UnreachableEngineError)
        assert "\n" not in str(caught.value)
        assert_content(place.engine, full, library)
        full.close()
    assert_content(place.engine, index, library)


def test_a_change_may_take_longer_than_a_search(place):
    index, library = filled(place, CODES, timeout=1)

    def batches():
        time.sleep(2.5)
        yield from library.everything()

    index.rebuild(1, 1, batches())
    assert_content(place.engine, index, library)


def test_a_server_that_stops_during_a_change(place):
    index, library = filled(place, CODES, timeout=1)

    def batches():
        yield from library.everything()
        paused.enter_context(place.engine.server.paused())
        yield from Library(CODES, seed=4).everything()

    with contextlib.ExitStack() as paused:
        start = time.monotonic()
        with pytest.raises(UnreachableEngineError, match="no answer within 1 second"):
            index.rebuild(1, 2, batches())
        assert time.monotonic() - start < 8
    assert_content(place.engine, place.connect(CODES), library)


def test_a_search_that_takes_too_long_is_ended_on_the_server(postgresql_server, place):
    index, library = filled(place, CODES, timeout=1)
    with postgresql_server.administrator() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {index._tables.names(2)[0]}")
        with pytest.raises(UnreachableEngineError, match="no answer within 1 seconds"):
            index.search(library.queries(2), 3)
    assert library.recall(index, library.queries()) == 1


def test_an_account_that_may_not(postgresql_server, place):
    with postgresql_server.administrator() as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'")
    address = replace(place.engine.address(place.library), user="reader", password="reads")
    with pytest.raises(EngineError, match=r"permission denied .*\(for reader\)") as caught:
        connect(address, place.identity(CODES))
    assert not isinstance(caught.value, UnreachableEngineError)


def test_a_deleted_index(place):
    index, library = filled(place, CODES)
    place.connect(CODES).drop()
    with pytest.raises(EngineError) as caught:
        index.search(library.queries(2), 3)
    assert "deleted" in str(caught.value)
    with pytest.raises(EngineError):
        index.generation()


def test_another_identity_meanwhile_is_never_searched(place):
    index, library = filled(place, CODES)
    place.connect(CODES, made_by="dlib", again=True)
    for ask in (
        lambda: index.search(library.queries(2), 3),
        index.generation,
        lambda: index.apply(*library.change(add=1)),
        lambda: len(index),
    ):
        with pytest.raises(ForeignIndexError):
            ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": "lsh"}, "index must be hnsw or exact"),
        ({"sslmod": "require"}, "unknown option 'sslmod' (did you mean 'sslmode'?)"),
        ({"timeout": "soon"}, "timeout must be a number"),
    ],
)
def test_wrong_options(place, options, message):
    address = replace(place.engine.address(place.library), options=options)
    with pytest.raises(InputError) as caught:
        connect(address, place.identity(CODES))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("host", "trusted", "message"),
    [
        ("127.0.0.1", "authority", None),
        ("127.0.0.1", "other_authority", "certificate verify failed"),
        ("db.example", "authority", "certificate"),
    ],
)
def test_encrypted_connections(postgresql_server, place, tmp_path, host, trusted, message):
    certificates = Certificates(tmp_path / "certificates")
    options = {"sslmode": "verify-full", "sslrootcert": getattr(certificates, trusted)}
    with PostgreSQLTLSProxy(postgresql_server.port, certificates.for_host(host)) as proxy:
        if message is None:
            index = place.connect(CODES, port=proxy.port, **options)
            library = Library(CODES)
            library.change(add=30)
            index.rebuild(NO_GENERATION, 1, library.everything())
            assert_content(place.engine, index, library)
            return
        with pytest.raises(UnreachableEngineError, match=message) as caught:
            place.connect(CODES, port=proxy.port, **options)
        assert "\n" not in str(caught.value)


def test_searches_go_on_while_another_erases(place):
    index, library = filled(place, CODES)
    reader = place.connect(CODES)
    done = threading.Event()

    def erase():
        for _ in range(5):
            index.erase()
        done.set()

    eraser = threading.Thread(target=erase)
    eraser.start()
    searches = 0
    while not done.is_set() or not searches:
        assert library.recall(reader, library.queries()) >= 0.99
        searches += 1
    eraser.join()
    assert_content(place.engine, index, library)
