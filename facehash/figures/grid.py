"""A grid of pictures: in each row a reference, and right of it the images that were found for it.

`write_retrieval_grid` draws the nearest gallery images of an evaluation; ``facehash search
--strip`` draws photos of a library.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.figures.style import DARK_RED, DPI, GREEN, INK, QUIET, STYLE, save
from facehash.images.face import Box

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A picture with its texts."""

    picture: Images  # uint8 (height, width, 3), RGB
    color: str  # of the frame and of the text below
    title: str = ""  # first line above the picture
    note: str = ""  # second line above the picture
    below: str = ""  # line below the picture
    box: Box | None = None  # what the frame surrounds, in pixels; None draws no frame
    line_width: float = 1.6  # of the frame, in points


@dataclass(frozen=True)
class Layout:
    """Sizes of a grid, in inches."""

    side: float  # of the square that holds a picture
    step: float  # from one picture to the next
    row: float  # from one row to the next
    gap: float  # extra space right of the reference
    margin: float  # left and right of the pictures
    head: float  # above the pictures of the first row
    foot: float  # below the pictures of the last row
    min_width: float = 0.0  # of the figure
    columns: int = 10**6  # pictures per row; longer rows continue in the next one
    dpi: int = DPI

    def left(self, column: int) -> float:
        """Return where a column starts; column 0 holds the references."""
        return self.margin + column * self.step + (self.gap if column else 0)


# A minimum width, so that a grid of few columns has room for its title.
RETRIEVAL = Layout(
    side=0.66, step=0.78, row=0.98, gap=0.26, margin=0.21, head=0.86, foot=0.47, min_width=5.5
)


def draw_grid(rows: Sequence[Sequence[Tile]], layout: Layout) -> tuple[Figure, Axes]:
    """Draw rows of tiles, the first tile of each row apart from the others.

    Call it, and save the figure, within ``matplotlib.rc_context(STYLE)``.

    Args:
        rows: One row per reference: its tile, then those that were found.
        layout: Sizes.

    Returns:
        The figure, and its only axes: x and y are inches from the upper left corner.
    """
    lines = [
        ([row[0]] if start == 0 else [], row[1:][start : start + layout.columns])
        for row in rows
        for start in range(0, max(1, len(row) - 1), layout.columns)
    ]
    columns = max(len(found) for _, found in lines)
    right = layout.left(columns) + layout.side + layout.margin
    width = max(layout.min_width, right)
    height = layout.head + (len(lines) - 1) * layout.row + layout.side + layout.foot
    figure = Figure(figsize=(width, height), dpi=layout.dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    for number, (reference, found) in enumerate(lines):
        top = layout.head + number * layout.row
        for column, tile in [*enumerate(reference), *enumerate(found, start=1)]:
            _draw(axes, tile, layout.left(column), top, layout.side)
    # Set last, because drawing an image changes the limits.
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.set_axis_off()
    return figure, axes


def _draw(axes: Axes, tile: Tile, left: float, top: float, side: float) -> None:
    height, width = tile.picture.shape[:2]
    scale = side / max(width, height)  # inches per pixel
    x, y = left + (side - width * scale) / 2, top + (side - height * scale) / 2
    enlarged = max(width, height) < side * axes.figure.dpi
    axes.imshow(
        tile.picture,
        extent=(x, x + width * scale, y + height * scale, y),
        interpolation="bicubic" if enlarged else "antialiased",
    )
    if tile.box:
        dx, dy, w, h = (value * scale for value in tile.box)
        frame = Rectangle((x + dx, y + dy), w, h, fill=False, edgecolor=tile.color)
        frame.set_linewidth(tile.line_width)
        frame.set_clip_path(Rectangle((left, top), side, side, transform=axes.transData))
        axes.add_patch(frame)
    middle = left + side / 2
    title_color = DARK_RED if tile.color == DARK_RED else INK
    style: dict[str, Any] = {"ha": "center", "va": "baseline"}
    axes.text(
        middle, top - 0.21, tile.title, fontsize=8, fontweight="bold", color=title_color, **style
    )
    axes.text(middle, top - 0.053, tile.note, fontsize=7.5, color=QUIET, **style)
    style["va"] = "center"
    axes.text(middle, top + side + 0.12, tile.below, fontsize=8, color=tile.color, **style)


def write_retrieval_grid(
    queries: Images,
    found: Images,
    right: NDArray[np.bool_],
    distances: NDArray[np.int64],
    path: str | Path,
    *,
    title: str,
    caption: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Draw queries in the first column and their nearest gallery images in the others.

    Correct images have a green frame and a tick, wrong ones a red frame and a cross. The number
    below an image is its Hamming distance from the query.

    Args:
        queries: uint8 (rows, side, side, 3), RGB.
        found: uint8 (rows, columns, side, side, 3), RGB, nearest first.
        right: bool (rows, columns), whether an image shows the person of the query.
        distances: int64 (rows, columns), Hamming distances.
        path: PNG file to write.
        title: What the grid shows, for example how the queries were chosen.
        caption: Data set, method and bits.
        notes: A few characters below each query, for example its average precision.

    Raises:
        CodesError: Arrays that do not fit together, or a name that does not end in .png.
    """
    rows, columns = _check(queries, found, right, distances, notes)
    side = queries.shape[1]
    whole = (0.0, 0.0, float(side), float(side))

    def result(row: int, column: int) -> Tile:
        correct = bool(right[row, column])
        color, mark = (GREEN, "\N{CHECK MARK}") if correct else (DARK_RED, "\N{BALLOT X}")
        below = f"{mark} {distances[row, column]}"
        return Tile(found[row, column], color, below=below, box=whole, line_width=2.2)

    tiles = [
        [
            Tile(queries[row], QUIET, below=notes[row] if notes else "", box=whole, line_width=0.8),
            *(result(row, column) for column in range(columns)),
        ]
        for row in range(rows)
    ]
    with matplotlib.rc_context(STYLE):
        figure, axes = draw_grid(tiles, RETRIEVAL)
        left, head = RETRIEVAL.left(0), RETRIEVAL.head
        axes.text(left, 0.24, title, fontsize=10.5, fontweight="bold", va="center")
        axes.text(left, 0.46, caption, fontsize=8.5, color=QUIET, va="center")
        for column, heading in enumerate(["query", *map(str, range(1, columns + 1))]):
            middle = RETRIEVAL.left(column) + RETRIEVAL.side / 2
            axes.text(middle, head - 0.1, heading, fontsize=8, color=INK, ha="center", va="center")
        save(figure, path)


def _check(queries: Any, found: Any, right: Any, distances: Any, notes: Any) -> tuple[int, int]:
    shape = tuple(np.shape(found))
    fits = (
        len(shape) == 5
        and shape[-1] == 3
        and 0 not in shape
        and np.shape(queries) == (shape[0], *shape[2:])
        and np.shape(right) == np.shape(distances) == shape[:2]
        and len(notes) in (0, shape[0])
        and found.dtype == queries.dtype == np.uint8
    )
    if not fits:
        raise CodesError(
            "a grid needs uint8 queries (rows, side, side, 3), found (rows, columns, side, side, "
            f"3), right and distances (rows, columns), and one note per row; got "
            f"{np.shape(queries)}, {shape}, {np.shape(right)}, {np.shape(distances)} and "
            f"{len(notes)}"
        )
    return shape[0], shape[1]
