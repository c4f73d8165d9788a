"""The ignore list: faces of people who do not matter, such as passers-by.

An ignored face is neither suggested nor listed among the unknown faces; a search still finds it. It
is meant by the content of its photo and its box, so that it stays ignored when the photo moves, and
the list goes into a backup. Naming a face takes it off the list.
"""

from collections.abc import Sequence

from facehash.library.people.journal import statement
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store

_THIS_FACE = (
    "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ? "
    "AND (photos.digest, faces.x, faces.y, faces.width, faces.height) = "
    "(ignored.digest, ignored.x, ignored.y, ignored.width, ignored.height)"
)


def ignore_faces(store: Store, face_ids: Sequence[int]) -> int:
    """Ignore faces without a name, as one statement of the journal.

    Args:
        store: The library, locked for writing.
        face_ids: The faces, by the ids that a search prints.

    Returns:
        The number of faces that were not ignored before.

    Raises:
        LibraryError: A face does not exist, or has a name.

    Example:
        >>> ignore_faces(store, [17, 23])  # doctest: +SKIP
        2
    """
    for face in store.faces(face_ids):
        if face.name is not None:
            raise LibraryError(
                f"face {face.id} is of {face.name!r}; take the name away before you ignore the face"
            )
    with statement(store, "ignore"):
        return store.database.run_many(
            "INSERT OR IGNORE INTO ignored SELECT digest, x, y, faces.width, faces.height "
            "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?",
            _single(face_ids),
        )


def unignore_faces(store: Store, face_ids: Sequence[int]) -> int:
    """Ignore faces no longer, as one statement of the journal.

    Args:
        store: The library, locked for writing.
        face_ids: The faces.

    Returns:
        The number of faces that were ignored.

    Raises:
        LibraryError: A face does not exist.
    """
    store.faces(face_ids)
    with statement(store, "unignore"):
        return drop_ignored(store, face_ids)


def drop_ignored(store: Store, face_ids: Sequence[int]) -> int:
    """Take faces off the ignore list, within a transaction, and return how many were on it."""
    return store.database.run_many(
        f"DELETE FROM ignored WHERE EXISTS (SELECT 1 {_THIS_FACE})",  # noqa: S608
        _single(face_ids),
    )


def ignored_faces(store: Store) -> set[int]:
    """Return the ids of all faces that are ignored.

    A face with a name is not: a folder or a list may have named it since.
    """
    rows = store.database.rows(
        "SELECT faces.id FROM ignored JOIN photos USING (digest) JOIN faces "
        "ON faces.photo_id = photos.id AND (faces.x, faces.y, faces.width, faces.height) = "
        "(ignored.x, ignored.y, ignored.width, ignored.height) WHERE person_id IS NULL"
    )
    return {face for (face,) in rows}


def _single(face_ids: Sequence[int]) -> list[tuple[int]]:
    return [(int(face),) for face in face_ids]
