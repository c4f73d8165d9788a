"""``facehash backup`` and ``restore``: everything that a person said, in one readable file.

A library is restored by the contents of photos, not by their paths. Names of photos that it does
not have are parked, and the next index run that finds the photos gives them back.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from facehash.images.face import overlap
from facehash.library.people.changes import FaceKey, as_key
from facehash.library.people.former import SAME_FACE, find_faces_again, park, unpark
from facehash.library.people.journal import statement
from facehash.library.people.people import (
    check_name,
    current_name,
    earlier_names,
    find_by_earlier_name,
    find_person,
    get_or_import_person,
)
from facehash.library.storage.database import DamagedLibraryError, Row
from facehash.library.storage.records import blob, path_of
from facehash.library.storage.store import Store
from facehash.library.upkeep.backup_file import (
    MADE_BY,
    SCHEMA,
    Backup,
    BackupAddedFace,
    BackupFace,
    BackupName,
    BackupPerson,
    BackupRejection,
)
from facehash.output import replace_output
from facehash.printing import quoted


@dataclass
class Restored:
    """What was restored."""

    named: int = 0  # faces that have a name now
    parked: int = 0  # names that wait for their photo now
    unchanged: int = 0  # names that were there
    corrections: int = 0  # faces and people that they are not, new here
    forgotten: int = 0  # names of photos that this library has forgotten; they are not restored
    conflicts: list[str] = field(default_factory=list)  # what stays as it is, one line each


def backup(store: Store, path: Path) -> Backup:
    """Write everything that a person said to a file that only its owner can read.

    Args:
        store: The library.
        path: A JSON file; `facehash.output.check_output` accepts it.

    Returns:
        The content of the file.

    Raises:
        DamagedLibraryError: A name, digest or box has the wrong type.
    """
    try:
        with store.database.snapshot():
            content = _read(store)
    # Damage can make any of the values have another type.
    except (ValidationError, AttributeError, TypeError) as error:
        raise DamagedLibraryError(
            f"{store.directory}: its names are damaged; for details run: "
            f"facehash check --library {quoted(store.directory)}"
        ) from error
    value = {"schema": SCHEMA, "made_by": MADE_BY, **content.model_dump(mode="json")}
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # a file name that is not text
        encoded = json.dumps(value, indent=1, allow_nan=False).encode()
    with replace_output(path, private=True) as temporary:
        temporary.write_bytes(encoded + b"\n")
    return content


def restore(store: Store, content: Backup, replace: bool = False) -> Restored:
    """Give a library the names of a backup, as one statement of the journal.

    What a person has said in the library stays, unless `replace` is given, and is reported as a
    conflict; names of folders are replaced. To have said who a face is not is to have said
    something. Restoring twice changes nothing.

    Args:
        store: The library, locked for writing; it may be empty.
        content: The backup.
        replace: Let the backup count where it differs from what was said here.

    Example:
        >>> restore(store, read_backup(Path("names.json"))).named  # doctest: +SKIP
        412
    """
    done = Restored()
    with statement(store, "restore"):
        _restore_people(store, content.people, done)
        faces = _Faces(store, replace, done)
        faces.restore(content.names)
        faces.restore_rejections(content.rejections)
        _restore_marks(store, content)
        find_faces_again(store)
        _restore_forgotten(store, content.forgotten, done)
        store.prune()
    return done


def _read(store: Store) -> Backup:
    rows = store.database.rows
    said = rows(
        "SELECT name, digest, x, y, faces.width, faces.height, named_by, "
        "(SELECT min(path) FROM paths WHERE paths.photo_id = photos.id), "
        "(SELECT count(*) FROM faces AS beside WHERE beside.photo_id = photos.id) "
        "FROM faces JOIN photos ON photos.id = photo_id JOIN people ON people.id = person_id "
        "WHERE named_by IN ('user', 'csv') "
        "UNION ALL SELECT name, digest, x, y, width, height, named_by, path, faces "
        "FROM parked JOIN people ON people.id = person_id ORDER BY 1, 2, 3, 4"
    )
    rejected = rows(
        "SELECT name, digest, x, y, width, height FROM rejections "
        "JOIN people ON people.id = person_id ORDER BY 1, 2, 3, 4"
    )
    ignored = rows("SELECT digest, x, y, width, height FROM ignored ORDER BY 1, 2, 3, 4, 5")
    added = rows(
        "SELECT landmarks, digest, x, y, width, height FROM added_faces ORDER BY 2, 3, 4, 5, 6"
    )
    forgotten = rows("SELECT digest FROM excluded ORDER BY digest")
    return Backup(
        people=[
            BackupPerson(name=name, earlier_names=earlier)
            for name, earlier in sorted(earlier_names(store).items())
        ],
        names=[
            BackupName(
                name=name, digest=digest.hex(), box=tuple(box), given=given, faces=faces,
                path=None if path is None else str(path_of(path)),
            )
            for name, digest, *box, given, path, faces in said
        ],
        rejections=[
            BackupRejection(name=name, digest=digest.hex(), box=tuple(box))
            for name, digest, *box in rejected
        ],
        forgotten=[digest.hex() for (digest,) in forgotten],
        ignored=[BackupFace(digest=digest.hex(), box=tuple(box)) for digest, *box in ignored],
        added=[
            BackupAddedFace(digest=digest.hex(), box=tuple(box), landmarks=_points(landmarks))
            for landmarks, digest, *box in added
        ],
    )  # fmt: skip


def _points(stored: bytes | None) -> Any:
    """Return stored landmarks as pairs of numbers; the model checks their number."""
    return None if stored is None else np.frombuffer(stored, "<f4").reshape(-1, 2).tolist()


def _restore_people(store: Store, people: Sequence[BackupPerson], done: Restored) -> None:
    for person in people:
        own = get_or_import_person(store, person.name)
        for name in map(check_name, person.earlier_names):
            other = find_person(store, name)
            if other is None:
                other = find_by_earlier_name(store, name)
            if other is None:
                store.database.run("INSERT INTO aliases VALUES (?, ?)", (name, own))
            elif other != own:
                done.conflicts.append(
                    f"{name!r} is a name of {current_name(store, other)!r} here, and an earlier "
                    f"name of {person.name!r} in the backup"
                )


class _Face(NamedTuple):
    """A face of the library, or one that waits for its photo."""

    key: FaceKey
    id: int | None  # None: the name is parked
    person: int | None
    was_said: bool


class _Faces:
    """The faces and parked names of a library while a backup is restored."""

    def __init__(self, store: Store, replace: bool, done: Restored) -> None:
        self._store, self._replace, self._done = store, replace, done
        rows = store.database.rows
        self._excluded = {digest for (digest,) in rows("SELECT digest FROM excluded")}
        self._faces: dict[bytes, list[_Face]] = defaultdict(list)
        for row in rows(
            "SELECT digest, x, y, faces.width, faces.height, faces.id, person_id, named_by "
            "FROM photos JOIN faces ON faces.photo_id = photos.id"
        ):
            self._faces[row[0]].append(_Face(as_key(row), row[5], row[6], row[7] in _SAID))
        for row in rows("SELECT digest, x, y, width, height, person_id FROM parked"):
            if row[0] not in self._faces:
                self._faces[row[0]].append(_Face(as_key(row), None, row[5], True))
        self._rejected: dict[bytes, list[Row]] = defaultdict(list)
        for row in rows("SELECT digest, x, y, width, height, person_id FROM rejections"):
            self._rejected[row[0]].append(row)
        self._people: dict[str, int] = {}

    def restore(self, names: Sequence[BackupName]) -> None:
        """Name faces, or park the names."""
        for one, face in self._matched(names):
            person = self._person(one.name)
            key = face.key if face is not None else _key(one)
            rejected = [row for row in self._rejections_of(key) if row[5] == person]
            if face is not None and face.was_said and face.person == person:
                self._done.unchanged += 1
            elif key[0] in self._excluded:
                self._done.forgotten += 1
            elif rejected and not self._replace:
                self._report(face, one.path, f"not {one.name!r}", repr(one.name))
            elif face is not None and face.was_said and not self._replace:
                name = current_name(self._store, face.person)
                self._report(face, one.path, repr(name), repr(one.name))
            else:
                self._store.database.run_many(
                    f"DELETE FROM rejections WHERE {_KEY} AND person_id = ?",  # noqa: S608
                    rejected,
                )
                self._name(face, one, person)

    def restore_rejections(self, rejections: Sequence[BackupRejection]) -> None:
        """Remember who faces are not; after `restore`, whose names count."""
        for one in rejections:
            person, key = self._person(one.name), _key(one)
            face = self._nearest(key)
            key = key if face is None else face.key
            if key[0] in self._excluded:
                self._done.forgotten += 1
                continue
            if any(row[5] == person for row in self._rejections_of(key)):
                continue
            if face is not None and face.person == person:
                if face.was_said and not self._replace:
                    self._report(face, None, repr(one.name), f"not {one.name!r}")
                    continue
                self._unname(face)
            self._done.corrections += 1
            row = (*key, person)
            self._rejected[key[0]].append(row)
            self._store.database.run("INSERT INTO rejections VALUES (?, ?, ?, ?, ?, ?)", row)

    def _matched(self, names: Sequence[BackupName]) -> Iterator[tuple[BackupName, _Face | None]]:
        """Yield names with their faces; each face belongs to one name."""
        by_photo: dict[bytes, list[BackupName]] = defaultdict(list)
        for one in names:
            by_photo[bytes.fromhex(one.digest)].append(one)
        for digest, group in by_photo.items():
            faces = self._faces.get(digest, [])
            pairs = sorted(
                (-overlap(one.box, face.key[1:]), i, j)
                for i, one in enumerate(group)
                for j, face in enumerate(faces)
            )
            found: dict[int, int] = {}
            for common, i, j in pairs:
                if -common >= SAME_FACE and i not in found and j not in found.values():
                    found[i] = j
            for i, one in enumerate(group):
                yield one, faces[found[i]] if i in found else None

    def _nearest(self, key: FaceKey) -> _Face | None:
        """Return the face in the same place of the photo, as it is now, or None."""
        faces = self._faces.get(key[0], [])
        face = max(faces, key=lambda one: overlap(one.key[1:], key[1:]), default=None)
        return face if face and overlap(face.key[1:], key[1:]) >= SAME_FACE else None

    def _rejections_of(self, key: FaceKey) -> list[Row]:
        rows = self._rejected.get(key[0], [])
        return [row for row in rows if overlap(row[1:5], key[1:]) >= SAME_FACE]

    def _person(self, name: str) -> int:
        if name not in self._people:
            self._people[name] = get_or_import_person(self._store, name)
        return self._people[name]

    def _name(self, face: _Face | None, one: BackupName, person: int) -> None:
        if face is not None and face.id is not None:
            self._done.named += 1
            self._store.database.run(
                "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?",
                (person, one.given, face.id),
            )
        else:
            self._done.parked += 1
            key = face.key if face is not None else _key(one)
            path = None if one.path is None else Path(one.path)
            park(self._store, key, person, one.given, faces=one.faces, path=path, reason="restored")
        if face is not None:
            faces = self._faces[face.key[0]]
            faces[faces.index(face)] = face._replace(person=person, was_said=True)

    def _unname(self, face: _Face) -> None:
        if face.id is None:
            unpark(self._store, [face.key])
        else:
            self._store.database.run(
                "UPDATE faces SET person_id = NULL, named_by = NULL WHERE id = ?", (face.id,)
            )

    def _report(self, face: _Face | None, path: str | None, here: str, there: str) -> None:
        if face is None or face.id is None:
            what = "a parked name" if face else "a face of a photo that is gone"
        else:
            what = f"face {face.id}"
            path = path or str(self._store.faces([face.id])[0].path)
        where = "" if path is None else f" ({os.path.basename(path)})"
        self._done.conflicts.append(f"{what}{where} is {here} here, and {there} in the backup")


_SAID = ("csv", "user")
_KEY = "digest = ? AND (x, y, width, height) = (?, ?, ?, ?)"


def _key(one: BackupName | BackupRejection) -> FaceKey:
    return (bytes.fromhex(one.digest), *one.box)


def _restore_marks(store: Store, content: Backup) -> None:
    """Add ignored and added faces; the next index run reads added faces whose photo it has."""
    excluded = {digest.hex() for (digest,) in store.database.rows("SELECT digest FROM excluded")}
    store.database.run_many(
        "INSERT OR IGNORE INTO ignored VALUES (?, ?, ?, ?, ?)",
        [
            (bytes.fromhex(one.digest), *one.box)
            for one in content.ignored
            if one.digest not in excluded
        ],
    )
    store.database.run_many(
        "INSERT OR IGNORE INTO added_faces VALUES (?, ?, ?, ?, ?, ?)",
        [
            (bytes.fromhex(one.digest), *one.box, blob(_landmarks(one)))
            for one in content.added
            if one.digest not in excluded
        ],
    )


def _landmarks(face: BackupAddedFace) -> NDArray[np.float32] | None:
    return None if face.landmarks is None else np.array(face.landmarks, np.float32)


def _restore_forgotten(store: Store, digests: Sequence[str], done: Restored) -> None:
    """Keep photos out, except those that the library has or waits for."""
    paths: dict[bytes, bytes | None] = dict(
        store.database.rows(
            "SELECT digest, (SELECT min(path) FROM paths WHERE photo_id = photos.id) FROM photos "
            "UNION ALL SELECT digest, min(path) FROM parked GROUP BY digest"
        )
    )
    stored = {digest for (digest,) in store.database.rows("SELECT digest FROM photos")}
    forgotten = {bytes.fromhex(digest) for digest in digests}
    store.database.run_many(
        "INSERT OR IGNORE INTO excluded VALUES (?)",
        [(digest,) for digest in sorted(forgotten - paths.keys())],
    )
    for digest in sorted(forgotten & paths.keys()):
        where = digest.hex() if paths[digest] is None else path_of(paths[digest])
        here = "is in this library" if digest in stored else "has parked names here"
        done.conflicts.append(f"{where} {here}, but is forgotten in the backup")
