"""The answers of a search as one picture: each reference, and right of it what was found."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from facehash.errors import InputError
from facehash.figures.charts import BLUE, GREEN, INK, QUIET, STYLE
from facehash.images.face import Box
from facehash.images.read import read_image
from facehash.library.query.library import Library
from facehash.library.query.results import UNITS, Hit, QueryResult
from facehash.library.storage.folder import private_atomic_write
from facehash.library.views.pictures import Picture, crop_of, photo_of
from facehash.printing import printable

COLUMNS = 10
"""So many hits stand in a line; more go on in the next."""

_RED, _YELLOW = "#B2182B", "#FFC20A"
_COLOURS = {True: GREEN, False: _RED, None: _YELLOW}
_LONGEST_NAME = 21
_PHOTO_SIDE = 440
_DPI = 160
# Inches.
_SIDE, _STEP, _GAP, _MARGIN, _LINE, _TITLE, _FOOT = 1.5, 1.6, 0.2, 0.16, 2.02, 0.44, 0.24


@dataclass(frozen=True)
class Tile:
    """A picture with what is written over it.

    Attributes:
        title: Who it is, in a reference the file.
        note: Rank and distance, in a reference which face of it was asked for.
        picture: uint8 (height, width, 3), a whole photo made smaller; the crop of one that is gone.
        box: The face in pixels of `picture`; None of a crop.
        colour: Of the frame around the face.
    """

    title: str
    note: str
    picture: NDArray[np.uint8]
    box: Box | None
    colour: str


def make_tiles(library: Library, answer: QueryResult, score: bool = False) -> list[Tile]:
    """Return the reference of an answer and then its hits, nearest first.

    Args:
        library: Where the answer comes from.
        answer: What was found for a face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    picture, box = _picture(_query(answer.query), answer.box, answer.crop)
    name = answer.query.stem if answer.query else "from memory"
    reference = Tile(name, f"reference, face {answer.face}", picture, box, BLUE)
    return [reference, *(_hit(library, answer, hit, score) for hit in answer.hits)]


def draw_strip(rows: Sequence[Sequence[Tile]], unit: str) -> Figure:
    """Draw rows of tiles, the first of each apart from the others.

    Args:
        rows: One row a reference.
        unit: What the numbers are.

    Returns:
        A figure with one axes a tile, titled by it.
    """
    lines = [
        (row[0] if not start else None, row[1:][start : start + COLUMNS])
        for row in rows
        for start in range(0, max(1, len(row) - 1), COLUMNS)
    ]
    columns = max(len(found) for _, found in lines)
    width = 2 * _MARGIN + _SIDE + (_GAP + columns * _STEP if columns else 0)
    height = _MARGIN + len(lines) * _LINE + _FOOT
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=_DPI)
        for i, (reference, found) in enumerate(lines):
            bottom = height - _MARGIN - i * _LINE - _TITLE - _SIDE
            placed = [(_MARGIN, reference)] if reference else []
            first = _MARGIN + _SIDE + _GAP + (_STEP - _SIDE)
            placed += [(first + j * _STEP, tile) for j, tile in enumerate(found)]
            for left, tile in placed:
                place = (left / width, bottom / height, _SIDE / width, _SIDE / height)
                _draw(figure.add_axes(place), tile)
        figure.text(_MARGIN / width, 0.1 / height, f"numbers: {unit}", fontsize=7, color=QUIET)
    return figure


def write_strip(
    path: Path, library: Library, answers: Sequence[QueryResult], *, score: bool = False
) -> None:
    """Write the answers of a search as a PNG file that only its owner can read.

    Args:
        path: A file ending in .png.
        library: Where the answers come from.
        answers: One a face asked for, at least one.
        score: Show 1 / (1 + distance) instead of the distance.

    Raises:
        InputError: Another ending.
    """
    check_strip(path)
    rows = [make_tiles(library, answer, score) for answer in answers]
    figure = draw_strip(rows, UNITS["score" if score else library.metric])
    with private_atomic_write(path) as temporary, warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(temporary, metadata={"Software": None}, facecolor="white")


def check_strip(path: Path) -> None:
    """Refuse the name of a strip that is no PNG file.

    Raises:
        InputError: Another ending.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: a strip is a picture, its name ends in .png")


def _hit(library: Library, answer: QueryResult, hit: Hit, score: bool) -> Tile:
    photo, crop = photo_of(library.store, hit), crop_of(library.store, hit)
    picture, box = _picture(photo, hit.box, crop)
    note = f"{hit.rank}:  {answer.format_distance(hit, score)}"
    return Tile(hit.shown_name or "no name", note, picture, box, _COLOURS[hit.within_threshold])


def _query(path: Path | None) -> Picture | None:
    try:
        return None if path is None else read_image(path)
    except InputError:  # deleted since it was asked for
        return None


def _picture(
    image: Picture | None, box: Box | None, crop: Picture | None
) -> tuple[Picture, Box | None]:
    """Reduce a photo with its box, or take the crop where there is no photo any more."""
    if image is None:
        return (np.full((1, 1, 3), 238, np.uint8) if crop is None else crop), None
    photo = Image.fromarray(image)
    width = photo.width
    photo.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE))
    x, y, w, h = (value * photo.width / width for value in box or (0, 0, 0, 0))
    return np.asarray(photo), (x, y, w, h) if box else None


def _draw(axes: Axes, tile: Tile) -> None:
    height, width = tile.picture.shape[:2]
    axes.imshow(tile.picture, interpolation="antialiased")
    if tile.box:
        x, y, w, h = tile.box
        axes.add_patch(
            Rectangle((x, y), w, h, fill=False, edgecolor=tile.colour, linewidth=1.6, clip_on=True)
        )
    # The square around the photo, so that all titles stand in one line.
    longer = max(width, height)
    axes.set_xlim((width - longer) / 2 - 0.5, (width + longer) / 2 - 0.5)
    axes.set_ylim((height + longer) / 2 - 0.5, (height - longer) / 2 - 0.5)
    axes.set_axis_off()
    colour = _RED if tile.colour == _RED else INK
    axes.set_title(
        _shortened(tile.title),
        fontsize=8,
        fontweight="bold",
        color=colour,
        pad=15,
        parse_math=False,
    )
    axes.text(
        *(0.5, 1.035, tile.note), transform=axes.transAxes, fontsize=7.5, color=QUIET, ha="center"
    )


def _shortened(name: str) -> str:
    shown = printable(name)
    if len(shown) <= _LONGEST_NAME:
        return shown
    return f"{shown[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
