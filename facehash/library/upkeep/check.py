"""Find damage in a library, and repair what can be computed again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facehash.library.derived import outbox
from facehash.library.derived.arrays import spaces, verify
from facehash.library.derived.codes import complete_hasher, encode, encode_all, read_hasher
from facehash.library.people.forget import erase, pending_requests
from facehash.library.people.journal import list_statements
from facehash.library.people.parked import list_parked
from facehash.library.people.people import list_people
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.library.storage.engines import library_id, list_engines, request_erase
from facehash.library.storage.folder import (
    FILE_MODE,
    FOLDER_MODE,
    check_no_symlinks,
    open_to_others,
)
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

Fix = Literal["rebuild", "restore"]

FIXES: dict[Fix, str] = {
    "rebuild": "facehash rebuild repairs it",
    "restore": "it cannot be repaired; restore a backup, or index the photos into a new library",
}


@dataclass(frozen=True)
class Problem:
    """Damage in a library."""

    what: str  # a description in one line
    fix: Fix  # a key of `FIXES`


def check(directory: Path) -> list[Problem]:
    """Check everything in a library.

    Args:
        directory: The library. It is not changed, except that an earlier version is migrated.

    Returns:
        The problems, those without a repair first.

    Raises:
        LibraryError: No library, one of a newer version, or an empty one.
    """
    problems: list[Problem] = []
    try:
        # A snapshot, because another process may be writing.
        with Store.open(directory) as store, store.database.snapshot():
            problems += _check_database(store.database)
            # Otherwise the other checks would only meet the same damage.
            if not problems:
                settings = store.settings()
                problems += _check_rows(store, settings)
                problems += _check_index(store, settings)
                problems += _check_engines(store)
                if pending_requests(store):
                    what = "forgotten content is not yet erased from the disk"
                    problems.append(Problem(what, "rebuild"))
                problems.sort(key=lambda problem: problem.fix != "restore")
    except DamagedLibraryError as error:
        problems.insert(0, Problem(str(error), "restore"))
    opened = open_to_others(directory)
    if opened:
        what = f"other users can access {len(opened)} of its files, for example {opened[0]}"
        problems.append(Problem(what, "rebuild"))
    return problems


def rebuild(directory: Path) -> None:
    """Compute again what follows from the stored vectors, and erase deleted content.

    This covers the indexes of SQLite, orphaned rows, codes computed from vectors, index files and
    file modes. Engines get a request to erase, which the next push to them fulfills.

    Raises:
        DamagedLibraryError: The database itself is damaged.
        InputError: A symbolic link in place of one of its files.
        FileInUseError: Another process is reading.
        OSError: The disk is full.
    """
    check_no_symlinks(directory)
    directory.chmod(FOLDER_MODE)
    for path in open_to_others(directory):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
    with Store.open(directory) as store:
        settings = store.settings()
        store.database.run("REINDEX")
        damage = [one for one in _check_database(store.database) if one.fix == "restore"]
        if damage:
            raise DamagedLibraryError(f"{directory}: {damage[0].what}; {FIXES['restore']}")
        with store.database.transaction():
            for table, _, parent, _ in store.database.rows("PRAGMA foreign_key_check"):
                _drop_orphans(store.database, table, parent)
            store.prune()
            hasher = read_hasher(store.database, settings)
            if hasher is not None:
                encode_all(store, settings, hasher)
        if hasher is not None:
            complete_hasher(store, settings, hasher)
        try:
            outbox.check(store)
        except DamagedLibraryError:
            outbox.restart(store)
        request_erase(store.database)
        erase(store, rebuild=True)


_PARENT_COLUMN = {
    "photos": "photo_id",
    "people": "person_id",
    "faces": "face_id",
    "statements": "statement_id",
    "clusters": "cluster_id",
}


def _drop_orphans(database: Database, table: str, parent: str) -> None:
    column = _PARENT_COLUMN[parent]
    missing = f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {parent})"  # noqa: S608
    if (table, parent) == ("faces", "people"):
        database.run(f"UPDATE faces SET person_id = NULL, named_by = NULL WHERE {missing}")  # noqa: S608
    else:
        database.run(f"DELETE FROM {table} WHERE {missing}")  # noqa: S608


def _check_database(database: Database) -> Iterator[Problem]:
    """Let SQLite check its file."""
    for (message,) in database.rows("PRAGMA integrity_check(5)"):
        if message != "ok":
            # Only the indexes of SQLite can be computed again, from the tables.
            fix: Fix = "rebuild" if "index" in message and "missing" in message else "restore"
            yield Problem(f"the database is damaged: {' '.join(message.split())}", fix)
    orphans = database.rows("PRAGMA foreign_key_check")
    if orphans:
        yield Problem(f"{len(orphans)} rows of the database are orphaned", "rebuild")


def _check_rows(store: Store, settings: Settings) -> Iterator[Problem]:
    """Check that every face has its vector, code and picture, and can be shown."""
    hasher = read_hasher(store.database, settings)
    for column, space in spaces(settings, hasher is not None).items():
        fix: Fix = "rebuild" if column == "code" and hasher is not None else "restore"
        missing = store.database.value(f"SELECT count(*) FROM faces WHERE {column} IS NULL")  # noqa: S608
        if missing:
            yield Problem(f"{missing} faces have no {column}", fix)
        try:
            for _, rows in store.rows(column, space):
                space.check(rows, f"the {column}s of the faces")
        except ValueError as error:
            yield Problem(str(error), fix)
            return
    if hasher is not None and not missing:
        vectors = store.rows("embedding", settings.space)
        codes = store.rows("code", spaces(settings, True)["code"])
        wrong = sum(
            int((encode(hasher, rows, settings) != stored).any(axis=1).sum())
            for (_, rows), (_, stored) in zip(vectors, codes, strict=True)
        )
        if wrong:
            yield Problem(f"{wrong} faces have a code that does not match their vector", "rebuild")
    pictures = store.database.value(
        "SELECT count(*) FROM faces WHERE id NOT IN (SELECT face_id FROM crops)"
    )
    if pictures:
        yield Problem(f"{pictures} faces have no picture", "restore")
    try:
        # Whatever a search shows: boxes, paths and names.
        store.faces()
        list_people(store)
        list_parked(store)
        list_statements(store)
    except LibraryError as error:
        yield Problem(str(error).partition("; for details run")[0], "restore")


def _check_index(store: Store, settings: Settings) -> Iterator[Problem]:
    """Compare the index files with the database."""
    fitted = read_hasher(store.database, settings) is not None
    for column, space in spaces(settings, fitted).items():
        try:
            equal = verify(store, column, space)
        except LibraryError as error:
            yield Problem(str(error), "rebuild")
            continue
        if equal is None:
            # A search reads the database instead: slower, but correct.
            yield Problem(f"the index files of the {column}s are missing or stale", "rebuild")
        elif not equal:
            yield Problem(f"the index files of the {column}s differ from the database", "rebuild")


def _check_engines(store: Store) -> Iterator[Problem]:
    """Check what the library knows about the servers that have an index of it."""
    try:
        library_id(store.database)
        list_engines(store.database)
    except LibraryError as error:
        yield Problem(str(error).partition("; restore")[0], "restore")
        return
    try:
        outbox.check(store)
    except LibraryError as error:
        yield Problem(str(error).partition("; to repair it")[0], "rebuild")
