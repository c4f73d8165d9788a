"""``facehash people add-face`` and ``remove-face``: faces that the detector missed."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import typer

from facehash.command_line import DONE
from facehash.commands.arguments import FacesArgument, LibraryOption, WeightsOption, counted
from facehash.commands.engines import writing
from facehash.errors import InputError
from facehash.printing import printable


def add_face(
    library: LibraryOption,
    photo: Path = typer.Argument(help="A photo of the library."),
    box: str = typer.Option(
        metavar="X,Y,W,H",
        help="Left edge, top edge, width and height of the face, in pixels of the upright photo.",
    ),
    name: str | None = typer.Option(None, help="Who it is."),
    weights_dir: WeightsOption = None,
) -> int:
    """Add a face that the detector missed. facehash people undo takes it back.

    Example: facehash people add-face party.jpg --box 812,340,96,120 --name Ann --library lib
    """
    from facehash.library.ingest.added import add_face as add
    from facehash.pipeline import pipelines

    given = _parse_box(box)
    with writing(library, "people") as store:
        added = add(store, photo, given, name, make_pipeline=pipelines(weights_dir))
        [stored] = store.faces([added.face_id])
    named = "" if stored.name is None else f", named {printable(stored.name)}"
    print(f"face {added.number} of {printable(photo)} added as #{added.face_id}{named}")
    if not added.found:
        print(
            "facehash: the detector finds no face in this box, so the crop is not aligned and "
            "searches find it less reliably",
            file=sys.stderr,
        )
    if added.owner is not None:
        print(f"{printable(stored.name)} was an earlier name of {printable(added.owner)}")
    return DONE


def remove_face(library: LibraryOption, faces: FacesArgument) -> int:
    """Remove faces that facehash people add-face has added.

    Example: facehash people remove-face 217 --library lib
    """
    from facehash.library.ingest.added import refresh
    from facehash.library.people.added import remove_faces

    with writing(library, "people") as store:
        number = remove_faces(store, faces)
        refresh(store, store.settings())
    print(f"{counted(number, 'added face')} removed")
    return DONE


def _parse_box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = map(float, text.split(","))
        if not all(map(math.isfinite, (x, y, width, height))):
            raise ValueError("not finite")
    except ValueError as error:
        raise InputError(
            f"--box {text}: give four numbers, X,Y,W,H, such as 812,340,96,120"
        ) from error
    return x, y, width, height
