"""The retrieval grid: queries, and right of each the gallery images nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.figures.charts import DPI, GREEN, INK, QUIET, STYLE, save

# A red that is also darker than the green, so that the frames differ in grey.
WRONG_RED = "#B2182B"

# Inches.
_IMAGE, _STEP, _ROW, _GAP, _MARGIN, _HEAD = 0.66, 0.78, 0.98, 0.26, 0.15, 0.86
# Few columns still leave room for the title.
_MIN_WIDTH = 5.5

Images = NDArray[np.uint8]


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
    """Draw queries in the first column and what was found for them in the others.

    Right ones are framed green and ticked, wrong ones framed red and crossed; the number under an
    image is its Hamming distance from the query.

    Args:
        queries: uint8 (rows, side, side, 3), RGB.
        found: uint8 (rows, columns, side, side, 3), RGB, nearest first.
        right: bool (rows, columns), whether an image shows the person of the query.
        distances: int64 (rows, columns), Hamming distances.
        path: PNG file to write.
        title: What is shown, for example how the queries were chosen.
        caption: Data set, method and bits.
        notes: A few characters under each query, for example its average precision.

    Raises:
        CodesError: Arrays that do not fit together, or a name that does not end in .png.
    """
    rows, columns = _check(queries, found, right, distances, notes)
    width = max(_MIN_WIDTH, 2 * _MARGIN + _STEP + _GAP + columns * _STEP)
    height = _HEAD + rows * _ROW + _MARGIN
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        _write_head(axes, columns, title, caption)
        for row in range(rows):
            top = _HEAD + row * _ROW
            _draw(axes, queries[row], _left(0), top, QUIET, 0.8)
            if notes:
                _write(axes, _left(0), top, notes[row], QUIET)
            for column in range(columns):
                left = _left(column + 1)
                good = bool(right[row, column])
                colour, mark = (GREEN, "\N{CHECK MARK}") if good else (WRONG_RED, "\N{BALLOT X}")
                _draw(axes, found[row, column], left, top, colour, 2.2)
                _write(axes, left, top, f"{mark} {distances[row, column]}", colour)
        # Setting the limits last: drawing an image moves them. Downwards, in inches.
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
        axes.set_axis_off()
        save(figure, path)


def _left(column: int) -> float:
    return _MARGIN + column * _STEP + (_GAP if column else 0) + (_STEP - _IMAGE) / 2


def _write_head(axes: Axes, columns: int, title: str, caption: str) -> None:
    left = _left(0)
    axes.text(left, 0.24, title, fontsize=10.5, fontweight="bold", va="center")
    axes.text(left, 0.46, caption, fontsize=8.5, color=QUIET, va="center")
    for column in range(columns + 1):
        heading = str(column) if column else "query"
        middle = _left(column) + _IMAGE / 2
        axes.text(middle, _HEAD - 0.1, heading, fontsize=8, color=INK, ha="center", va="center")


def _draw(axes: Axes, image: Images, left: float, top: float, colour: str, width: float) -> None:
    box = (left, left + _IMAGE, top + _IMAGE, top)
    axes.imshow(image, extent=box, interpolation="bicubic")
    axes.add_patch(
        Rectangle((left, top), _IMAGE, _IMAGE, fill=False, edgecolor=colour, linewidth=width)
    )


def _write(axes: Axes, left: float, top: float, text: str, colour: str) -> None:
    middle = left + _IMAGE / 2
    axes.text(middle, top + _IMAGE + 0.12, text, fontsize=8, color=colour, ha="center", va="center")


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
            f"3), right and distances (rows, columns), notes one a row; got {np.shape(queries)}, "
            f"{shape}, {np.shape(right)}, {np.shape(distances)} and {len(notes)}"
        )
    return shape[0], shape[1]
