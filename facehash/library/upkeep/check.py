"""Is a library sound? What is wrong with it, and what cures that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facehash.library.derived.arrays import collect, load, spaces
from facehash.library.derived.codes import encode, encode_all, read_hasher
from facehash.library.people.forget import erase, is_wiped
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.library.storage.folder import FILE_MODE, FOLDER_MODE, open_to_others
from facehash.library.storage.outside import check_no_symlinks
from facehash.library.storage.records import path_of
from facehash.library.storage.seals import broken
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

Cure = Literal["rebuild", "reindex", "rename", "reread", "restore"]

FIXES: dict[Cure, str] = {
    "rebuild": "facehash rebuild cures it",
    "reindex": "facehash index, over the folders that were indexed, cures it",
    "rename": "facehash people name NAME FACE cures it",
    "reread": "facehash forget --photo PHOTO --allow-reindex, then facehash index, cures it",
    "restore": "nothing here cures it: take a backup, or index the photos into a new library",
}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a library.

    Attributes:
        what: In one line.
        cure: A key of `FIXES`.
    """

    what: str
    cure: Cure


def check(directory: Path) -> list[Problem]:
    """Look at everything a library holds.

    Args:
        directory: The library; nothing in it is changed, except that a library of an earlier
            version becomes one of this.

    Returns:
        What is wrong, worst first.

    Raises:
        LibraryError: No library, one of a newer version, or one that nothing was indexed into.
    """
    problems: list[Problem] = []
    try:
        # Of one moment: somebody may be writing.
        with Store.open(directory) as store, store.database.snapshot():
            problems += _check_database(store.database)
            # What follows would only stumble over the same damage.
            if not problems:
                settings = store.settings()
                if not is_wiped(store):
                    problems.append(Problem("the disk still holds what was forgotten", "rebuild"))
                problems += _check_rows(store, settings)
                problems += _check_index(store, settings)
                problems += _check_seals(store)
                problems.sort(key=lambda problem: list(FIXES).index(problem.cure), reverse=True)
    except DamagedLibraryError as error:
        problems.insert(0, Problem(str(error), "restore"))
    opened = open_to_others(directory)
    if opened:
        what = f"others can reach {len(opened)} of its files, such as {opened[0]}"
        problems.append(Problem(what, "rebuild"))
    return problems


def rebuild(directory: Path) -> None:
    """Make again whatever follows from the vectors and codes in the database, and wipe its gaps.

    SQLite's own indexes, rows that belong to nothing, codes made of vectors, index files, and who
    may reach the files.

    Args:
        directory: The library, held for writing.

    Raises:
        DamagedLibraryError: The database itself is damaged; no rebuild cures that.
        InputError: Something in the library leads outside.
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
        damage = [one for one in _check_database(store.database) if one.cure == "restore"]
        if damage:
            raise DamagedLibraryError(f"{directory}: {damage[0].what}; {FIXES['restore']}")
        for problem in _check_seals(store):
            # Index files made of such rows would look sound.
            raise DamagedLibraryError(f"{directory}: {problem.what}; {FIXES[problem.cure]}")
        with store.database.transaction():
            for table, _, parent, _ in store.database.rows("PRAGMA foreign_key_check"):
                _drop_orphans(store.database, table, parent)
            store.prune()
            hasher = read_hasher(store.database, settings)
            if hasher is not None:
                encode_all(store, settings, hasher)
        erase(store)


_PARENT_COLUMN = {"photos": "photo_id", "people": "person_id", "faces": "face_id"}


def _drop_orphans(database: Database, table: str, parent: str) -> None:
    column = _PARENT_COLUMN[parent]
    missing = f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {parent})"  # noqa: S608
    if (table, parent) == ("faces", "people"):
        database.run(f"UPDATE faces SET person_id = NULL, named_by = NULL WHERE {missing}")  # noqa: S608
    else:
        database.run(f"DELETE FROM {table} WHERE {missing}")  # noqa: S608


def _check_database(database: Database) -> Iterator[Problem]:
    """Let SQLite look at its file."""
    for (told,) in database.rows("PRAGMA integrity_check(5)"):
        if told != "ok":
            # Only its own indexes can be made again of the tables.
            cure: Cure = "rebuild" if "index" in told and "missing" in told else "restore"
            yield Problem(f"the database is damaged: {' '.join(told.split())}", cure)
    orphans = database.rows("PRAGMA foreign_key_check")
    if orphans:
        yield Problem(f"{len(orphans)} rows of the database belong to nothing", "rebuild")


def _check_seals(store: Store) -> Iterator[Problem]:
    """See that every row is as it was written."""
    for place, keys, lost in broken(store.database):
        what, cure = _ROWS.get(place, (place.replace("_", " "), "restore"))
        if lost and cure != "reindex":
            cure = "restore"
        shown = [one for key in keys[:_EXAMPLES] for one in _examples(store, place, key)]
        examples = f", such as {', '.join(shown[:_EXAMPLES])}" if shown else ""
        yield Problem(
            f"{len(keys) + lost} of its {what} are not as they were written{examples}", cure
        )


_EXAMPLES = 3
_ROWS: dict[str, tuple[str, Cure]] = {
    "photos": ("photos", "reread"),
    "faces": ("faces", "reread"),
    "crops": ("pictures of faces", "reread"),
    "paths": ("paths", "reindex"),
    "names of faces": ("faces' names", "rename"),
    "people": ("people's names", "rename"),
}
_PATH = "SELECT min(path) FROM paths WHERE photo_id = "


def _examples(store: Store, place: str, key: int | None) -> list[str]:
    """Name what the cure of a damaged row is told: a photo, or faces."""
    if place == "names of faces":
        return [f"face {key}"]
    if place == "people":
        faces = store.database.rows("SELECT id FROM faces WHERE person_id = ?", (key,))
        return [f"face {face}" for (face,) in faces]
    if place not in ("photos", "faces", "crops"):
        return []
    photo = "?" if place == "photos" else "(SELECT photo_id FROM faces WHERE id = ?)"
    path = store.database.value(_PATH + photo, (key,))
    return [str(path_of(path))] if path else []


def _check_rows(store: Store, settings: Settings) -> Iterator[Problem]:
    """See that every face has what it should have."""
    hasher = read_hasher(store.database, settings)
    for column, space in spaces(settings, hasher is not None).items():
        missing = store.database.value(f"SELECT count(*) FROM faces WHERE {column} IS NULL")  # noqa: S608
        made = column == "code" and hasher is not None
        if missing:
            cure: Cure = "rebuild" if made else "restore"
            yield Problem(f"{missing} faces have no {column}", cure)
        try:
            for _, rows in store.rows(column, space):
                space.check(rows, f"the faces' {column}s")
        except ValueError as error:
            yield Problem(str(error), "rebuild" if made else "restore")
            return
    if hasher is not None and not missing:
        vectors = store.rows("embedding", settings.space)
        codes = store.rows("code", spaces(settings, True)["code"])
        wrong = sum(
            int((encode(hasher, rows, settings) != stored).any(axis=1).sum())
            for (_, rows), (_, stored) in zip(vectors, codes, strict=True)
        )
        if wrong:
            yield Problem(f"{wrong} faces have a code that is not that of their vector", "rebuild")
    crops = store.database.value(
        "SELECT count(*) FROM faces WHERE id NOT IN (SELECT face_id FROM crops)"
    )
    if crops:
        yield Problem(f"{crops} faces have no picture to be shown", "restore")


def _check_index(store: Store, settings: Settings) -> Iterator[Problem]:
    """Compare the index files with what the database makes of them."""
    fitted = read_hasher(store.database, settings) is not None
    for column, space in spaces(settings, fitted).items():
        try:
            found = load(store, column, space)
        except LibraryError as error:
            yield Problem(str(error), "rebuild")
            continue
        if found is None:
            # A search reads the database instead: slower, not wrong.
            yield Problem(f"the index files of the {column}s are missing or old", "rebuild")
        elif not all(map(np.array_equal, found, collect(store, column, space))):
            yield Problem(f"the index files of the {column}s are not its {column}s", "rebuild")
