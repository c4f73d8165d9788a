"""Folders that have lost all of their photos: perhaps a drive is missing.

A drive that is not mounted, a network share that is away and a cloud folder that is not
synchronized look like folders whose photos were deleted. A folder with a single known photo is the
exception: it loses everything when that photo is deleted. It counts only if the folder is gone too
or empty, as the mount point of a missing drive is. If anything else is in it, the drive is there.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from facehash.library.storage.records import UNDER, bytes_of, path_of, under
from facehash.library.storage.store import Store


@dataclass(frozen=True)
class MissingFolder:
    """A folder of which no known photo is there."""

    path: Path
    files: int  # known files in it, at any depth


def missing_folders(
    folder: Path,
    known: Collection[Path],
    missing: Collection[Path],
    moved: Collection[Path],
    inodes: Mapping[Path, int | None],
) -> list[MissingFolder]:
    """Return the highest folders in a folder that have lost everything the library knows of them.

    A folder whose photos are for the most part elsewhere now has not lost them.

    Args:
        folder: The indexed folder.
        known: All files in it that the library knows.
        missing: Those of them that do not exist.
        moved: Those of the missing ones whose content exists elsewhere.
        inodes: What `note_folders` has stored, by the paths of photos.
    """
    if not missing:
        return []
    alive = {above for path in _parents(set(known) - set(missing)) for above in _up(path, folder)}
    lost = Counter(path.parent for path in set(missing) - set(moved))
    total = Counter(path.parent for path in missing)
    highest: Counter[Path] = Counter()
    lost_there: Counter[Path] = Counter()
    last: dict[Path, Path] = {}  # for each of these folders, a photo that is missing
    photo_in = {path.parent: path for path in missing}
    for parent, number in total.items():
        dead = [above for above in _up(parent, folder) if above not in alive]
        if dead:
            highest[dead[-1]] += number
            lost_there[dead[-1]] += lost[parent]
            last[dead[-1]] = photo_in[parent]
    return [
        MissingFolder(path, number)
        for path, number in sorted(highest.items())
        if 2 * lost_there[path] > number
        and (number > 1 or _has_another_place(last[path].parent, inodes.get(last[path])))
    ]


def note_folders(store: Store, folder: Path, files: Collection[Path]) -> None:
    """Store what tells folders with a single photo from mount points of missing drives.

    Args:
        store: The library, locked for writing.
        folder: The indexed folder.
        files: The photos that are there.
    """
    rows = store.database.rows(f"SELECT path, folder_inode FROM paths WHERE {UNDER}", under(folder))  # noqa: S608
    known = {path_of(path): number for path, number in rows}
    number_of = Counter(path.parent for path in known)
    changed = []
    for path, number in known.items():
        is_alone = number_of[path.parent] == 1
        new = _inode(path.parent) if is_alone and path in files else None
        if new != number and (new is not None or not is_alone):
            changed.append((new, bytes_of(path)))
    with store.database.transaction():
        store.database.run_many("UPDATE paths SET folder_inode = ? WHERE path = ?", changed)


def _inode(folder: Path) -> int | None:
    """Return the number of a folder in its file system, or None if it is not there."""
    try:
        # SQLite has signed integers.
        return os.stat(folder).st_ino & ((1 << 63) - 1)
    except OSError:
        return None


def _has_another_place(folder: Path, number: int | None) -> bool:
    """Return whether a folder is gone, or an empty one is in the place of the folder it was."""
    try:
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
    except OSError:
        return True
    return is_empty and (number is None or _inode(folder) != number)


def _parents(paths: Collection[Path]) -> set[Path]:
    return {path.parent for path in paths}


def _up(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it, up to the indexed folder."""
    yield path
    while path != folder:
        path = path.parent
        yield path
