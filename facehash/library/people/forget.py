"""Forget faces, people and photos, and erase them from the files of the library.

SQLite overwrites deleted content (``secure_delete``), ``VACUUM`` rewrites the file without gaps,
the write-ahead log is truncated, index files with such content are written again, and thumbnails
are deleted. Those of photos that stay, because of other faces, are not kept again: they would show
the face.
Earlier versions that the file system, the drive or a backup keeps are out of reach. The photos
themselves are not touched.
Unless `allow_reindex` is given, their digests are kept, so that the next index run skips them.

What was said about the forgotten faces goes with them: parked names, rejections, and the statements
of the journal that mention the person or only these faces. It cannot be undone.

Rows are deleted first, together with an entry in ``pending_erase``. If the process stops before
the files are erased, the next command that writes to the library completes the work.

Engines, the servers with an index of the library, are not waited for: the same transaction notes
that something must be erased there, see `facehash.library.derived.engines.push`.
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from facehash.errors import InputError
from facehash.files import FileInUseError
from facehash.library.derived.arrays import erase_index, spaces, write_index
from facehash.library.derived.codes import read_hasher
from facehash.library.people.changes import face_key
from facehash.library.people.journal import erase_faces, erase_people, erase_photos
from facehash.library.people.people import (
    check_name,
    find_by_earlier_name,
    find_person,
    get_person,
)
from facehash.library.storage.database import DamagedLibraryError, LibraryError, Row
from facehash.library.storage.engines import request_erase
from facehash.library.storage.records import UNDER, under
from facehash.library.storage.settings import prune_folders
from facehash.library.storage.store import Store
from facehash.library.storage.thumbnails import delete_thumbnails
from facehash.printing import quoted

log = logging.getLogger(__name__)


class PendingEraseError(LibraryError):
    """Forgotten content is deleted from the database, but not yet erased from the disk."""


@dataclass(frozen=True)
class Forgotten:
    """Numbers of forgotten faces and photos."""

    faces: int
    photos: int  # none of whose faces remain
    left: int  # photos that remain, with their paths, because of other faces in them


def forget_person(store: Store, name: str, allow_reindex: bool = False) -> Forgotten:
    """Forget a person: the faces, all names, and the photos without other faces.

    Args:
        store: The library, locked for writing.
        name: The current name.
        allow_reindex: Let the next index run add the photos again.

    Raises:
        LibraryError: Nobody has this name.
        PendingEraseError: Deleted from the database, but not yet erased from the disk.
    """

    def find() -> Deletion:
        if find_person(store, name) is None and _is_in_history(store, name):
            raise LibraryError(
                f"{store.directory}: nobody is called {name!r} any more, but facehash people undo "
                "could bring the name back; to delete it: facehash people purge --history "
                f"--library {quoted(store.directory)}"
            )
        person = get_person(store, name)
        rows = store.database.rows("SELECT id FROM faces WHERE person_id = ?", (person,))
        parked = store.database.rows(f"{_PARKED} WHERE person_id = ?", (person,))
        return Deletion(faces=[face for (face,) in rows], people=[person], parked=parked)

    return _forget(store, f"person {name}", find, allow_reindex)


def forget_faces(store: Store, face_ids: Sequence[int], allow_reindex: bool = False) -> Forgotten:
    """Forget faces, by the ids that a search prints, and the photos without other faces.

    Arguments and errors are those of `forget_person`.
    """

    def find() -> Deletion:
        store.faces(face_ids)  # raises for an unknown face
        return Deletion(faces=[int(face) for face in face_ids])

    return _forget(store, f"faces {sorted(face_ids)}", find, allow_reindex)


def forget_photo(store: Store, path: Path, allow_reindex: bool = False) -> Forgotten:
    """Forget a photo, or all photos in a folder, and their copies elsewhere.

    The file or folder need not exist any more. Arguments and errors are those of `forget_person`.
    """
    # Only the parent is resolved: the path itself may be gone, or a link that was indexed.
    full = Path(os.path.realpath(path.parent), path.name)

    def find() -> Deletion:
        rows = store.database.rows(f"SELECT photo_id, path FROM paths WHERE {UNDER}", under(full))  # noqa: S608
        parked = store.database.rows(f"{_PARKED} WHERE {UNDER}", under(full))
        if not rows and not parked:
            raise LibraryError(f"{store.directory}: it has no photo {full}")
        return Deletion(
            photos=[photo for photo, _ in rows if photo is not None],
            # Files that could not be opened have no photo.
            paths=[path for photo, path in rows if photo is None],
            parked=parked,
        )

    return _forget(store, f"photo {full}", find, allow_reindex)


def pending_requests(store: Store) -> set[bytes]:
    """Return the digests of requests to forget that are not yet erased from the disk."""
    return {digest for (digest,) in store.database.rows("SELECT request FROM pending_erase")}


def finish_pending_erase(store: Store) -> set[bytes]:
    """Erase from the disk what an interrupted run has forgotten.

    Returns:
        The digests of the requests that were pending.

    Raises:
        PendingEraseError: Another process is reading, or the disk is full.
    """
    pending = pending_requests(store)
    if pending:
        _erase_or_explain(store)
        log.info("erased from the disk what an interrupted facehash forget had left")
    return pending


def erase(store: Store, *, rebuild: bool = False) -> None:
    """Erase deleted content from every file of the library.

    Args:
        store: The library, locked for writing.
        rebuild: Write all index files from the database, not only those with deleted content.

    Raises:
        FileInUseError: Another process is reading.
        LibraryError: The disk is full.
        OSError: An index file cannot be written.
    """
    settings = store.settings()
    fitted = read_hasher(store.database, settings) is not None
    (write_index if rebuild else erase_index)(store, spaces(settings, fitted))
    delete_thumbnails(store.directory)
    store.database.vacuum()
    store.database.empty_log()
    store.database.run("DELETE FROM pending_erase")


def _erase_or_explain(store: Store) -> None:
    try:
        erase(store)
    except DamagedLibraryError:
        raise
    except (InputError, OSError) as error:
        busy = isinstance(error, FileInUseError)
        reason = "another process is reading" if busy else "the disk is full or not writable"
        raise PendingEraseError(
            f"{store.directory}: forgotten, but not yet erased from the disk ({reason}); to erase "
            f"it later: facehash rebuild --library {quoted(store.directory)}"
        ) from error


class Deletion(NamedTuple):
    """What is to be deleted: ids, paths of files without a photo, and rows of `_PARKED`."""

    faces: Sequence[int] = ()
    photos: Sequence[int] = ()
    paths: Sequence[bytes] = ()
    people: Sequence[int] = ()
    parked: Sequence[Row] = ()


_PARKED = "SELECT digest, x, y, width, height, faces FROM parked"


def _forget(
    store: Store, request: str, find: Callable[[], Deletion], allow_reindex: bool
) -> Forgotten:
    """Delete what `find` returns, and erase it; a repeated interrupted request is completed."""
    database = store.database
    digest = hashlib.sha256(os.fsencode(request)).digest()
    pending = finish_pending_erase(store)
    try:
        deletion = find()
    except LibraryError:
        if digest in pending:  # an earlier run has deleted it
            return Forgotten(0, 0, 0)
        raise
    before = database.value("SELECT count(*) FROM faces")
    with database.transaction():
        touched = {
            photo
            for face in deletion.faces
            for (photo,) in database.rows("SELECT photo_id FROM faces WHERE id = ?", (face,))
        }
        names, shown = _names(store), _people_with_faces(store)
        keys = [face_key(store, face) for face in deletion.faces]
        erase_faces(store, [key for key in keys if key is not None])
        database.run_many("DELETE FROM faces WHERE id = ?", _single(deletion.faces))
        empty = {
            photo
            for photo in touched
            if not database.value("SELECT count(*) FROM faces WHERE photo_id = ?", (photo,))
        }
        database.run_many(
            "UPDATE photos SET forgotten_faces = forgotten_faces + 1 WHERE id = ?",
            _single(sorted(touched)),
        )
        photos = _single(sorted(empty | set(deletion.photos)))
        digests = [
            found
            for photo in photos
            for (found,) in database.rows("SELECT digest FROM photos WHERE id = ?", photo)
        ]
        erase_photos(store, digests)
        gone = _unpark(store, deletion.parked)
        if not allow_reindex:
            database.run_many("INSERT OR IGNORE INTO excluded VALUES (?)", _single(digests + gone))
        database.run_many("DELETE FROM parked WHERE digest = ?", _single(digests))
        database.run_many("DELETE FROM photos WHERE id = ?", photos)
        database.run_many("DELETE FROM paths WHERE path = ?", _single(deletion.paths))
        database.run_many("DELETE FROM people WHERE id = ?", _single(deletion.people))
        # Of people who lose their last face, the earlier names go too.
        lost = shown - _people_with_faces(store)
        database.run_many("DELETE FROM people WHERE id = ?", _single(sorted(lost)))
        store.prune()
        prune_folders(database)
        if database.value("SELECT count(*) FROM faces") < before:
            request_erase(database)
        # Also the journal's part of people of whom nothing is left.
        left = _names(store).keys()
        erase_people(
            store,
            {person for name, person in names.items() if name not in left},
            names.keys() - left,
        )
        store.prune()
        database.run("INSERT INTO pending_erase VALUES (?)", (digest,))
    _erase_or_explain(store)
    after = database.value("SELECT count(*) FROM faces")
    return Forgotten(before - after, len(photos), len(touched - empty))


def _unpark(store: Store, parked: Sequence[Row]) -> list[bytes]:
    """Delete parked names, and return the digests of photos that showed nobody else."""
    keys = [(digest, x, y, width, height) for digest, x, y, width, height, _ in parked]
    erase_faces(store, keys)
    store.database.run_many(
        "DELETE FROM parked WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?)", keys
    )
    named = Counter(digest for digest, *_ in parked)
    return sorted({digest for digest, *_, faces in parked if 0 < faces <= named[digest]})


def _is_in_history(store: Store, name: str) -> bool:
    """Return whether a statement took a name away that nobody has now."""
    return find_by_earlier_name(store, name) is None and bool(
        store.database.value("SELECT 1 FROM statement_changes WHERE name = ?", (check_name(name),))
    )


def _people_with_faces(store: Store) -> set[int]:
    """Return the people with a face or a parked name."""
    rows = store.database.rows(
        "SELECT person_id FROM faces WHERE person_id IS NOT NULL UNION SELECT person_id FROM parked"
    )
    return {person for (person,) in rows}


def _names(store: Store) -> dict[str, int]:
    """Return the person of every name and earlier name."""
    return dict(
        store.database.rows(
            "SELECT name, id FROM people UNION ALL SELECT name, person_id FROM aliases"
        )
    )


def _single(values: Iterable[object]) -> list[tuple[object]]:
    return [(value,) for value in values]
