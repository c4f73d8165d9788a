"""The tables of a library, and the migrations from earlier versions."""

import functools
import sqlite3
from collections.abc import Sequence

from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError

APPLICATION_ID = 0x46484C42
"""``FHLB``: marks a library among SQLite files."""

_VERSION_1 = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # The arrays of the fitted hasher, as .npy files.
    "CREATE TABLE hasher (name TEXT PRIMARY KEY, npy BLOB NOT NULL) WITHOUT ROWID",
    # One row per content, not per file; `reason` says why it could not be read.
    """CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        width INTEGER,
        height INTEGER,
        reason TEXT,
        detail TEXT
    )""",
    # Bytes: a file name need not be text. A file that could not be opened has no photo.
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
    # Earlier names, which a folder or a list of names may still use.
    """CREATE TABLE aliases (
        name TEXT PRIMARY KEY,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX aliases_by_person ON aliases (person_id)",
    # AUTOINCREMENT: the id of a forgotten face is never used again.
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
    # A table of its own, so that reading thousands of faces skips the pictures.
    """CREATE TABLE crops (
        face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
        jpeg BLOB NOT NULL
    )""",
    # Digests of forgotten photos, which the next run must not add again.
    "CREATE TABLE kept_out (digest BLOB PRIMARY KEY) WITHOUT ROWID",
    # The names of the index files contain this number. Triggers count it up, so that no change of
    # the faces leaves index files that look current.
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
    # Why a file could not be opened, in words.
    "ALTER TABLE paths ADD COLUMN detail TEXT",
    # Version 1 put the path in front, where it outlived the file. Moved files lose the text.
    """UPDATE photos SET detail = (
        SELECT substr(photos.detail, length(CAST(path AS TEXT)) + 3) FROM paths
        WHERE photo_id = photos.id AND instr(photos.detail, CAST(path AS TEXT) || ': ') = 1
    ) WHERE detail IS NOT NULL""",
    # Digests of requests to forget. A row means: deleted from the database, not yet erased from
    # the disk.
    "CREATE TABLE unwiped (request BLOB NOT NULL)",
)

_VERSION_3 = (
    # Digests of all rows; only this version used them.
    "CREATE TABLE seals (place TEXT NOT NULL, key NOT NULL, digest BLOB NOT NULL, "
    "PRIMARY KEY (place, key)) WITHOUT ROWID",
)

_VERSION_4 = (
    "DROP TABLE seals",
    "ALTER TABLE kept_out RENAME TO excluded",
    "ALTER TABLE unwiped RENAME TO pending_erase",
)

_VERSION_5 = (
    # Tells the index of this library on a server from those of others.
    "CREATE TABLE identity (library TEXT NOT NULL)",
    "INSERT INTO identity VALUES (lower(hex(randomblob(16))))",
    # Servers with an index of this library. `pending_erase` counts requests to forget that are not
    # yet erased there, `generation` is the last one known of the index, for information.
    """CREATE TABLE engines (
        name TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        by TEXT NOT NULL CHECK (by IN ('embedding', 'code')),
        pending_erase INTEGER NOT NULL DEFAULT 0,
        generation INTEGER
    ) WITHOUT ROWID""",
    # Generations that this library has sent to an engine, or was about to. An engine with any other
    # generation has the rows of a copy of the library, for example of one that a backup replaced.
    """CREATE TABLE pushes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        engine TEXT NOT NULL REFERENCES engines (name) ON DELETE CASCADE,
        generation INTEGER NOT NULL
    )""",
    "CREATE INDEX pushes_by_engine ON pushes (engine)",
    # The outbox: in which generation each face changed last, deleted faces included, for all
    # changes after the generation `start`. Without engines it has no start and records nothing.
    "CREATE TABLE outbox (start INTEGER NOT NULL)",
    # `added` is the generation in which the outbox recorded the face as new, else NULL.
    """CREATE TABLE changes (
        face_id INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL,
        added INTEGER
    )""",
    "CREATE INDEX changes_by_generation ON changes (generation)",
    "DROP TRIGGER face_added",
    "DROP TRIGGER face_removed",
    "DROP TRIGGER face_changed",
    """CREATE TRIGGER face_added AFTER INSERT ON faces
        BEGIN
            UPDATE generation SET number = number + 1;
            INSERT INTO changes (face_id, generation, added)
                SELECT NEW.id, number, number FROM generation
                WHERE EXISTS (SELECT 1 FROM outbox)
                ON CONFLICT (face_id) DO UPDATE SET generation = excluded.generation;
        END""",
    """CREATE TRIGGER face_removed AFTER DELETE ON faces
        BEGIN
            UPDATE generation SET number = number + 1;
            INSERT INTO changes (face_id, generation, added)
                SELECT OLD.id, number, NULL FROM generation
                WHERE EXISTS (SELECT 1 FROM outbox)
                ON CONFLICT (face_id) DO UPDATE SET generation = excluded.generation;
        END""",
    """CREATE TRIGGER face_changed AFTER UPDATE OF embedding, code ON faces
        BEGIN
            UPDATE generation SET number = number + 1;
            INSERT INTO changes (face_id, generation, added)
                SELECT NEW.id, number, NULL FROM generation
                WHERE EXISTS (SELECT 1 FROM outbox)
                ON CONFLICT (face_id) DO UPDATE SET generation = excluded.generation;
        END""",
)

_VERSION_6 = (
    # Where a photo was that is not there any more, until its names are parked.
    """CREATE TABLE former_paths (
        path BLOB PRIMARY KEY,
        photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX former_paths_by_photo ON former_paths (photo_id)",
    # Names that a person gave, and that wait for their photo: see facehash.library.people.parked.
    """CREATE TABLE parked (
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        named_by TEXT NOT NULL CHECK (named_by IN ('csv', 'user')),
        faces INTEGER NOT NULL,
        path BLOB,
        vector BLOB,
        score REAL,
        quality REAL,
        reason TEXT NOT NULL CHECK (reason IN ('gone', 'changed', 'restored')),
        since INTEGER NOT NULL,
        PRIMARY KEY (digest, x, y, width, height)
    ) WITHOUT ROWID""",
    "CREATE INDEX parked_by_person ON parked (person_id)",
    "CREATE INDEX parked_by_path ON parked (path)",
    # Faces, by content and box, that are not this person.
    """CREATE TABLE rejections (
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        PRIMARY KEY (digest, x, y, width, height, person_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX rejections_by_person ON rejections (person_id)",
    # What a person said, and what it replaced: see facehash.library.people.journal.
    """CREATE TABLE statements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        made INTEGER NOT NULL
    )""",
    """CREATE TABLE statement_changes (
        statement_id INTEGER NOT NULL REFERENCES statements (id) ON DELETE CASCADE,
        digest BLOB,
        x REAL,
        y REAL,
        width REAL,
        height REAL,
        name TEXT,
        before INTEGER,
        before_as TEXT,
        after INTEGER,
        after_as TEXT
    )""",
    "CREATE INDEX statement_changes_by_statement ON statement_changes (statement_id)",
    "CREATE INDEX statement_changes_by_digest ON statement_changes (digest)",
)

_VERSION_7 = (
    # Faces, by content and box, of people who do not matter: neither suggested nor listed.
    """CREATE TABLE ignored (
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        PRIMARY KEY (digest, x, y, width, height)
    ) WITHOUT ROWID""",
    # Faces that a person has added, by content and box. `faces` has a row for each while the
    # library has the photo. Landmarks: float32 (5, 2), little endian.
    """CREATE TABLE added_faces (
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        landmarks BLOB,
        PRIMARY KEY (digest, x, y, width, height)
    ) WITHOUT ROWID""",
    # Faces without a name of photos that are gone or have changed, about which something else was
    # said: see facehash.library.people.parked.
    """CREATE TABLE former_faces (
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL,
        height REAL NOT NULL,
        faces INTEGER NOT NULL,
        path BLOB,
        vector BLOB,
        score REAL,
        quality REAL,
        reason TEXT NOT NULL CHECK (reason IN ('gone', 'changed', 'restored')),
        since INTEGER NOT NULL,
        PRIMARY KEY (digest, x, y, width, height)
    ) WITHOUT ROWID""",
    "CREATE INDEX former_faces_by_path ON former_faces (path)",
    # AUTOINCREMENT: the id of a cluster is never used again.
    "CREATE TABLE clusters (id INTEGER PRIMARY KEY AUTOINCREMENT, made INTEGER NOT NULL)",
    """CREATE TABLE cluster_faces (
        face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
        cluster_id INTEGER NOT NULL REFERENCES clusters (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX cluster_faces_by_cluster ON cluster_faces (cluster_id)",
    # Of a video: its length, and the time of the frame with the face. NULL in a photo.
    "ALTER TABLE photos ADD COLUMN seconds REAL",
    "ALTER TABLE faces ADD COLUMN seconds REAL",
    # From when to when the same face was seen at this place.
    "ALTER TABLE faces ADD COLUMN first_seconds REAL",
    "ALTER TABLE faces ADD COLUMN last_seconds REAL",
    # Of a folder with a single photo: its number in the file system.
    "ALTER TABLE paths ADD COLUMN folder_inode INTEGER",
)

_VERSION_8 = (
    # When a photo was taken: seconds from 1970-01-01T00:00, both in the time of the camera. NULL if
    # the file does not say, or while `dated` is 0: nobody has looked yet.
    "ALTER TABLE photos ADD COLUMN taken INTEGER",
    "ALTER TABLE photos ADD COLUMN dated INTEGER NOT NULL DEFAULT 0",
    # How often faces of it were forgotten: if ever, no picture of the whole photo may be kept.
    "ALTER TABLE photos ADD COLUMN forgotten_faces INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: tuple[Sequence[str], ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
    _VERSION_8,
)
"""Statements from version i to i + 1; version 0 is an empty file. Released ones never change."""


def migrate(database: Database, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring a database to the newest version, in one transaction.

    Args:
        database: The database of a library, or an empty one.
        migrations: Statements that lead from version i to i + 1.

    Raises:
        LibraryError: Its version is newer, or it does not belong to a library.
        DamagedLibraryError: Its tables, triggers or views are not those of its version.
    """
    version = version_of(database)
    database.enable_log()
    if version == len(migrations):
        _check_tables(database, migrations)
        return
    library = database.path.parent
    with database.transaction():
        # Read again: another process may have migrated it meanwhile.
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
        database.run(f"PRAGMA user_version = {len(migrations)}")


def _check_tables(database: Database, migrations: Sequence[Sequence[str]]) -> None:
    """Refuse tables, triggers and views that these statements do not create."""
    expected = _tables_after(tuple(map(tuple, migrations)))
    found = database.rows(_TABLES)
    if found != expected:
        kind, name, *_ = next(
            one for one in (*found, *expected) if one not in found or one not in expected
        )
        raise DamagedLibraryError(
            f"{database.path.parent}: its database is damaged, or not made by facehash: its tables "
            f"are not those of a library of version {len(migrations)} ({kind} {name!r})"
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
    """Return the version of a library's database, 0 for an empty file.

    Raises:
        LibraryError: The file belongs to another program.
    """
    identifier = database.value("PRAGMA application_id")
    version = database.value("PRAGMA user_version")
    if identifier == APPLICATION_ID and version > 0:
        return int(version)
    if identifier == 0 and version == 0 and not database.value("SELECT 1 FROM sqlite_master"):
        return 0
    raise LibraryError(f"{database.path}: a SQLite file, but not a facehash library")
