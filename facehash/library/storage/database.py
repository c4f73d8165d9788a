"""A SQLite file whose errors come in a user's words."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import FileInUseError
from facehash.printing import quoted

Row = tuple[Any, ...]
Values = tuple[Any, ...]

_WRITE_ERRORS = ("WRITE", "FSYNC", "SHMSIZE", "TRUNCATE")
# A file size limit or a quota raises an I/O error, not SQLITE_FULL.
_NO_SPACE = ("SQLITE_FULL", *(f"SQLITE_IOERR_{one}" for one in _WRITE_ERRORS))
_WAIT_SECONDS = 30.0
_BATCH = 4096
_MOST_COPIED_IN_MEMORY = 1 << 26
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")
# Damage for which SQLite or Python has no error code of its own.
_DAMAGE_MESSAGES = ("unsupported file format", "malformed database schema", "Could not decode")
_PRAGMAS = (
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "foreign_keys = ON",
    "secure_delete = ON",
    # A power cut may lose the last batch, never the database.
    "synchronous = NORMAL",
    # VACUUM must not write a copy of the faces to the system's temporary folder.
    "temp_store = MEMORY",
)


class LibraryError(InputError):
    """A library that cannot be used; the message gives the reason and the remedy."""


class DamagedLibraryError(LibraryError):
    """A library with content that cannot be read."""


class Database:
    """One connection to a SQLite file.

    Deleted content is overwritten (``secure_delete``) and foreign keys are enforced. Triggers and
    views stored in the file cannot call functions with side effects (``trusted_schema``).
    """

    def __init__(self, path: Path) -> None:
        """Connect to an existing file; an empty one is a database without tables.

        Raises:
            LibraryError: It cannot be opened, or is not a database.
        """
        self.path = path
        with self._translated_errors():
            self._connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            try:
                for pragma in _PRAGMAS:
                    self._connection.execute(f"PRAGMA {pragma}").close()
            except BaseException:
                self._connection.close()
                raise

    def enable_log(self) -> None:
        """Switch to a write-ahead log, so that readers and the writer never wait for each other."""
        self.run("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the connection; closing the last one removes the log."""
        with self._translated_errors():
            self._connection.close()

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query.

        Raises:
            LibraryError: The file is damaged, busy or unreadable.
        """
        with self._translated_errors():
            return self._connection.execute(sql, values).fetchall()

    def value(self, sql: str, values: Values = ()) -> Any:
        """Return the first value of the first row, or None without rows; raises like `rows`."""
        found = self.rows(sql, values)
        return found[0][0] if found else None

    def batches(self, sql: str, values: Values = ()) -> Iterator[list[Row]]:
        """Yield the rows of a query in lists of at most 4,096; raises like `rows`."""
        with self._translated_errors():
            cursor = self._connection.execute(sql, values)
        try:
            while True:
                with self._translated_errors():
                    batch = cursor.fetchmany(_BATCH)
                if not batch:
                    return
                yield batch
        finally:
            cursor.close()

    def run(self, sql: str, values: Values = ()) -> int:
        """Run a statement and return the id of the last inserted row.

        Raises:
            LibraryError: As `rows`, or the disk is full or not writable.
        """
        with self._translated_errors():
            return self._connection.execute(sql, values).lastrowid or 0

    def run_many(self, sql: str, values: Iterable[Values]) -> int:
        """Run a statement once per tuple, and return the number of changed rows."""
        with self._translated_errors():
            return max(0, self._connection.executemany(sql, values).rowcount)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in the block or, after an error, nothing; raises like `run`."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # After a full disk SQLite has already rolled back.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything in the block from one moment, regardless of other writers."""
        self.run("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def vacuum(self) -> None:
        """Rewrite the file without gaps; it raises like `run`.

        SQLite first makes a copy: in memory or, of a large file, in a file without a name in the
        same folder, as the system's temporary folder may be open to others.
        """
        if self.path.stat().st_size < _MOST_COPIED_IN_MEMORY:
            self.run("VACUUM")
            return
        folder = str(self.path.resolve().parent)
        try:
            quoted_folder = folder.replace("'", "''")
            self.run(f"PRAGMA temp_store_directory = '{quoted_folder}'")
            # A SQLite without this setting would use the system's folder.
            if self.value("PRAGMA temp_store_directory") == folder:
                self.run("PRAGMA temp_store = FILE")
            self.run("VACUUM")
        finally:
            self.run("PRAGMA temp_store = MEMORY")
            self.run("PRAGMA temp_store_directory = ''")

    def empty_log(self) -> None:
        """Move the write-ahead log into the file and truncate it.

        Raises:
            FileInUseError: Another process is reading, so the log must stay.
        """
        [(busy, _, _)] = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise FileInUseError(f"{self.path.parent}: another process is reading it; try again")

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            translated = _translate(self.path, error)
            if translated is None:
                raise
            raise translated from error
        except UnicodeDecodeError as error:
            # SQLite's message about a damaged table repeats the bytes of the table's name.
            raise _damaged(self.path, "its tables cannot be read") from error


def _translate(path: Path, error: sqlite3.DatabaseError) -> InputError | None:
    """Return the error that a user sees, or None for a bug of ours."""
    # Extended names start with the primary one: SQLITE_IOERR_WRITE.
    name = getattr(error, "sqlite_errorname", "")
    library = path.parent
    if name.startswith(_DAMAGE) or any(message in str(error) for message in _DAMAGE_MESSAGES):
        return _damaged(path, error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FileInUseError(f"{library}: another process is writing to it; try again")
    if name in _NO_SPACE:
        return LibraryError(
            f"{library}: its disk is full or not writable ({error}); the library is intact, and "
            "the same command continues when there is space"
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return LibraryError(f"{library}: its database cannot be used ({error})")
    return None


def _damaged(path: Path, reason: object) -> DamagedLibraryError:
    library, message = path.parent, " ".join(str(reason).split())
    return DamagedLibraryError(
        f"{library}: its database is damaged ({message:.200}); for details run: "
        f"facehash check --library {quoted(library)}"
    )
