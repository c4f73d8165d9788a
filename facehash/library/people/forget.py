"""Forgetting: rows, crops, names and index entries are gone from the disk, not only from sight.

SQLite overwrites what is deleted (``secure_delete``), the file is then written anew without gaps
(``VACUUM``), its log is cut to nothing, and the index files are made again. What the file system
or the drive keeps of earlier versions, and backups, are beyond this program's reach. The photos
themselves are not touched; their digests are kept, unless `allow_reindex` is given, so that the
next run over the folder does not bring them back.

Out of the database comes first, with a note in it that the disk is not wiped yet: whoever writes
next makes up for a run that was stopped in between.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from facehash.errors import InputError
from facehash.files import FileInUseError
from facehash.library.derived.arrays import spaces, write_index
from facehash.library.derived.codes import read_hasher
from facehash.library.people.people import person_id
from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.records import UNDER, under
from facehash.library.storage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forgotten:
    """What is gone.

    Attributes:
        faces: How many faces.
        photos: How many photos, all of whose faces are gone.
        left: Photos that stay for the sake of other faces on them, with their paths.
    """

    faces: int
    photos: int
    left: int


def forget_person(store: Store, name: str, allow_reindex: bool = False) -> Forgotten:
    """Forget somebody: the faces, the name and earlier names, and photos of nobody else.

    Args:
        store: The library, held for writing.
        name: Who.
        allow_reindex: Let the next run over the folder bring the photos back.

    Raises:
        LibraryError: There is nobody of that name.
        PendingEraseError: Gone from sight, but not yet from the disk.
    """

    def find() -> Deletion:
        person = person_id(store, name)
        rows = store.database.rows("SELECT id FROM faces WHERE person_id = ?", (person,))
        return Deletion(faces=[face for (face,) in rows])

    return _forget(store, f"person {name}", find, allow_reindex)


def forget_faces(store: Store, face_ids: Sequence[int], allow_reindex: bool = False) -> Forgotten:
    """Forget some faces, and photos on which there is no other.

    Args:
        store: The library, held for writing.
        face_ids: The faces, as a search shows them.
        allow_reindex: Let the next run over the folder bring the photos back.

    Raises:
        LibraryError: No such face.
        PendingEraseError: As `forget_person`.
    """

    def find() -> Deletion:
        store.faces(face_ids)
        return Deletion(faces=[int(face) for face in face_ids])

    return _forget(store, f"faces {sorted(face_ids)}", find, allow_reindex)


def forget_photo(store: Store, path: Path, allow_reindex: bool = False) -> Forgotten:
    """Forget a photo, or all photos in a folder, with their copies elsewhere.

    Args:
        store: The library, held for writing.
        path: A file or folder, which need not exist any more.
        allow_reindex: Let the next run over the folder bring it back.

    Raises:
        LibraryError: The library has no such photo.
        PendingEraseError: As `forget_person`.
    """
    # A folder that is gone has no links to resolve, but the part of the path that exists may.
    full = Path(os.path.realpath(path.parent), path.name)

    def find() -> Deletion:
        rows = store.database.rows(f"SELECT photo_id, path FROM paths WHERE {UNDER}", under(full))  # noqa: S608
        if not rows:
            raise LibraryError(f"{store.directory}: has no photo {full}")
        return Deletion(
            photos=[photo for photo, _ in rows if photo is not None],
            # Files that could not even be opened have no photo.
            paths=[path for photo, path in rows if photo is None],
        )

    return _forget(store, f"photo {full}", find, allow_reindex)


class PendingEraseError(LibraryError):
    """What was forgotten is out of the library, but the disk still holds it."""


def is_wiped(store: Store) -> bool:
    """Return whether nothing waits to be wiped from the disk."""
    return not store.database.value("SELECT 1 FROM pending_erase")


def finish_forgetting(store: Store) -> set[bytes]:
    """Wipe what a run that was stopped had left.

    Args:
        store: The library, held for writing.

    Returns:
        What that run was asked, as digests; nothing where nothing was left.

    Raises:
        PendingEraseError: Another process is reading, or the disk is full.
    """
    unfinished = {digest for (digest,) in store.database.rows("SELECT request FROM pending_erase")}
    if unfinished:
        _wipe(store)
        log.info("wiped from the disk what an earlier facehash forget had left")
    return unfinished


def erase(store: Store) -> None:
    """Leave nothing on the disk of what was deleted from the database.

    Raises:
        FileInUseError: Another process is reading.
        LibraryError: The disk is full.
        OSError: The same, for an index file.
    """
    settings = store.settings()
    fitted = read_hasher(store.database, settings) is not None
    write_index(store, spaces(settings, fitted))
    store.database.run("VACUUM")
    store.database.empty_log()
    store.database.run("DELETE FROM pending_erase")


def _wipe(store: Store) -> None:
    """Do as `erase`, and say what it means that it cannot be done."""
    try:
        erase(store)
    except DamagedLibraryError:
        raise
    except (InputError, OSError) as error:
        busy = isinstance(error, FileInUseError)
        why = "another process is reading" if busy else "its disk is full or cannot be written to"
        raise PendingEraseError(
            f"{store.directory}: forgotten, but the disk still holds it ({why}); "
            f"facehash rebuild --library {store.directory} wipes it then"
        ) from error


class Deletion(NamedTuple):
    """What is to be deleted: faces and photos by their ids, and files that have no photo."""

    faces: Sequence[int] = ()
    photos: Sequence[int] = ()
    paths: Sequence[bytes] = ()


def _forget(
    store: Store, request: str, find: Callable[[], Deletion], allow_reindex: bool
) -> Forgotten:
    """Delete what `find` finds; where it is gone already, wipe what the same request had left."""
    database = store.database
    digest = hashlib.sha256(os.fsencode(request)).digest()
    unfinished = finish_forgetting(store)
    try:
        doomed = find()
    except LibraryError:
        if digest in unfinished:
            return Forgotten(0, 0, 0)
        raise
    before = database.value("SELECT count(*) FROM faces")
    with database.transaction():
        touched = {
            photo
            for face in doomed.faces
            for (photo,) in database.rows("SELECT photo_id FROM faces WHERE id = ?", (face,))
        }
        database.run_many("DELETE FROM faces WHERE id = ?", _single(doomed.faces))
        empty = {
            photo
            for photo in touched
            if not database.value("SELECT count(*) FROM faces WHERE photo_id = ?", (photo,))
        }
        photos = _single(sorted(empty | set(doomed.photos)))
        if not allow_reindex:
            database.run_many(
                "INSERT OR IGNORE INTO excluded SELECT digest FROM photos WHERE id = ?", photos
            )
        database.run_many("DELETE FROM photos WHERE id = ?", photos)
        database.run_many("DELETE FROM paths WHERE path = ?", _single(doomed.paths))
        store.prune()
        database.run("INSERT INTO pending_erase VALUES (?)", (digest,))
    _wipe(store)
    after = database.value("SELECT count(*) FROM faces")
    return Forgotten(before - after, len(photos), len(touched - empty))


def _single(values: Iterable[object]) -> list[tuple[object]]:
    return [(value,) for value in values]
