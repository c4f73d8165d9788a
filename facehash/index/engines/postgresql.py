"""The index on PostgreSQL, with the extension pgvector or without.

Address: ``postgresql://ACCOUNT@HOST:5432/DATABASE``. Options after the question mark:

* ``timeout``: seconds that a search or a connection may take, 10 by default. Changes take as long
  as they need while the server accepts connections.
* ``sslmode`` and ``sslrootcert``: as everywhere in PostgreSQL, for example
  ``sslmode=verify-full&sslrootcert=/etc/ssl/authority.pem``.
* ``index``: ``hnsw``, the default where pgvector is, or ``exact``, which compares with every row.

Every library has a schema of its own, ``facehash_`` and its id. Codes are stored as ``bit``: HNSW
is over the distinct ones. Vectors are stored as ``halfvec``: HNSW up to 4,000 dimensions, an exact
scan above. Without pgvector codes are compared by ``bit_count``, with every one; vectors are
refused. PostgreSQL 14 or newer is needed; pgvector 0.7 or newer.

If the account may create the extension, connecting does so where the server has it installed.

A change is one transaction. A rebuild fills new tables beside the old ones and exchanges them in
one transaction. `PostgreSQLIndex.erase` does the same with the rows that there are, as the old
tables' files are what removed rows are in: searches go on meanwhile, unlike in VACUUM FULL. If
the server is killed while it builds a graph, PostgreSQL keeps the unfinished file for good; nobody
but an administrator of its machine can find and delete that.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from psycopg import errors

from facehash.errors import InputError
from facehash.index.engines.address import Address
from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    Candidates,
    EngineError,
    ForeignIndexError,
    Identity,
    LostRaceError,
    Removed,
)
from facehash.index.engines.postgresql_session import Session
from facehash.index.engines.postgresql_tables import (
    CodeTables,
    Extension,
    Tables,
    VectorTables,
    find_extension,
)
from facehash.vectors import Rows

OPTIONS = {"timeout": "seconds", "sslmode": "TLS", "sslrootcert": "a file", "index": "hnsw, exact"}

_Read = TypeVar("_Read")

_QUERIES_PER_STATEMENT = 16  # so that one keeps to the timeout
_MOST_EFFORT = 1_000  # what the server allows


def connect(address: Address, identity: Identity, *, replace: bool = False) -> "PostgreSQLIndex":
    """Connect to the index of a library, see `facehash.index.engines.connect.connect`."""
    address.check_options(OPTIONS)
    if address.options.get("index", "hnsw") not in ("hnsw", "exact"):
        raise InputError(f"{address}: index must be hnsw or exact")
    session = Session(address)
    try:
        return PostgreSQLIndex(session, identity, replace)
    except BaseException:
        session.close()
        raise


class PostgreSQLIndex:
    """The index of one library; made by `connect`."""

    def __init__(self, session: Session, identity: Identity, replace: bool) -> None:
        """Find the index or make an empty one."""
        self._session = session
        self._address = session.address
        self._exact = self._address.options.get("index") == "exact"
        self._schema = f"facehash_{UUID(identity.library).hex}"
        space = identity.space
        self._identity = f"{space.metric} {space.dimension} {identity.made_by}"
        with session.quick() as connection:
            extension = find_extension(connection)
        self._tables = self._tables_for(identity, extension)
        with session.patient() as connection, connection.transaction():
            self._find_index(connection, replace)

    def server(self) -> str:
        """Return for example ``"PostgreSQL 18.1, pgvector 0.8.1"``, and whether it scans all."""
        version = self._session.version
        name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
        if self._tables.extension is not None:
            name += f", pgvector {self._tables.extension.version}"
        graph = self._tables.graph and not self._exact
        return name if graph else f"{name}, exact scan"

    def generation(self) -> int:
        """Return the generation of all changes that are here, or NO_GENERATION."""
        with self._session.quick() as connection:
            return self._state(connection)[0]

    def apply(self, base: int, to: int, added: Added, removed: Removed) -> None:
        """Make changes in one transaction, see `RemoteIndex.apply`."""
        with self._session.patient() as connection, connection.transaction():
            content, _ = self._lock(connection, base)
            if base == NO_GENERATION:
                raise LostRaceError(f"{self._address}: the index was never filled")
            self._receive(connection, "incoming", [added])
            connection.execute("CREATE TEMPORARY TABLE outgoing (face bigint) ON COMMIT DROP")
            connection.execute(
                "INSERT INTO outgoing SELECT unnest(%s::bigint[])", (removed.ids.tolist(),)
            )
            for statement in self._tables.change(content):
                connection.execute(statement)
            connection.execute(f"UPDATE {self._schema}.meta SET generation = %s", (to,))

    def rebuild(self, base: int, to: int, batches: Iterable[Added]) -> None:
        """Fill new tables and exchange them for the old ones, see `RemoteIndex.rebuild`."""

        def fill(connection: Any, _: int, new: int) -> None:
            self._receive(connection, "incoming", batches)
            for statement in self._tables.fill(new):
                connection.execute(statement)

        self._make_content(base, to, fill)

    def search(self, queries: Rows, k: int) -> Candidates:
        """Find candidates, see `RemoteIndex.search`."""
        texts = self._tables.texts(queries)
        generation = NO_GENERATION
        found: list[list[int]] = []
        for start in range(0, len(texts), _QUERIES_PER_STATEMENT):
            part = texts[start : start + _QUERIES_PER_STATEMENT]
            read, faces = self._search_some(part, k)
            generation = read if not start else min(generation, read)
            found += faces
        if not texts:
            generation = self.generation()
        widest = max(map(len, found), default=0)
        ids = np.full((len(found), max(widest, 1)), -1, np.int64)
        for row, some in zip(ids, found, strict=True):
            row[: len(some)] = some
        return Candidates(ids, generation)

    def __len__(self) -> int:
        """Return the number of faces."""

        def count(connection: Any) -> int:
            faces = self._tables.names(self._state(connection)[1])[-1]
            return int(connection.execute(f"SELECT count(*) FROM {faces}").fetchone()[0])

        return self._until_found(count)

    def bytes(self) -> int:
        """Return the size of the tables and their indexes on the server's disk, in bytes."""
        with self._session.quick() as connection:
            return int(
                connection.execute(
                    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
                    "WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
                    (self._schema,),
                ).fetchone()[0]
            )

    def erase(self) -> str:
        """Copy what there is into new tables and delete the old ones, with their files.

        Returns:
            What the write-ahead log may still hold.
        """

        def fill(connection: Any, old: int, new: int) -> None:
            for statement in self._tables.copy(old, new):
                connection.execute(statement)

        while True:
            generation = self.generation()
            try:
                self._make_content(generation, generation, fill)
            except LostRaceError:
                continue  # the other writer's rows are to be copied, too
            break
        with self._session.patient() as connection:
            limit = connection.execute("SHOW max_wal_size").fetchone()[0]
            # Ends the use of the log's present file, and of the old ones as soon as may be.
            for statement in ("SELECT pg_switch_wal()", "CHECKPOINT"):
                with contextlib.suppress(errors.InsufficientPrivilege):
                    connection.execute(statement)
        return (
            "PostgreSQL's write-ahead log (pg_wal) may hold removed rows until the server has "
            f"overwritten its files, which takes up to {limit} (max_wal_size) of further changes "
            "on that server; log archives, backups and replicas keep their own copies"
        )

    def drop(self) -> None:
        """Delete the library's schema."""
        with self._session.patient() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _tables_for(self, identity: Identity, extension: Extension | None) -> Tables:
        tables: Tables
        if identity.space.metric == "hamming":
            tables = CodeTables(self._schema, identity.space, extension)
        elif extension is None:
            raise EngineError(
                f"{self._address}: vectors need pgvector 0.7 or newer in this database: let an "
                "administrator run CREATE EXTENSION vector, or use codes (facehash search --help)"
            )
        else:
            try:
                tables = VectorTables(self._schema, identity.space, extension)
            except EngineError as error:
                raise EngineError(f"{self._address}: {error}") from None
        if self._exact:
            tables.graph = False
        elif "index" in self._address.options and not tables.graph:
            raise EngineError(
                f"{self._address}: no HNSW here, which needs pgvector and at most 4,000 "
                "dimensions; leave index=hnsw out of the address for an exact scan"
            )
        return tables

    def _find_index(self, connection: Any, replace: bool) -> None:
        """Make the schema and the index if there are none; refuse another identity."""
        meta = f"{self._schema}.meta"
        # Held to the end of the transaction: two that connect must not both make it.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (meta,))
        if connection.execute("SELECT to_regclass(%s)", (meta,)).fetchone()[0] is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            connection.execute(
                f"CREATE TABLE {meta} (identity text NOT NULL, generation bigint NOT NULL, "
                "content bigint NOT NULL, staging bigint)"
            )
        elif self._identity_there(connection) == self._identity:
            return
        elif not replace:
            raise self._foreign(connection)
        names = connection.execute(
            "SELECT quote_ident(relname) FROM pg_class "
            "WHERE relkind = 'r' AND relname <> 'meta' AND relnamespace = %s::regnamespace",
            (self._schema,),
        ).fetchall()
        for (name,) in names:
            connection.execute(f"DROP TABLE {self._schema}.{name}")
        connection.execute(f"DELETE FROM {meta}")
        connection.execute(
            f"INSERT INTO {meta} VALUES (%s, %s, 1, NULL)", (self._identity, NO_GENERATION)
        )
        for statement in (*self._tables.create(1), *self._tables.finish(1)):
            connection.execute(statement)

    def _identity_there(self, connection: Any) -> str:
        row = connection.execute(f"SELECT identity FROM {self._schema}.meta").fetchone()
        return "nothing" if row is None else str(row[0])

    def _foreign(self, connection: Any) -> ForeignIndexError:
        return ForeignIndexError(
            f"{self._address}: the index of this library is of {self._identity_there(connection)}, "
            f"not of {self._identity}",
            same_library=True,
        )

    def _state(self, connection: Any, settings: str = "") -> tuple[int, int]:
        """Return the generation and the number of the content."""
        row = connection.execute(
            f"SELECT generation, content {settings} FROM {self._schema}.meta WHERE identity = %s",
            (self._identity,),
        ).fetchone()
        if row is None:
            raise self._foreign(connection)
        return int(row[0]), int(row[1])

    def _lock(self, connection: Any, base: int) -> tuple[int, int | None]:
        """Keep other writers out to the end of the transaction; return content and staging."""
        row = connection.execute(
            f"SELECT generation, content, staging FROM {self._schema}.meta "
            "WHERE identity = %s FOR UPDATE",
            (self._identity,),
        ).fetchone()
        if row is None:
            raise self._foreign(connection)
        generation, content, staging = row
        if generation != base:
            raise LostRaceError(
                f"{self._address}: another writer was first, the index has generation "
                f"{generation}, not {base}"
            )
        return content, staging

    def _receive(self, connection: Any, table: str, batches: Iterable[Added]) -> None:
        """Make a temporary table of faces and rows."""
        connection.execute(
            f"CREATE TEMPORARY TABLE {table} (face bigint, row {self._tables.row}) ON COMMIT DROP"
        )
        for batch in batches:
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                copy.write(self._tables.copy_data(batch.ids, batch.rows))
        connection.execute(f"ANALYZE {table} (face)")

    def _make_content(self, base: int, to: int, fill: Callable[[Any, int, int], None]) -> None:
        """Make a new content, fill it, and exchange it for the old one.

        Tables are made in a transaction of their own: the files of tables whose transaction a
        crash interrupts would stay on the disk for ever.
        """
        with self._session.patient() as connection:
            with connection.transaction():
                old, staging = self._lock(connection, base)
                new = max(old, staging or 0) + 1
                self._delete(connection, staging)
                for statement in self._tables.create(new):
                    connection.execute(statement)
                connection.execute(f"UPDATE {self._schema}.meta SET staging = %s", (new,))
            try:
                with self._lost_if_deleted():
                    with connection.transaction():
                        fill(connection, old, new)
                    for statement in self._tables.finish(new):
                        connection.execute(statement)
                with connection.transaction():
                    now, staging = self._lock(connection, base)
                    if (now, staging) != (old, new):
                        raise LostRaceError(f"{self._address}: another writer was first")
                    connection.execute(
                        f"UPDATE {self._schema}.meta "
                        "SET generation = %s, content = %s, staging = NULL",
                        (to, new),
                    )
                    self._delete(connection, old)
            except BaseException:
                # If that fails as well, the next one deletes them.
                with contextlib.suppress(Exception):
                    self._delete(connection, new)
                raise

    @contextlib.contextmanager
    def _lost_if_deleted(self) -> Iterator[None]:
        try:
            yield
        except errors.UndefinedTable as error:
            raise LostRaceError(f"{self._address}: another writer was first") from error

    def _delete(self, connection: Any, content: int | None) -> None:
        if content is not None:
            for name in self._tables.names(content):
                connection.execute(f"DROP TABLE IF EXISTS {name}")

    def _search_some(self, texts: list[str], k: int) -> tuple[int, list[list[int]]]:
        limits = {"statement_timeout": round(self._address.timeout * 1000), "jit": "off"}
        extension = self._tables.extension
        if extension is not None and self._tables.graph:
            limits["hnsw.ef_search"] = min(max(2 * k, self._tables.effort), _MOST_EFFORT)
            if extension.scans_on:
                limits["hnsw.iterative_scan"] = "relaxed_order"
        settings = "".join(
            f", set_config('{name}', '{value}', true)" for name, value in limits.items()
        )

        def search(connection: Any) -> tuple[int, list[list[int]]]:
            # The generation is read first: the candidates are of it or of a later one.
            generation, content = self._state(connection, settings)
            query = self._tables.candidates(content, k, self._exact)
            found: list[list[int]] = [[] for _ in texts]
            for number, face in connection.execute(query, (texts,)):
                found[number - 1].append(face)
            return generation, found

        return self._until_found(search)

    def _until_found(self, read: Callable[[Any], _Read]) -> _Read:
        """Read in one transaction, again if another writer has exchanged the tables meanwhile."""
        for _ in range(5):
            with self._session.quick() as connection:
                try:
                    with connection.transaction():
                        return read(connection)
                except (errors.UndefinedTable, errors.DeadlockDetected):
                    continue
        raise EngineError(f"{self._address}: the index has been deleted; push it again")
