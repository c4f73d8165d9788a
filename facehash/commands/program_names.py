"""What ``facehash index --names xmp|picasa|takeout`` prints about names of other programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facehash.commands.arguments import counted, describe_unread
from facehash.printing import printable, quoted

if TYPE_CHECKING:
    from facehash.library.people.names import NamedFaces
    from facehash.library.people.sources.programs import Missed

PROGRAMS = ("xmp", "picasa", "takeout")
_SHOWN = 20
_FEW = 5


def print_program_names(found: NamedFaces, names: str, library: Path) -> None:
    """Print how many names a program has, and what could not be done with some of them.

    Args:
        found: What became of the names.
        names: The value of ``--names``.
        library: The library, for the commands that are printed.
    """
    if not found.photos and not found.problems:
        print(f"no names of people found by --names {printable(names)}", file=sys.stderr)
        return
    parts = [f"names in {counted(found.photos, 'photo')}", counted(found.regions, "region")]
    if found.missed:
        parts.append(f"{counted(len(found.missed), 'region')} without a face of the library")
    if found.unplaced:
        parts.append(f"{counted(len(found.unplaced), 'photo')} with names whose face is not clear")
    print(", ".join(parts))
    print_some(
        [
            f"{printable(one.path)}: face {one.number} stays "
            f"{printable(one.name) if one.name else 'without a name'}, "
            f"{'given by hand' if one.by_hand else 'of an earlier list or program'}; "
            f"not {printable(one.given)}"
            for one in found.conflicts
        ],
        "faces",
    )
    print_some(
        [
            f"no face found for {printable(one.name)} in {_remedy(one, library)}"
            for one in found.missed
        ],
        "regions",
        _SHOWN,
    )
    print_some(
        [
            f"{printable(one.path)}: {printable(', '.join(one.names))} "
            f"{'is' if len(one.names) == 1 else 'are'} in it, but not said where "
            f"({counted(one.faces, 'face')})"
            for one in found.unplaced
        ],
        "photos",
    )
    print_some([f"names not read: {describe_unread(one)}" for one in found.problems], "files", 20)


def _remedy(missed: Missed, library: Path) -> str:
    """Return where a region without a face is, with the command that adds the face."""
    x, y, width, height = (round(side) for side in missed.box)
    if not (width and height):
        return f"{printable(missed.path)} at {x},{y}"
    return (
        f"{printable(missed.path)}; to add it: facehash people add-face {quoted(missed.path)} "
        f"--box {x},{y},{width},{height} --name {quoted(missed.name)} --library {quoted(library)}"
    )


def print_some(lines: Sequence[str], what: str, most: int = _FEW) -> None:
    """Print some lines on stderr, and how many more there are."""
    for line in lines[:most]:
        print(line, file=sys.stderr)
    if len(lines) > most:
        print(f"... and {len(lines) - most:,} more {what}", file=sys.stderr)
