"""A SQLite file whose failures are told in a user's words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from facehash.errors import InputError
from facehash.files import FileInUseError

Row = tuple[Any, ...]
Values = tuple[Any, ...]

# A limit or a quota is told as an error of input and output, as it is not a full disk.
_NO_ROOM = (
    "SQLITE_FULL",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_SHMSIZE",
    "SQLITE_IOERR_TRUNCATE",
)
_WAIT_SECONDS = 30.0
_BATCH = 4096
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")
# What SQLite and Python have no number of their own for.
_DAMAGE_IN_WORDS = ("unsupported file format", "malformed database schema", "Could not decode")


class LibraryError(InputError):
    """A library that cannot be used, with what is wrong and what would help."""


class DamagedLibraryError(LibraryError):
    """A library whose database SQLite cannot read."""


class Database:
    """One connection to a SQLite file.

    Deleted content is overwritten (``secure_delete``), foreign keys hold, and what somebody wrote
    into the file's own tables, triggers and views can call nothing that does harm.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Connect to a file that exists; an empty one is a database without tables.

        Raises:
            LibraryError: It cannot be opened, or is no database.
        """
        self.path = path
        self._before_writing: Callable[[], None] | None = None
        with self._telling():
            self._connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            try:
                for pragma in (
                    "trusted_schema = OFF",
                    "cell_size_check = ON",
                    "foreign_keys = ON",
                    "secure_delete = ON",
                    # A power cut may take the last batch, never the database.
                    "synchronous = NORMAL",
                    # No copy of a face in the system's folder for temporary files, by VACUUM.
                    "temp_store = MEMORY",
                ):
                    self._connection.execute(f"PRAGMA {pragma}").close()
            except BaseException:
                self._connection.close()
                raise

    def keep_log(self) -> None:
        """Let readers and the one writer not wait for each other, by a write-ahead log.

        Raises:
            LibraryError: The file may not be written to.
        """
        self.run("PRAGMA journal_mode = WAL")

    def define(self, name: str, function: Callable[..., bytes]) -> None:
        """Let this connection's own SQL call a function that depends on its values only."""
        self._connection.create_function(name, -1, function, deterministic=True)

    def before_writing(self, prepare: Callable[[], None]) -> None:
        """Call a function once, before the first statement of `run` or `run_many`."""
        self._before_writing = prepare

    def close(self) -> None:
        """Close the connection; the last one to close takes the log with it."""
        with self._telling():
            self._connection.close()

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query.

        Raises:
            LibraryError: The file is damaged, busy, or cannot be read.
        """
        with self._telling():
            return self._connection.execute(sql, values).fetchall()

    def value(self, sql: str, values: Values = ()) -> Any:
        """Return the first value of the first row, or None without rows.

        Raises:
            LibraryError: As `rows`.
        """
        found = self.rows(sql, values)
        return found[0][0] if found else None

    def batches(self, sql: str, values: Values = ()) -> Iterator[list[Row]]:
        """Yield the rows of a query, some thousands at a time.

        Raises:
            LibraryError: As `rows`.
        """
        with self._telling():
            cursor = self._connection.execute(sql, values)
        try:
            while True:
                with self._telling():
                    batch = cursor.fetchmany(_BATCH)
                if not batch:
                    return
                yield batch
        finally:
            cursor.close()

    def run(self, sql: str, values: Values = ()) -> int:
        """Run a statement and return the id of the row it inserted last.

        Raises:
            LibraryError: As `rows`, or the disk is full or may not be written to.
        """
        self._prepare()
        with self._telling():
            return self._connection.execute(sql, values).lastrowid or 0

    def run_many(self, sql: str, values: Iterable[Values]) -> int:
        """Run a statement for each tuple of values and return how many rows it changed.

        Raises:
            LibraryError: As `run`.
        """
        self._prepare()
        with self._telling():
            return max(0, self._connection.executemany(sql, values).rowcount)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what the block writes appear at once when it ends, or not at all.

        Raises:
            LibraryError: As `run`.
        """
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself when the disk was full.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that the block reads be of one moment, whatever a writer does meanwhile.

        Raises:
            LibraryError: As `rows`.
        """
        self.run("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def empty_log(self) -> None:
        """Move the write-ahead log into the file and cut it to nothing.

        Raises:
            FileInUseError: Another process is reading, so that the log must stay.
        """
        [(busy, _, _)] = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise FileInUseError(f"{self.path.parent}: another process reads it; try again")

    def _prepare(self) -> None:
        # Never within a transaction, which begins with a statement of its own.
        prepare, self._before_writing = self._before_writing, None
        if prepare:
            prepare()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            told = _tell(self.path, error)
            if told is None:
                raise
            raise told from error
        except UnicodeDecodeError as error:
            # SQLite's own words on a damaged table repeat the bytes of its name.
            raise _damaged(self.path, "its tables cannot be read") from error


def _tell(path: Path, error: sqlite3.DatabaseError) -> InputError | None:
    """Say what a failure means to a user; None where it is a bug."""
    # Extended names go on after the primary one: SQLITE_IOERR_WRITE.
    name = getattr(error, "sqlite_errorname", "")
    library = path.parent
    if name.startswith(_DAMAGE) or any(words in str(error) for words in _DAMAGE_IN_WORDS):
        return _damaged(path, error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FileInUseError(f"{library}: another process is writing to it; try again")
    if name in _NO_ROOM:
        return LibraryError(
            f"{library}: its disk is full or cannot be written to ({error}); what was there is "
            "whole, and the same command goes on when there is room"
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return LibraryError(f"{library}: its database cannot be used ({error})")
    return None


def _damaged(path: Path, why: object) -> DamagedLibraryError:
    library, told = path.parent, " ".join(str(why).split())
    return DamagedLibraryError(
        f"{library}: its database is damaged ({told:.200}); "
        f"facehash check --library {library} tells more"
    )
