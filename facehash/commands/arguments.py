"""Arguments that several commands take, written once so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LibraryOption = Annotated[Path, typer.Option("--library", help="The library's folder.")]


def counted(number: int, what: str) -> str:
    """Return ``"1 face"``, ``"2 faces"``, ``"2 people"``."""
    plural = {"person": "people"}.get(what, f"{what}s")
    return f"{number:,} {what if number == 1 else plural}"
