"""Forgetting: rows, crops, names and index entries are gone from the disk, not only from sight.

SQLite overwrites what is deleted (``secure_delete``), the file is then written anew without gaps
(``VACUUM``), its log is cut to nothing, and the index files are made again. What the file system
or the drive keeps of earlier versions, and backups, are beyond this program's reach. The photos
themselves are not touched; their digests are kept, unless `again` is said, so that the next run
over the folder does not bring them back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facehash.files import FileInUseError
from facehash.library.coding import read_hasher
from facehash.library.database import LibraryError
from facehash.library.derived import spaces, write_index
from facehash.library.people import person_id
from facehash.library.rows import UNDER, under
from facehash.library.store import Store


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


def forget_person(store: Store, name: str, again: bool = False) -> Forgotten:
    """Forget somebody: the faces, the name and earlier names, and photos of nobody else.

    Args:
        store: The library, held for writing.
        name: Who.
        again: Let the next run over the folder bring the photos back.

    Raises:
        LibraryError: There is nobody of that name.
        FileInUseError: Another process is reading: gone from sight, but not yet from the disk.
    """
    person = person_id(store, name)
    rows = store.database.rows("SELECT id FROM faces WHERE person_id = ?", (person,))
    return _forget(store, [face for (face,) in rows], [], again)


def forget_faces(store: Store, face_ids: Sequence[int], again: bool = False) -> Forgotten:
    """Forget some faces, and photos on which there is no other.

    Args:
        store: The library, held for writing.
        face_ids: The faces, as a search shows them.
        again: Let the next run over the folder bring the photos back.

    Raises:
        LibraryError: No such face.
        FileInUseError: As `forget_person`.
    """
    store.faces(face_ids)
    return _forget(store, face_ids, [], again)


def forget_photo(store: Store, path: Path, again: bool = False) -> Forgotten:
    """Forget a photo, or all photos in a folder, with their copies elsewhere.

    Args:
        store: The library, held for writing.
        path: A file or folder, which need not exist any more.
        again: Let the next run over the folder bring it back.

    Raises:
        LibraryError: The library has no such photo.
        FileInUseError: As `forget_person`.
    """
    # A folder that is gone has no links to resolve, but the part of the path that exists may.
    full = Path(os.path.realpath(path.parent), path.name)
    rows = store.database.rows(f"SELECT photo_id, path FROM paths WHERE {UNDER}", under(full))  # noqa: S608
    if not rows:
        raise LibraryError(f"{store.directory}: has no photo {full}")
    # Files that could not even be opened have no photo.
    store.database.run_many(
        "DELETE FROM paths WHERE path = ?", [(stored,) for photo, stored in rows if photo is None]
    )
    return _forget(store, [], [photo for photo, _ in rows if photo is not None], again)


def _forget(
    store: Store, face_ids: Sequence[int], photo_ids: Sequence[int], again: bool
) -> Forgotten:
    database = store.database
    before = database.value("SELECT count(*) FROM faces")
    with database.transaction():
        touched = {
            photo
            for face in face_ids
            for (photo,) in database.rows("SELECT photo_id FROM faces WHERE id = ?", (int(face),))
        }
        database.run_many("DELETE FROM faces WHERE id = ?", [(int(face),) for face in face_ids])
        empty = {
            photo
            for photo in touched
            if not database.value("SELECT count(*) FROM faces WHERE photo_id = ?", (photo,))
        }
        doomed = [(photo,) for photo in sorted(empty | set(photo_ids))]
        if not again:
            database.run_many(
                "INSERT OR IGNORE INTO kept_out SELECT digest FROM photos WHERE id = ?", doomed
            )
        database.run_many("DELETE FROM photos WHERE id = ?", doomed)
        store.prune()
    erase(store)
    after = database.value("SELECT count(*) FROM faces")
    return Forgotten(before - after, len(doomed), len(touched - empty))


def erase(store: Store) -> None:
    """Leave nothing on the disk of what was deleted from the database.

    Raises:
        FileInUseError: Another process is reading.
    """
    settings = store.settings()
    fitted = read_hasher(store.database, settings) is not None
    write_index(store, spaces(settings, fitted))
    try:
        store.database.run("VACUUM")
        store.database.empty_log()
    except FileInUseError as error:
        raise FileInUseError(
            f"{store.directory}: forgotten, but another process is reading, so that the disk still "
            f"holds it; facehash rebuild --library {store.directory} wipes it then"
        ) from error
