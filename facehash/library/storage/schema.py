"""The tables of a library, and how a library of an earlier version becomes one of this."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence

from facehash.library.storage import seals
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError

APPLICATION_ID = 0x46484C42
"""``FHLB``: how a library is told from any other SQLite file."""

_VERSION_1 = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # What a hasher was fitted to, as .npy files.
    "CREATE TABLE hasher (name TEXT PRIMARY KEY, npy BLOB NOT NULL) WITHOUT ROWID",
    # A photo is its content; `reason` says why it could not be read.
    """CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        width INTEGER,
        height INTEGER,
        reason TEXT,
        detail TEXT
    )""",
    # Bytes, for a file name need not be text. A file that could not even be opened has no photo.
    """CREATE TABLE paths (
        path BLOB PRIMARY KEY,
        photo_id INTEGER REFERENCES photos (id) ON DELETE CASCADE,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        reason TEXT
    ) WITHOUT ROWID""",
    "CREATE INDEX paths_by_photo ON paths (photo_id)",
    """CREATE TABLE people (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    )""",
    # What a person was called before, in a folder or a list that still says so.
    """CREATE TABLE aliases (
        name TEXT PRIMARY KEY,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX aliases_by_person ON aliases (person_id)",
    # AUTOINCREMENT: the id of a face that was forgotten never names another one.
    """CREATE TABLE faces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        landmarks BLOB,
        score REAL NOT NULL,
        quality REAL NOT NULL,
        embedding BLOB,
        code BLOB,
        person_id INTEGER REFERENCES people (id) ON DELETE SET NULL,
        named_by TEXT CHECK (named_by IN ('folders', 'csv', 'user')),
        UNIQUE (photo_id, number)
    )""",
    "CREATE INDEX faces_by_person ON faces (person_id)",
    # Apart from the faces, which are read by the thousand and small.
    """CREATE TABLE crops (
        face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
        jpeg BLOB NOT NULL
    )""",
    # Digests of photos that were forgotten and are not to come back with the next run.
    "CREATE TABLE kept_out (digest BLOB PRIMARY KEY) WITHOUT ROWID",
    # Counted up by the database itself, so that no code can change rows and leave the index files,
    # which bear this number, looking fresh.
    "CREATE TABLE generation (number INTEGER NOT NULL)",
    "INSERT INTO generation VALUES (0)",
    """CREATE TRIGGER face_added AFTER INSERT ON faces
        BEGIN UPDATE generation SET number = number + 1; END""",
    """CREATE TRIGGER face_removed AFTER DELETE ON faces
        BEGIN UPDATE generation SET number = number + 1; END""",
    """CREATE TRIGGER face_changed AFTER UPDATE OF embedding, code ON faces
        BEGIN UPDATE generation SET number = number + 1; END""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

_VERSION_2 = (
    # Why a file could not even be opened, in words.
    "ALTER TABLE paths ADD COLUMN detail TEXT",
    # Version 1 wrote the path in front, which outlived the file. What has moved says it no more.
    """UPDATE photos SET detail = (
        SELECT substr(photos.detail, length(CAST(path AS TEXT)) + 3) FROM paths
        WHERE photo_id = photos.id AND instr(photos.detail, CAST(path AS TEXT) || ': ') = 1
    ) WHERE detail IS NOT NULL""",
    # What was asked to be forgotten, as a digest: a row says that it is out of the database and
    # not yet wiped from the disk.
    "CREATE TABLE unwiped (request BLOB NOT NULL)",
)

_VERSION_3 = (seals.CREATE_TABLE,)

_VERSION_4 = (
    "ALTER TABLE kept_out RENAME TO excluded",
    "ALTER TABLE unwiped RENAME TO pending_erase",
)

MIGRATIONS: tuple[Sequence[str], ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""Statements that lead from version i to i + 1; version 0 is an empty file. Only ever appended."""


def migrate(database: Database, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring a database to the newest version, each step whole or not at all, and seal what follows.

    Args:
        database: A library's database, or an empty one.
        migrations: Statements that lead from version i to i + 1.

    Raises:
        LibraryError: It is of a newer version, or not a library's.
        DamagedLibraryError: It has other tables, triggers or views than a library of its version.
    """
    seals.define_seal(database)
    version = version_of(database)
    database.keep_log()
    if version == len(migrations):
        _check_tables(database, migrations)
    else:
        _bring_up(database, migrations)
    seals.watch(database)


def _bring_up(database: Database, migrations: Sequence[Sequence[str]]) -> None:
    library = database.path.parent
    with database.transaction():
        # Read again: another process may have been faster.
        version = version_of(database)
        if version > len(migrations):
            raise LibraryError(
                f"{library}: made by a newer facehash (library version {version}, this one knows "
                f"{len(migrations)}); upgrade facehash, or use another library"
            )
        _check_tables(database, migrations[:version])
        for statements in migrations[version:]:
            for statement in statements:
                database.run(statement)
        seals.seal_all(database)
        database.run(f"PRAGMA user_version = {len(migrations)}")


def _check_tables(database: Database, migrations: Sequence[Sequence[str]]) -> None:
    """Refuse what nobody made with these statements: a trigger acts, a view lies."""
    wanted = _tables_after(tuple(map(tuple, migrations)))
    found = database.rows(_TABLES)
    if found != wanted:
        other = next((one for one in found if one not in wanted), None) or next(
            one for one in wanted if one not in found
        )
        raise DamagedLibraryError(
            f"{database.path.parent}: its database is damaged, or not made by facehash: it has "
            f"other tables than a library of version {len(migrations)} ({other[0]} {other[1]!r})"
        )


_TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


@functools.cache
def _tables_after(migrations: tuple[tuple[str, ...], ...]) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statements in migrations:
            for statement in statements:
                connection.execute(statement)
        return connection.execute(_TABLES).fetchall()
    finally:
        connection.close()


def version_of(database: Database) -> int:
    """Return the version of a library's database, 0 of an empty one.

    Raises:
        LibraryError: The tables are not those of a library.
    """
    identifier = database.value("PRAGMA application_id")
    version = database.value("PRAGMA user_version")
    if identifier == APPLICATION_ID and version > 0:
        return int(version)
    if identifier == 0 and version == 0 and not database.value("SELECT 1 FROM sqlite_master"):
        return 0
    raise LibraryError(f"{database.path}: a SQLite file, but not of a facehash library")
