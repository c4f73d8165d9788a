"""Names from folders or from a list.

A folder names the largest face of each photo in it: photos of Ann often show others beside her.
A name that a user gave by hand is never overwritten.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facehash.errors import InputError, did_you_mean
from facehash.library.people.people import MAX_LENGTH, check_name, get_or_add_person
from facehash.library.storage.records import UNDER, bytes_of, path_of, under
from facehash.library.storage.store import Store

Kind = Literal["folders", "csv"]
NamesOf = Mapping[tuple[Path, int], str]
"""(photo, number of the face) -> name."""


@dataclass(frozen=True)
class Names:
    """The source of names."""

    kind: Kind | None  # None: no source
    listed: NamesOf | None = None  # the content of the list, for "csv"


def parse_names(names: str, folder: Path) -> Names:
    """Parse ``--names`` (``folders``, ``csv:FILE`` or ``none``), and read its list if there is one.

    Paths in a list are relative to the folder being indexed.

    Raises:
        InputError: Any other value, or a list that cannot be read.
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
    """Read a CSV file with the columns ``path``, ``name`` and, optionally, ``face``.

    Args:
        file: UTF-8, one line per face. Paths are absolute or relative to `folder`; ``face`` is the
            number of the face in the photo, by default 1, the largest.
        folder: The folder being indexed.

    Raises:
        InputError: A missing column, or an invalid line; the message has its number.
        OSError: The file cannot be read.
    """
    found: dict[tuple[Path, int], str] = {}
    root = folder.resolve()
    try:
        # utf-8-sig: spreadsheets start the file with a byte order mark.
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            columns = reader.fieldnames or ()
            for column in ("path", "name"):
                if column not in columns:
                    raise InputError(f"{file}: no column {column!r} (the columns: path,name,face)")
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                path, face = row["path"], (row.get("face") or "1").strip()
                if not path or row["name"] is None:
                    raise InputError(f"{where}: path or name is missing")
                if not (face.isascii() and face.isdecimal() and len(face) < 10 and int(face) > 0):
                    raise InputError(f"{where}: face must be a number from 1, got {face[:20]!r}")
                key = (Path(os.path.normpath(root / path)), int(face))
                name = check_name(row["name"], where)
                if found.setdefault(key, name) != name:
                    raise InputError(f"{where}: {path} is {found[key]!r} in an earlier line")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text") from error
    except csv.Error as error:
        raise InputError(f"{file}: not a CSV file ({error})") from error
    return found


def apply_names(store: Store, folder: Path, names: Names) -> int:
    """Name the faces of the photos in a folder, and remove names whose source is gone.

    The folder is an absolute path. Without a source nothing changes.

    Returns:
        The number of faces whose name changed.
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
            # If copies lie in several folders, the first one names the face.
            wanted.setdefault(face_id, name)
    changes = []
    with store.database.transaction():
        for face_id, (person, named_by) in before.items():
            if named_by == "user" or (face_id not in wanted and named_by != names.kind):
                continue
            name = wanted.get(face_id)
            now = get_or_add_person(store, name) if name else None
            source = names.kind if name else None
            if (now, source) != (person, named_by):
                changes.append((now, source, face_id))
        store.database.run_many(
            "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?", changes
        )
        store.prune()
    return len(changes)


def without_face(store: Store, names: Names) -> list[Path]:
    """Return the files of a list for which the library does not have the listed face."""
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
    # A folder name may contain bytes that are not text or not printable; a person's may not.
    text = bytes_of(path.parent).decode("utf-8", errors="replace").rpartition(os.sep)[2]
    printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return check_name(printable[:MAX_LENGTH]) if printable.strip() else None
