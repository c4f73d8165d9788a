"""Faces that a person has pointed out because the detector missed them.

A row of ``added_faces`` says so, by the digest of the photo and the box. It outlives the photo, and
goes into a backup. While the library has the photo, `faces` has a row with the same box, unless the
detector has found the face too: a detected face at the same place is the same face.
`facehash.library.ingest.added` makes these rows.
"""

from collections.abc import Sequence

from facehash.library.people.journal import statement
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.printing import quoted


def remove_faces(store: Store, face_ids: Sequence[int]) -> int:
    """Remove faces that were added by hand, as one statement of the journal.

    Args:
        store: The library, locked for writing.
        face_ids: The faces, by the ids that a search prints.

    Returns:
        The number of removed faces.

    Raises:
        LibraryError: A face does not exist, or the detector has found it.

    Example:
        >>> remove_faces(store, [17])  # doctest: +SKIP
        1
    """
    for face in store.faces(face_ids):
        if not face.added:
            raise LibraryError(
                f"face {face.id} was found by the detector; to delete it from the library: "
                f"facehash forget --face {face.id} --library {quoted(store.directory)}"
            )
    ids = [(int(face),) for face in set(face_ids)]
    with statement(store, "remove-face"):
        store.database.run_many(
            "DELETE FROM added_faces WHERE (digest, x, y, width, height) = "
            "(SELECT digest, x, y, faces.width, faces.height "
            "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?)",
            ids,
        )
        store.database.run_many("DELETE FROM faces WHERE id = ?", ids)
        store.prune()
    return len(ids)
