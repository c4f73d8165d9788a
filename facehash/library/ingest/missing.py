"""Folders that have lost all of their photos: perhaps a drive is missing.

A drive that is not mounted, a network share that is away and a cloud folder that is not
synchronized look like folders whose photos were deleted.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

FEW = 2
"""A folder with fewer known photos than this may lose them all."""


@dataclass(frozen=True)
class MissingFolder:
    """A folder of which no known photo is there."""

    path: Path
    files: int  # known files in it, at any depth


def missing_folders(
    folder: Path, known: Collection[Path], missing: Collection[Path], moved: Collection[Path]
) -> list[MissingFolder]:
    """Return the highest folders in a folder that have lost everything the library knows of them.

    A folder whose photos are for the most part elsewhere now has not lost them.

    Args:
        folder: The indexed folder.
        known: All files in it that the library knows.
        missing: Those of them that do not exist.
        moved: Those of the missing ones whose content exists elsewhere.
    """
    if not missing:
        return []
    alive = {above for path in _parents(set(known) - set(missing)) for above in _up(path, folder)}
    lost = Counter(path.parent for path in set(missing) - set(moved))
    total = Counter(path.parent for path in missing)
    highest: Counter[Path] = Counter()
    lost_there: Counter[Path] = Counter()
    for parent, number in total.items():
        dead = [above for above in _up(parent, folder) if above not in alive]
        if dead:
            highest[dead[-1]] += number
            lost_there[dead[-1]] += lost[parent]
    return [
        MissingFolder(path, number)
        for path, number in sorted(highest.items())
        if number >= FEW and 2 * lost_there[path] > number
    ]


def _parents(paths: Collection[Path]) -> set[Path]:
    return {path.parent for path in paths}


def _up(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it, up to the indexed folder."""
    yield path
    while path != folder:
        path = path.parent
        yield path
