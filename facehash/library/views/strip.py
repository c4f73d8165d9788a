"""The results of a search as one picture: each query, and right of it the photos found."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from facehash.figures.grid import Layout, Tile, draw_grid
from facehash.figures.style import BLUE, DARK_RED, GREEN, QUIET, STYLE, YELLOW
from facehash.images.face import Box
from facehash.images.read import Photo
from facehash.library.query.library import Library
from facehash.library.query.results import UNITS, Hit, QueryResult
from facehash.library.views.pictures import Picture, crop_of, photo_of, query_photo
from facehash.output import PNG, PNG_TEXT, check_output, replace_output
from facehash.printing import printable

LAYOUT = Layout(
    side=1.5, step=1.6, row=2.02, gap=0.2, margin=0.16, head=0.6, foot=0.32, columns=10, dpi=160
)
_COLORS = {True: GREEN, False: DARK_RED, None: YELLOW}
_LONGEST_NAME = 21
_PHOTO_SIDE = 440


def make_tiles(library: Library, result: QueryResult, score: bool = False) -> list[Tile]:
    """Return the tile of a query face and then those of its hits, nearest first.

    Args:
        library: The library that was searched.
        result: What was found for the face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    title = result.query.stem if result.query and not result.references else result.title
    note = f"query, face {result.face}"
    photo = query_photo(result)
    tiles = [_tile(photo, result.box, result.crop, BLUE, title, note)]
    return tiles + [_hit_tile(library, result, hit, score) for hit in result.hits]


def draw_strip(rows: Sequence[Sequence[Tile]], unit: str) -> Figure:
    """Draw rows of tiles, with the unit of the numbers below."""
    with matplotlib.rc_context(STYLE):
        figure, axes = draw_grid(rows, LAYOUT)
        bottom = axes.get_ylim()[0]
        axes.text(LAYOUT.margin, bottom - 0.1, f"numbers: {unit}", fontsize=7, color=QUIET)
    return figure


def write_strip(
    path: Path, library: Library, results: Sequence[QueryResult], *, score: bool = False
) -> None:
    """Write the results of a search as a PNG file that only its owner can read.

    Args:
        path: The PNG file.
        library: The library that was searched.
        results: At least one, one per query face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    check_output(path, PNG, "write_strip", force=True)
    rows = [make_tiles(library, result, score) for result in results]
    figure = draw_strip(rows, UNITS["score" if score else library.metric])
    with replace_output(path, private=True) as temporary, warnings.catch_warnings():
        # A character that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(temporary, format="png", metadata=PNG_TEXT, facecolor="white")


def _hit_tile(library: Library, result: QueryResult, hit: Hit, score: bool) -> Tile:
    photo, crop = photo_of(library.store, hit), crop_of(library.store, hit)
    time = f" @ {hit.time}" if hit.time else ""
    note = f"{hit.rank}:  {result.format_distance(hit, score)}{time}"
    color = _COLORS[hit.within_threshold]
    return _tile(photo, hit.box, crop, color, hit.shown_name or "no name", note)


def _tile(
    photo: Photo | None, box: Box | None, crop: Picture | None, color: str, title: str, note: str
) -> Tile:
    """Show a reduced photo with its box, or the crop if there is no photo any more."""
    if photo is None:
        picture, box = (np.full((1, 1, 3), 238, np.uint8) if crop is None else crop), None
    else:
        image = Image.fromarray(photo.pixels)
        image.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE))
        picture = np.asarray(image)
        if box:
            x, y, w, h = (value * image.width / photo.size[0] for value in box)
            box = (x, y, w, h)
    return Tile(picture, color, _shortened(title), note, box=box)


def _shortened(name: str) -> str:
    shown = printable(name)
    if len(shown) <= _LONGEST_NAME:
        return shown
    return f"{shown[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
