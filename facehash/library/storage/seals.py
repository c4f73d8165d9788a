"""A digest of every row, written with it: damage that SQLite cannot see is found by `check`.

SQLite proves its pages and indexes, not what is in the rows: a bit that flips in a vector, a path
or a name leaves a sound database. So the table ``seals`` holds, for each row, 16 bytes of BLAKE2b
over its columns. Temporary triggers of each connection write them, so that no code can change a row
and forget its seal, and nothing in the file itself can call a function of this program.

A face has two seals: what was found on the photo, and who it is. Naming somebody must not seal
anew, and so hide, a vector that was damaged since. Left out are a code that was made of a vector,
which `check` makes again, and ``pending_erase``, of which any row means that there is work to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from facehash.library.storage.database import Database

CREATE_TABLE = (
    "CREATE TABLE seals (place TEXT NOT NULL, key NOT NULL, digest BLOB NOT NULL, "
    "PRIMARY KEY (place, key)) WITHOUT ROWID"
)


class _Place(NamedTuple):
    """Columns of a table that one seal stands for, beside the key."""

    name: str
    table: str
    key: str
    columns: tuple[str, ...]

    def sealed(self, row: str) -> str:
        """SQL for the digest of a row of that name."""
        values = [f"{row}.{column}" for column in self.columns]
        if self.name == "faces":
            values.append(f"iif({row}.embedding IS NULL, {row}.code, NULL)")
        return _seal_of(*values)


_BOX = ("x", "y", "width", "height")
_PLACES = (
    _Place("settings", "settings", "key", ("value",)),
    _Place("hasher", "hasher", "name", ("npy",)),
    _Place("photos", "photos", "id", ("digest", "width", "height", "reason", "detail")),
    _Place("paths", "paths", "path", ("photo_id", "size", "mtime_ns", "reason", "detail")),
    _Place("people", "people", "id", ("name",)),
    _Place("aliases", "aliases", "name", ("person_id",)),
    _Place(
        "faces",
        "faces",
        "id",
        ("photo_id", "number", *_BOX, "landmarks", "score", "quality", "embedding"),
    ),
    _Place("names of faces", "faces", "id", ("person_id", "named_by")),
    _Place("crops", "crops", "face_id", ("jpeg",)),
    _Place("excluded", "excluded", "digest", ()),
)
# Where the highest id ever given is kept, in a table of SQLite's that has no triggers.
_COUNTED = ("photos", "people", "faces")
_COUNTERS = "highest ids"
_IDS = ("id", "face_id")


class Broken(NamedTuple):
    """Rows of one kind that are not as they were written.

    Attributes:
        place: What they are, for example ``"faces"``, ``"names of faces"``, ``"highest ids"``.
        keys: Of photos, people and faces the ids that they have now, else None for each.
        lost: How many are not there any more.
    """

    place: str
    keys: list[int | None]
    lost: int


def define_seal(database: Database) -> None:
    """Let a connection compute seals."""
    database.define("seal", _seal)


def watch(database: Database) -> None:
    """Let a connection seal every row that it will write."""
    # Most only read, and open a library the faster for it.
    database.before_writing(lambda: _make_triggers(database))


def _make_triggers(database: Database) -> None:
    for place in _PLACES:
        write = _write(place.name, f"new.{place.key}", place.sealed("new"))
        drop = f"DELETE FROM seals WHERE place = '{place.name}' AND key = old.{place.key}"  # noqa: S608
        columns = ", ".join((place.key, *place.columns))
        _make_trigger(database, place, "INSERT", write)
        _make_trigger(database, place, f"UPDATE OF {columns}", write)
        _make_trigger(database, place, "DELETE", drop)
        if place.name == "faces":
            _make_trigger(database, place, "UPDATE OF code", write, "WHEN new.embedding IS NULL")
    for table in _COUNTED:
        # SQLite itself notes the number after this.
        before = f"(SELECT seq FROM sqlite_sequence WHERE name = '{table}')"  # noqa: S608
        highest = f"max(new.id, coalesce({before}, 0))"
        write = _write(_COUNTERS, f"'{table}'", _seal_of(highest))
        _make_trigger(database, _Place(_COUNTERS, table, "name", ()), "INSERT", write)


def _write(place: str, key: str, digest: str) -> str:
    return f"INSERT OR REPLACE INTO seals VALUES ('{place}', {key}, {digest})"  # noqa: S608


def _make_trigger(
    database: Database, place: _Place, action: str, statement: str, when: str = ""
) -> None:
    database.run(
        f'CREATE TEMP TRIGGER IF NOT EXISTS "{place.name} of {place.table}: {action}" '
        f"AFTER {action} ON main.{place.table} {when} BEGIN {statement}; END"
    )


def seal_all(database: Database) -> None:
    """Seal all rows as they are, within the caller's transaction."""
    database.run("DELETE FROM seals")
    for place in _PLACES:
        database.run(
            f"INSERT INTO seals SELECT '{place.name}', {place.key}, "  # noqa: S608
            f"{place.sealed(place.table)} FROM {place.table}"
        )
    counted = f"'{_COUNTERS}', name, {_seal_of('seq')}"
    database.run(f"INSERT INTO seals SELECT {counted} FROM sqlite_sequence")  # noqa: S608


def broken(database: Database) -> Iterator[Broken]:
    """Compare all rows with their seals.

    Yields:
        One for each kind of rows of which some are not as they were written.
    """
    counters = (_COUNTERS, "sqlite_sequence", "name", _seal_of("sqlite_sequence.seq"))
    places = [(one.name, one.table, one.key, one.sealed(one.table)) for one in _PLACES]
    for name, table, key, sealed in (*places, counters):
        # What is no number is text that need not be text any more.
        shown = f"{table}.{key}" if key in _IDS else "NULL"
        keys = database.rows(
            f"SELECT {shown} FROM {table} "  # noqa: S608
            f"LEFT JOIN seals ON seals.place = ? AND seals.key = {table}.{key} "
            f"WHERE seals.digest IS NOT {sealed}",
            (name,),
        )
        lost = database.value(
            "SELECT count(*) FROM seals WHERE place = ? "  # noqa: S608
            f"AND key NOT IN (SELECT {key} FROM {table})",
            (name,),
        )
        if keys or lost:
            yield Broken(name, [one for (one,) in keys], lost)


def _seal_of(*values: str) -> str:
    # Text as bytes, for text that was damaged need not be text; text and bytes remain two things.
    plain = (f"typeof({v}), iif(typeof({v}) = 'text', CAST({v} AS BLOB), {v})" for v in values)
    return f"seal({', '.join(plain)})"


def _seal(*values: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(b"%s %d " % (type(value).__name__.encode(), len(content)))
        digest.update(content)
    return digest.digest()
