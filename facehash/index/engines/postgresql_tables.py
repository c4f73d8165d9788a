"""The tables of an index on PostgreSQL, for codes and for vectors.

Content number n of an index is in tables whose names end in n, so that a new content can be made
beside the old one. No table has statistics of codes or vectors, as those are copies of rows that
outlive them.
"""

import contextlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import errors

from facehash.codes import bits_from_packed
from facehash.index.engines.base import EngineError
from facehash.vectors import Ids, Rows, Space, unit_rows

MAX_HNSW_BITS = 64_000
MAX_HNSW_HALFVEC = 4_000
MAX_HALFVEC = 16_000
_OLDEST_PGVECTOR = (0, 7)  # the first with halfvec and with graphs of bit
_MAX_HALF = float(np.finfo(np.float16).max)

_COPY_START = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_END = b"\xff\xff"


class Extension(NamedTuple):
    """pgvector in this database."""

    version: str
    schema: str  # quoted

    @property
    def release(self) -> tuple[int, ...]:
        """The first two numbers of the version."""
        return tuple(int(part) for part in self.version.split(".")[:2])

    @property
    def scans_on(self) -> bool:
        """Whether a search of the graph goes on until it has found enough."""
        return self.release >= (0, 8)


def find_extension(connection: Any) -> Extension | None:
    """Return pgvector in the database, made there if it is installed and the account may do so.

    Returns:
        None without the extension, or with a version before 0.7.
    """
    query = (
        "SELECT extversion, quote_ident(nspname) FROM pg_extension "
        "JOIN pg_namespace AS schemas ON schemas.oid = extnamespace WHERE extname = 'vector'"
    )
    row = connection.execute(query).fetchone()
    if row is None:
        known = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
        if connection.execute(known).fetchone() is None:
            return None
        with contextlib.suppress(errors.InsufficientPrivilege, errors.UniqueViolation):
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        row = connection.execute(query).fetchone()
        if row is None:
            return None
    found = Extension(*row)
    return found if found.release >= _OLDEST_PGVECTOR else None


class Tables(ABC):
    """The statements for one kind of rows.

    Attributes:
        row: SQL type of a row.
        effort: Nodes of a graph that a search keeps in view, at least.
    """

    row: str
    effort: int

    def __init__(self, schema: str, space: Space, extension: Extension | None) -> None:
        """Use the tables of a schema, whose name is quoted."""
        self.schema = schema
        self.space = space
        self.extension = extension
        self.graph = False  # whether a new content gets an HNSW graph

    @abstractmethod
    def names(self, content: int) -> list[str]:
        """Return the names of the tables; the last has a row for each face."""

    @abstractmethod
    def create(self, content: int) -> list[str]:
        """Return statements that make empty tables."""

    @abstractmethod
    def fill(self, content: int) -> list[str]:
        """Return statements that move the rows of the temporary table incoming."""

    @abstractmethod
    def copy(self, source: int, target: int) -> list[str]:
        """Return statements that fill empty tables from others."""

    @abstractmethod
    def finish(self, content: int) -> list[str]:
        """Return statements that make the indexes."""

    @abstractmethod
    def change(self, content: int) -> list[str]:
        """Return statements that apply the temporary tables incoming and outgoing."""

    @abstractmethod
    def candidates(self, content: int, k: int, exact: bool) -> str:
        """Return a query for (number of a query from 1, face) of an array of texts."""

    @abstractmethod
    def payload(self, rows: Rows) -> NDArray[np.void]:
        """Return rows as COPY BINARY wants them, (n,) of bytes."""

    @abstractmethod
    def texts(self, queries: Rows) -> list[str]:
        """Return queries as texts that PostgreSQL reads as rows."""

    def copy_data(self, ids: Ids, rows: Rows) -> bytes:
        """Return what COPY BINARY reads into the columns face and row."""
        payload = self.payload(rows)
        width = payload.dtype.itemsize
        record = np.dtype(
            [
                ("fields", ">i2"),
                ("face_bytes", ">i4"),
                ("face", ">i8"),
                ("row_bytes", ">i4"),
                ("row", f"V{width}"),
            ]
        )
        records = np.empty(len(ids), record)
        records["fields"], records["face_bytes"], records["face"] = 2, 8, ids
        records["row_bytes"], records["row"] = width, payload
        return _COPY_START + records.tobytes() + _COPY_END

    def _operator(self, name: str) -> str:
        schema = self.extension.schema if self.extension else "pg_catalog"
        return f"OPERATOR({schema}.{name})"

    def _asked(self) -> str:
        """The queries, converted once."""
        return (
            f"(SELECT query::{self.row} AS query, number FROM unnest(%s::text[]) "
            "WITH ORDINALITY AS texts(query, number) OFFSET 0) AS asked"
        )


class CodeTables(Tables):
    """Distinct codes, and the code of each face.

    A graph of codes of which many are equal is a bad graph: whoever reaches one of them finds
    nothing but its copies.
    """

    # Among 10^5 ITQ codes of faces, 200 find .982 of the ten nearest, 400 find .996.
    effort = 500

    def __init__(self, schema: str, space: Space, extension: Extension | None) -> None:
        """Use a graph if there is pgvector."""
        super().__init__(schema, space, extension)
        self.row = f"bit({space.dimension})"
        self.graph = extension is not None and space.dimension <= MAX_HNSW_BITS

    def names(self, content: int) -> list[str]:
        """Return codes and faces, in the order in which a search locks them."""
        return [f"{self.schema}.codes_{content}", f"{self.schema}.faces_{content}"]

    def create(self, content: int) -> list[str]:
        """Return statements that make empty tables."""
        codes, faces = self.names(content)
        return [
            f"CREATE TABLE {codes} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            f"code {self.row} NOT NULL)",
            f"ALTER TABLE {codes} ALTER COLUMN code SET STATISTICS 0",
            f"CREATE TABLE {faces} (face bigint PRIMARY KEY, code bigint NOT NULL)",
        ]

    def fill(self, content: int) -> list[str]:
        """Return statements that move the rows of the temporary table incoming."""
        codes, faces = self.names(content)
        return [
            f"INSERT INTO {codes} (code) SELECT DISTINCT row FROM incoming",
            f"INSERT INTO {faces} SELECT face, id FROM incoming JOIN {codes} ON code = row",
        ]

    def copy(self, source: int, target: int) -> list[str]:
        """Return statements that fill empty tables from others."""
        codes, faces = self.names(source)
        new_codes, new_faces = self.names(target)
        return [
            f"INSERT INTO {new_codes} (code) SELECT code FROM {codes}",
            f"INSERT INTO {new_faces} SELECT face, new.id FROM {faces} AS faces "
            f"JOIN {codes} AS old ON old.id = faces.code "
            f"JOIN {new_codes} AS new ON new.code = old.code",
        ]

    def finish(self, content: int) -> list[str]:
        """Return statements that make the indexes."""
        codes, faces = self.names(content)
        made = [f"CREATE UNIQUE INDEX ON {codes} (code)", f"CREATE INDEX ON {faces} (code)"]
        if self.graph and self.extension is not None:
            made.append(
                f"CREATE INDEX ON {codes} USING hnsw (code {self.extension.schema}.bit_hamming_ops)"
            )
        return [*made, f"ANALYZE {codes}, {faces}"]

    def change(self, content: int) -> list[str]:
        """Return statements that apply the temporary tables incoming and outgoing."""
        codes, faces = self.names(content)
        return [
            f"CREATE TEMPORARY TABLE left_codes ON COMMIT DROP AS SELECT DISTINCT code "
            f"FROM {faces} WHERE face IN (SELECT face FROM incoming UNION SELECT face "
            "FROM outgoing)",
            f"INSERT INTO {codes} (code) SELECT DISTINCT row FROM incoming ON CONFLICT DO NOTHING",
            f"DELETE FROM {faces} WHERE face IN (SELECT face FROM outgoing)",
            f"INSERT INTO {faces} SELECT face, id FROM incoming JOIN {codes} ON code = row "
            "ON CONFLICT (face) DO UPDATE SET code = EXCLUDED.code",
            f"DELETE FROM {codes} AS codes WHERE id IN (SELECT code FROM left_codes) "
            f"AND NOT EXISTS (SELECT FROM {faces} AS faces WHERE faces.code = codes.id)",
        ]

    def candidates(self, content: int, k: int, exact: bool) -> str:
        """Return a query for the k nearest faces, equal distances in the order of the faces."""
        codes, faces = self.names(content)
        if self.extension is None:
            distance = "bit_count(code # query)"
        else:
            # The graph is used only for an order by the bare operator.
            distance = f"(code {self._operator('<~>')} query)" + (" + 0" if exact else "")
        return (
            f"SELECT number, found.face FROM {self._asked()} CROSS JOIN LATERAL ("
            f"SELECT face FROM (SELECT id, {distance} AS distance FROM {codes} "
            f"ORDER BY {distance} LIMIT {k}) AS near JOIN {faces} AS faces ON faces.code = near.id "
            f"ORDER BY near.distance, face LIMIT {k}) AS found"
        )

    def payload(self, rows: Rows) -> NDArray[np.void]:
        """Return the number of bits and the bits, the first of a byte in its highest place."""
        bits = bits_from_packed(rows, self.space.dimension)
        record = np.dtype([("bits", ">i4"), ("code", f"V{self.space.width}")])
        records = np.empty(len(rows), record)
        records["bits"] = self.space.dimension
        packed = np.ascontiguousarray(np.packbits(bits, axis=1))
        records["code"] = packed.view(f"V{self.space.width}")[:, 0]
        return records.view(f"V{record.itemsize}")

    def texts(self, queries: Rows) -> list[str]:
        """Return codes as zeros and ones."""
        zeros_and_ones = bits_from_packed(queries, self.space.dimension) + ord("0")
        return [row.tobytes().decode() for row in zeros_and_ones]


class VectorTables(Tables):
    """Vectors in half precision.

    Vectors that are compared by cosine have length 1 and one more component, which is 0. Only a
    vector of length 0 has a 1 there: it is perpendicular to all others, as it should be, while
    pgvector would have no distance from it.
    """

    extension: Extension
    # Among 10^5 vectors of faces, 200 find .92 of the ten nearest.
    effort = 1_000

    def __init__(self, schema: str, space: Space, extension: Extension) -> None:
        """Use a graph if pgvector has one for so many dimensions.

        Raises:
            EngineError: More dimensions than halfvec may have.
        """
        super().__init__(schema, space, extension)
        self._cosine = space.metric == "cosine"
        self._width = space.dimension + self._cosine
        if self._width > MAX_HALFVEC:
            raise EngineError(
                f"pgvector stores vectors of at most {MAX_HALFVEC - self._cosine} dimensions, "
                f"these have {space.dimension}"
            )
        self.row = f"{extension.schema}.halfvec({self._width})"
        self.graph = self._width <= MAX_HNSW_HALFVEC

    def names(self, content: int) -> list[str]:
        """Return the one table."""
        return [f"{self.schema}.vectors_{content}"]

    def create(self, content: int) -> list[str]:
        """Return statements that make an empty table."""
        (vectors,) = self.names(content)
        return [
            f"CREATE TABLE {vectors} (face bigint PRIMARY KEY, row {self.row} NOT NULL)",
            f"ALTER TABLE {vectors} ALTER COLUMN row SET STATISTICS 0",
        ]

    def fill(self, content: int) -> list[str]:
        """Return a statement that moves the rows of the temporary table incoming."""
        return [f"INSERT INTO {self.names(content)[0]} SELECT face, row FROM incoming"]

    def copy(self, source: int, target: int) -> list[str]:
        """Return a statement that fills an empty table from another."""
        return [f"INSERT INTO {self.names(target)[0]} SELECT * FROM {self.names(source)[0]}"]

    def finish(self, content: int) -> list[str]:
        """Return statements that make the graph."""
        (vectors,) = self.names(content)
        made = []
        if self.graph:
            kind = "halfvec_cosine_ops" if self._cosine else "halfvec_l2_ops"
            kind = f"{self.extension.schema}.{kind}"
            made.append(f"CREATE INDEX ON {vectors} USING hnsw (row {kind})")
        return [*made, f"ANALYZE {vectors}"]

    def change(self, content: int) -> list[str]:
        """Return statements that apply the temporary tables incoming and outgoing."""
        (vectors,) = self.names(content)
        return [
            f"DELETE FROM {vectors} WHERE face IN (SELECT face FROM outgoing)",
            f"INSERT INTO {vectors} SELECT face, row FROM incoming "
            "ON CONFLICT (face) DO UPDATE SET row = EXCLUDED.row",
        ]

    def candidates(self, content: int, k: int, exact: bool) -> str:
        """Return a query for a few more than k: half precision may exchange neighbors."""
        (vectors,) = self.names(content)
        distance = f"(row {self._operator('<=>' if self._cosine else '<->')} query)"
        if exact:
            distance += " + 0"
        return (
            f"SELECT number, found.face FROM {self._asked()} CROSS JOIN LATERAL ("
            f"SELECT face FROM {vectors} ORDER BY {distance} LIMIT {k + k // 4 + 5}) AS found"
        )

    def payload(self, rows: Rows) -> NDArray[np.void]:
        """Return the number of dimensions, two bytes of 0, and the values."""
        record = np.dtype([("size", ">i2"), ("unused", ">i2"), ("values", ">f2", (self._width,))])
        records = np.zeros(len(rows), record)
        records["size"] = self._width
        records["values"] = self._stored(rows)
        return records.view(f"V{record.itemsize}")

    def texts(self, queries: Rows) -> list[str]:
        """Return vectors as lists in brackets."""
        rows = self._stored(queries, clip=True).tolist()
        return ["[" + ",".join(map(str, row)) + "]" for row in rows]

    def _stored(self, rows: Rows, clip: bool = False) -> NDArray[Any]:
        """Return float16 (n, width) of the table.

        Raises:
            EngineError: A value is beyond half precision.
        """
        if self._cosine:
            rows = unit_rows(rows)
            rows = np.column_stack([rows, ~rows.any(axis=1)])
        elif clip:
            rows = np.clip(rows, -_MAX_HALF, _MAX_HALF)
        elif len(rows) and np.abs(rows).max() > _MAX_HALF:
            raise EngineError(
                f"pgvector stores values up to {_MAX_HALF:,.0f} in half precision, these vectors "
                f"reach {np.abs(rows).max():.3g}"
            )
        return rows.astype(np.float16)
