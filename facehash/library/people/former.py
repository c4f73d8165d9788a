"""Faces of photos that the library does not have any more, and about which something was said.

The table ``parked`` has those with a name that a person gave, ``former_faces`` the others: a person
has taken their name away, or said who they are not. Both have what is needed to find the face again
when its photo is back or has changed. A statement, or undoing one, takes a face from one table to
the other.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from facehash.images.face import overlap
from facehash.library.people.changes import FaceKey, as_key
from facehash.library.storage.records import bytes_of
from facehash.library.storage.store import SAID, Store

SAME_FACE = 0.5
"""Overlap (intersection over union) of two boxes from which they frame the same face."""
SAME_DRAWN = 0.3
"""The same if a person has drawn one of the boxes."""

_KEY = "digest = ? AND (x, y, width, height) = (?, ?, ?, ?)"
_DETAILS = "faces, path, vector, score, quality, reason, since"


class Face(NamedTuple):
    """A face of the library."""

    id: int
    key: FaceKey
    person: int | None
    named_by: str | None

    @property
    def is_free(self) -> bool:
        """Whether no person has said whose face it is."""
        return self.named_by not in ("csv", "user")


class Pair(NamedTuple):
    """A former face, and a face that may be the same."""

    order: tuple[float, ...]  # the best pairs have the smallest
    former: FaceKey
    person: int | None  # None: a face without a name, about which something else was said
    named_by: str | None
    face: Face


def park(
    store: Store,
    face: FaceKey,
    person: int,
    named_by: str,
    *,
    faces: int = 0,
    path: Path | None = None,
    reason: str = "gone",
) -> None:
    """Give a face that the library does not have a name, within a transaction.

    Args:
        store: The library, locked for writing.
        face: The face.
        person: The id of the person.
        named_by: ``csv`` or ``user``.
        faces: The number of faces in the photo, 0 if unknown. This and the following are used for a
            face of which the library knows nothing else.
        path: Where the photo was.
        reason: Why it is not there, as in `facehash.library.people.parked.ParkedName`.
    """
    run, value = store.database.run, store.database.value
    for table in ("parked", "former_faces"):
        if value(f"SELECT 1 FROM {table} WHERE {_KEY}", face):  # noqa: S608
            run(
                "INSERT OR REPLACE INTO parked SELECT digest, x, y, width, height, ?, ?, "  # noqa: S608
                f"{_DETAILS} FROM {table} WHERE {_KEY}",
                (person, named_by, *face),
            )
            break
    else:
        run(
            "INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?, "
            "CAST(strftime('%s', 'now') AS INTEGER))",
            (*face, person, named_by, faces, None if path is None else bytes_of(path), reason),
        )
    run(f"DELETE FROM former_faces WHERE {_KEY}", face)  # noqa: S608


def unpark(store: Store, faces: Iterable[FaceKey]) -> int:
    """Take parked names away, within a transaction; return their number.

    What is known about the faces stays for as long as something else is said about them.
    """
    keys = list(faces)
    store.database.run_many(
        f"INSERT OR REPLACE INTO former_faces SELECT digest, x, y, width, height, {_DETAILS} "  # noqa: S608
        f"FROM parked WHERE {_KEY}",
        keys,
    )
    return store.database.run_many(f"DELETE FROM parked WHERE {_KEY}", keys)  # noqa: S608


def follow_faces(store: Store) -> None:
    """Give the parked names of faces that the library has too the names of these faces.

    Must run in a transaction. A killed index run leaves such names; the next one removes them.
    """
    rows = store.database.rows(
        "SELECT digest, parked.x, parked.y, parked.width, parked.height, faces.person_id, "
        # CROSS: few names are parked, so photos and faces are looked up, not searched.
        "faces.named_by FROM parked CROSS JOIN photos USING (digest) "
        "CROSS JOIN faces ON faces.photo_id = photos.id AND (faces.x, faces.y, faces.width, "
        "faces.height) = (parked.x, parked.y, parked.width, parked.height)"
    )
    for *key, person, named_by in rows:
        if named_by in ("csv", "user"):
            park(store, as_key(tuple(key)), person, named_by)
        else:
            unpark(store, [as_key(tuple(key))])


def return_names(store: Store, *, waiting: bool = True) -> int:
    """Give names back to photos whose content the library has again, within a transaction.

    Args:
        store: The library, locked for writing.
        waiting: Remove also names that wait for another content of a file while their own photo has
            them; an index run has carried them over by now.

    Returns:
        The number of names.
    """
    rows = store.database.rows(
        "SELECT digest, parked.x, parked.y, parked.width, parked.height, parked.person_id, "
        "parked.named_by, parked.reason, faces.id, faces.x, faces.y, faces.width, faces.height, "
        "faces.person_id, faces.named_by FROM parked CROSS JOIN photos USING (digest) "
        "CROSS JOIN faces ON faces.photo_id = photos.id"
    )
    # Boxes that a person drew frame faces less tightly than those of the detector.
    drawn = store.database.rows("SELECT digest, x, y, width, height FROM added_faces")
    added = {as_key(row) for row in drawn}
    pairs: list[Pair] = []
    for digest, *spot, person, named_by, reason, face_id, x, y, width, height, owner, by in rows:
        face = Face(face_id, (digest, x, y, width, height), owner, by)
        key, common = as_key((digest, *spot)), overlap(spot, face.key[1:])
        least = SAME_DRAWN if key in added else SAME_FACE
        if common >= least and (waiting or face.is_free or reason != "changed"):
            pairs.append(Pair((-common,), key, person, named_by, face))
    return assign(store, pairs)


def find_faces_again(store: Store) -> None:
    """Make what was said about faces mean the faces that are there, within a transaction.

    A photo that is read again, by another version of the detector for example, may have the same
    face in a slightly different box.
    """
    faces: dict[FaceKey, list[tuple[float, FaceKey]]] = defaultdict(list)
    for digest, *spot, x, y, width, height in store.database.rows(_MISPLACED):
        face = (digest, x, y, width, height)
        faces[as_key((digest, *spot))].append((overlap(spot, face[1:]), face))
    for key, found in faces.items():
        common, nearest = max(found)
        if common >= SAME_FACE:
            move_face(store, key, nearest)
    store.database.run("DELETE FROM former_faces WHERE digest IN (SELECT digest FROM photos)")


# Boxes about which something was said and that no face of the photo has, with all of its faces.
_ALL_SAID = " UNION ".join(f"SELECT digest, x, y, width, height FROM {table}" for table in SAID)  # noqa: S608
_MISPLACED = f"""
    WITH said AS ({_ALL_SAID})
    SELECT said.*, faces.x, faces.y, faces.width, faces.height
    FROM said CROSS JOIN photos USING (digest) JOIN faces ON faces.photo_id = photos.id
    WHERE NOT EXISTS (SELECT 1 FROM faces AS same WHERE same.photo_id = photos.id
        AND (same.x, same.y, same.width, same.height) =
        (said.x, said.y, said.width, said.height))
    AND NOT EXISTS (SELECT 1 FROM statement_changes AS added WHERE added.digest = said.digest
        AND (added.x, added.y, added.width, added.height) =
        (said.x, said.y, said.width, said.height) AND 'added' IN (before_as, after_as))"""  # noqa: S608


def assign(store: Store, pairs: Iterable[Pair]) -> int:
    """Give each former face at most one face, and each face at most one; return names given."""
    found = 0
    done: set[FaceKey] = set()
    taken: set[int] = set()
    for _, key, person, named_by, face in sorted(pairs, key=lambda one: (one.order, one.former)):
        if key in done or face.id in taken or not _agree(store, key, person, face):
            continue
        done.add(key)
        taken.add(face.id)
        if person is not None and face.is_free:
            found += 1
            store.database.run(
                "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?",
                (person, named_by, face.id),
            )
        if key[0] != face.key[0]:
            is_copy = store.database.value("SELECT 1 FROM photos WHERE digest = ?", (key[0],))
            # What is undone about a face with a name is what was said about its own content.
            move_face(store, key, face.key, copy=bool(is_copy), journal=face.is_free)
        for table in ("parked", "former_faces"):
            store.database.run(f"DELETE FROM {table} WHERE {_KEY}", key)  # noqa: S608
    return found


def _agree(store: Store, key: FaceKey, person: int | None, face: Face) -> bool:
    """Return whether what was said about a face does not contradict what was said about another.

    What was said since about the same photo counts. Of another one, both stays.
    """
    if key[0] == face.key[0]:
        return True
    query = f"SELECT person_id FROM rejections WHERE {_KEY}"  # noqa: S608
    before, since = ({who for (who,) in store.database.rows(query, one)} for one in (key, face.key))
    if face.is_free:
        return person not in since
    return person in (None, face.person) and face.person not in before


def move_face(
    store: Store, old: FaceKey, new: FaceKey, *, copy: bool = False, journal: bool = True
) -> None:
    """Make all that was said about a face mean another one, within a transaction.

    Args:
        store: The library, locked for writing.
        old: The face.
        new: The other face, of the same photo or of the changed file.
        copy: Whether it is said about both faces from now on.
        journal: Whether statements about the face are undone for the other face, too.
    """
    run = store.database.run
    for table in SAID:
        if table == "statement_changes" and not journal:
            continue
        columns = _OTHER_COLUMNS[table]
        others = "".join(f", {one}" for one in columns)
        equal = "".join(f" AND {one} IS old.{one}" for one in columns)
        run(
            f"INSERT INTO {table} (digest, x, y, width, height{others}) "  # noqa: S608
            f"SELECT ?, ?, ?, ?, ?{others} FROM {table} AS old WHERE {_KEY} "
            f"AND NOT EXISTS (SELECT 1 FROM {table} WHERE {_KEY}{equal})",
            (*new, *old, *new),
        )
        if not copy:
            run(f"DELETE FROM {table} WHERE {_KEY}", old)  # noqa: S608


_OTHER_COLUMNS = {
    "rejections": ("person_id",),
    "ignored": (),
    "statement_changes": ("statement_id", "name", "before", "before_as", "after", "after_as"),
}
