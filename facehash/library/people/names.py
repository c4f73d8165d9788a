"""Who is on the photos, as their folders or a list say.

A name of that kind is for the largest face of a photo: a folder of photos of Ann shows others
beside her. A name that a user gave by hand is never overwritten.
"""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facehash.errors import InputError, did_you_mean
from facehash.library.storage.records import UNDER, bytes_of, path_of, under
from facehash.library.storage.store import Store

MAX_LENGTH = 200
Kind = Literal["folders", "csv"]
NamesOf = Mapping[tuple[Path, int], str]
"""(photo, number of the face) -> name"""


@dataclass(frozen=True)
class Names:
    """Where names come from.

    Attributes:
        kind: ``"folders"``, ``"csv"``, or None for nowhere.
        listed: Of a list: the name for a file and the number of a face in it.
    """

    kind: Kind | None
    listed: NamesOf | None = None


def parse_names(names: str, folder: Path) -> Names:
    """Understand ``--names``, and read the list if it names one.

    Args:
        names: ``folders``, ``csv:FILE`` or ``none``.
        folder: The folder being indexed, to which the paths in a list are relative.

    Raises:
        InputError: Anything else, or a list that cannot be read.
    """
    if names == "none":
        return Names(None)
    if names == "folders":
        return Names("folders")
    kind, colon, file = names.partition(":")
    if kind == "csv" and colon and file:
        return Names("csv", read_list(Path(file), folder))
    known = ["folders", "csv:FILE", "none"]
    raise InputError(f"--names {names}: not a source of names{did_you_mean(names, known)}")


def read_list(file: Path, folder: Path) -> NamesOf:
    """Read a CSV with the columns ``path`` and ``name``, and ``face`` if there is one.

    Args:
        file: UTF-8, one line a face. A path is absolute or relative to `folder`; a face is its
            number in the photo, by default 1, the largest.
        folder: The folder being indexed.

    Raises:
        InputError: No such file, a missing column, or a line that makes no sense, by its number.
    """
    found: dict[tuple[Path, int], str] = {}
    root = folder.resolve()
    try:
        # A byte order mark is what spreadsheets put in front.
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            columns = reader.fieldnames or ()
            for column in ("path", "name"):
                if column not in columns:
                    raise InputError(f"{file}: has no column {column!r}; path,name is expected")
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                path, face = row["path"], (row.get("face") or "1").strip()
                if not path or row["name"] is None:
                    raise InputError(f"{where}: path or name is missing")
                if not face.isdecimal() or int(face) < 1:
                    raise InputError(f"{where}: face is {face!r}, a number from 1 is expected")
                key = (Path(os.path.normpath(root / path)), int(face))
                name = check_name(row["name"], where)
                if found.setdefault(key, name) != name:
                    raise InputError(f"{where}: {path} is {found[key]!r} in an earlier line")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text") from error
    except csv.Error as error:
        raise InputError(f"{file}: not a CSV file ({error})") from error
    return found


def check_name(name: str, where: str = "name") -> str:
    """Return a person's name in its one spelling, or refuse it.

    Raises:
        InputError: Empty, longer than 200 characters, or with a line break or the like.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain:
        raise InputError(f"{where}: a name must not be empty")
    if len(plain) > MAX_LENGTH:
        raise InputError(f"{where}: a name has at most {MAX_LENGTH} characters, got {len(plain)}")
    if not plain.isprintable():
        raise InputError(f"{where}: a name must be printable, got {plain!r}")
    return plain


def person_called(store: Store, name: str) -> int:
    """Return the id of the person of that name, now or before; a new one where there is none."""
    database = store.database
    found = database.value(
        "SELECT id FROM people WHERE name = ?1 "
        "UNION ALL SELECT person_id FROM aliases WHERE name = ?1",
        (name,),
    )
    return int(found) if found else database.run("INSERT INTO people (name) VALUES (?)", (name,))


def apply_names(store: Store, folder: Path, names: Names) -> int:
    """Name the faces of the photos in a folder, and take back names whose source is gone.

    Args:
        store: The library, held for writing.
        folder: The folder that was indexed, absolute.
        names: Where names come from; without a source nothing changes.

    Returns:
        How many faces have another name than before.
    """
    if names.kind is None:
        return 0
    rows = store.database.rows(
        f"SELECT paths.path, faces.id, faces.number, faces.person_id, faces.named_by "  # noqa: S608
        f"FROM paths JOIN faces ON faces.photo_id = paths.photo_id WHERE {UNDER} "
        "ORDER BY paths.path",
        under(folder),
    )
    wanted: dict[int, str] = {}
    before: dict[int, tuple[int | None, str | None]] = {}
    for stored, face_id, number, person, named_by in rows:
        before[face_id] = (person, named_by)
        name = _name_for(path_of(stored), number, folder, names)
        if name is not None:
            # Of several copies in several folders the first names the face.
            wanted.setdefault(face_id, name)
    changes = []
    with store.database.transaction():
        for face_id, (person, named_by) in before.items():
            if named_by == "user" or (face_id not in wanted and named_by != names.kind):
                continue
            name = wanted.get(face_id)
            now = person_called(store, name) if name else None
            source = names.kind if name else None
            if (now, source) != (person, named_by):
                changes.append((now, source, face_id))
        store.database.run_many(
            "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?", changes
        )
        store.prune()
    return len(changes)


def without_face(store: Store, names: Names) -> list[Path]:
    """Return the files that a list names and in which the library has no such face."""
    known = {
        (path_of(path), number)
        for path, number in store.database.rows(
            "SELECT path, number FROM paths JOIN faces ON faces.photo_id = paths.photo_id"
        )
    }
    return sorted(path for path, face in (names.listed or {}).keys() - known)


def _name_for(path: Path, number: int, folder: Path, names: Names) -> str | None:
    if names.listed is not None:
        return names.listed.get((path, number))
    if number != 1 or path.parent == folder:
        return None
    # A folder's name need not be text, nor printable; a person's is.
    text = bytes_of(path.parent).decode("utf-8", errors="replace").rpartition(os.sep)[2]
    printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return check_name(printable[:MAX_LENGTH]) if printable.strip() else None
