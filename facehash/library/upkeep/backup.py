"""``facehash backup`` and ``restore``: everything that a person said, in one readable file.

A library is restored by the contents of photos, not by their paths. Names of photos that it does
not have are parked, and the next index run that finds the photos gives them back.
"""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from facehash.images.face import overlap
from facehash.library.people.changes import FaceKey
from facehash.library.people.journal import statement
from facehash.library.people.parked import SAME_FACE
from facehash.library.people.people import (
    check_name,
    current_name,
    earlier_names,
    find_by_earlier_name,
    find_person,
    get_or_import_person,
)
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.records import blob, bytes_of, path_of
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
    conflict; names of folders are replaced. Restoring twice changes nothing.

    Args:
        store: The library, locked for writing; it may be empty.
        content: The backup.
        replace: Let names of the backup replace names of faces that differ.

    Example:
        >>> restore(store, read_backup(Path("names.json"))).named  # doctest: +SKIP
        412
    """
    done = Restored()
    with statement(store, "restore"):
        _restore_people(store, content.people, done)
        _Faces(store, replace, done).restore(content.names)
        _restore_rejections(store, content.rejections)
        _restore_marks(store, content)
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
                name=name, digest=digest.hex(), box=tuple(box), given=given, faces=max(1, faces),
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


class _Faces:
    """The faces and parked names of a library while a backup is restored."""

    def __init__(self, store: Store, replace: bool, done: Restored) -> None:
        self._store, self._replace, self._done = store, replace, done
        rows = store.database.rows
        self._excluded = {digest for (digest,) in rows("SELECT digest FROM excluded")}
        self._faces: dict[bytes, list[Any]] = defaultdict(list)
        for digest, *rest in rows(
            "SELECT digest, faces.id, x, y, faces.width, faces.height, person_id, named_by "
            "FROM photos JOIN faces ON faces.photo_id = photos.id"
        ):
            self._faces[digest].append(rest)
        parked = rows("SELECT digest, x, y, width, height, person_id FROM parked")
        self._parked: dict[tuple[Any, ...], int] = {row[:5]: row[5] for row in parked}
        self._people: dict[str, int] = {}

    def restore(self, names: Sequence[BackupName]) -> None:
        by_photo: dict[str, list[BackupName]] = defaultdict(list)
        for one in names:
            by_photo[one.digest].append(one)
        for digest, group in by_photo.items():
            faces = self._faces.get(bytes.fromhex(digest), [])
            pairs = sorted(
                (-overlap(one.box, face[1:5]), i, j)
                for i, one in enumerate(group)
                for j, face in enumerate(faces)
            )
            found: dict[int, int] = {}
            for common, i, j in pairs:
                if -common >= SAME_FACE and i not in found and j not in found.values():
                    found[i] = j
            for i, one in enumerate(group):
                person = self._person(one.name)
                if i in found:
                    self._name(faces[found[i]], one, person)
                else:
                    self._park(one, person)

    def _person(self, name: str) -> int:
        if name not in self._people:
            self._people[name] = get_or_import_person(self._store, name)
        return self._people[name]

    def _name(self, face: Sequence[Any], one: BackupName, person: int) -> None:
        number, now, named_by = face[0], *face[5:7]
        was_said = named_by in ("user", "csv")
        if was_said and now == person:
            self._done.unchanged += 1
        elif was_said and not self._replace:
            self._report(f"face {number}", now, one)
        else:
            self._done.named += 1
            self._store.database.run(
                "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?",
                (person, one.given, number),
            )

    def _park(self, one: BackupName, person: int) -> None:
        key: FaceKey = (bytes.fromhex(one.digest), *one.box)
        now = self._parked.get(key)
        if key[0] in self._excluded:
            self._done.forgotten += 1
        elif now == person:
            self._done.unchanged += 1
        elif now is not None and not self._replace:
            self._report("a parked name", now, one)
        else:
            self._done.parked += 1
            path = None if one.path is None else bytes_of(Path(one.path))
            self._store.database.run(
                "INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, "
                "NULL, 'restored', CAST(strftime('%s', 'now') AS INTEGER))",
                (*key, person, one.given, one.faces, path),
            )

    def _report(self, what: str, person: int, one: BackupName) -> None:
        name = current_name(self._store, person)
        where = "" if one.path is None else f" ({os.path.basename(one.path)})"
        self._done.conflicts.append(
            f"{what}{where} is {name!r} here, and {one.name!r} in the backup"
        )


def _restore_rejections(store: Store, rejections: Sequence[BackupRejection]) -> None:
    """Add what faces are not, except where the face has just this name."""
    for one in rejections:
        person = get_or_import_person(store, one.name)
        key = (bytes.fromhex(one.digest), *one.box)
        store.database.run(
            "INSERT OR IGNORE INTO rejections SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS "
            "(SELECT 1 FROM photos JOIN faces ON photo_id = photos.id WHERE digest = ?1 "
            "AND (x, y, faces.width, faces.height) = (?2, ?3, ?4, ?5) AND person_id = ?6)",
            (*key, person),
        )


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
    stored = {digest for (digest,) in store.database.rows("SELECT digest FROM photos")}
    forgotten = [bytes.fromhex(digest) for digest in digests]
    store.database.run_many(
        "INSERT OR IGNORE INTO excluded VALUES (?)",
        [(digest,) for digest in forgotten if digest not in stored],
    )
    query = "SELECT min(path) FROM paths JOIN photos ON photos.id = photo_id WHERE digest = ?"
    for digest in sorted(stored.intersection(forgotten)):
        path = store.database.value(query, (digest,))
        where = path_of(path) if path is not None else digest.hex()
        done.conflicts.append(f"{where} is in this library, and forgotten in the backup")
