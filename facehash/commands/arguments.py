"""Arguments that several commands share, and words for their output."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facehash.errors import InputError
from facehash.printing import printable

if TYPE_CHECKING:
    from facehash.detectors.registry import Switch
    from facehash.library.storage.records import UnreadFile

LibraryOption = Annotated[Path, typer.Option("--library", help="Folder of the library.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")]
FacesArgument = Annotated[
    list[int], typer.Argument(help="Faces, by the numbers after # in a search.")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights-dir",
        help="Folder of pretrained weights; wins over FACEHASH_WEIGHTS and the cache.",
    ),
]

ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Also replace a file that facehash did not write, and write to an indexed folder.",
    ),
]
SmallFacesOption = Annotated[
    str | None,
    typer.Option(
        "--small-faces",
        help="Search large photos in tiles for small faces: auto or off. Default: as in the "
        "library (auto for a new library).",
    ),
]


def switch(option: str, value: str | None) -> Switch | None:
    """Return the value of an option that is auto or off, or None if it is not given.

    Raises:
        InputError: Another value.
    """
    if value == "auto":
        return "auto"
    if value == "off":
        return "off"
    if value is None:
        return None
    raise InputError(f"{option} {value}: must be auto or off")


def describe_unread(file: UnreadFile) -> str:
    """Return the path of a file that is not in the library, and the reason."""
    return f"{printable(file.path)}: {printable(file.why) or in_words(file.reason)}"


def in_words(reason: str) -> str:
    """Return a reason code such as ``not_a_picture`` in words."""
    return reason.replace("_", " ")


def by_column(by: str | None) -> Literal["embedding", "code"] | None:
    """Return the value of ``--by``.

    Raises:
        InputError: Neither embedding nor code.
    """
    if by in ("embedding", "embeddings"):
        return "embedding"
    if by in ("code", "codes"):
        return "code"
    if by is None:
        return None
    raise InputError(f"--by {by}: must be embedding or code")


def print_json(value: dict[str, Any]) -> None:
    """Print the result of a command as JSON, schema 1, on standard output."""
    print(json.dumps({"schema": 1, **value}, indent=1, allow_nan=False))


def print_some(lines: Sequence[str], what: str, most: int = 5) -> None:
    """Print some lines on stderr, and how many more there are."""
    for line in lines[:most]:
        print(line, file=sys.stderr)
    if len(lines) > most:
        print(f"... and {len(lines) - most:,} more {what}", file=sys.stderr)
