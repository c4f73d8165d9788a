"""Colors and fonts of all figures, and how a figure becomes a file."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from facehash.codes import CodesError
from facehash.files import atomic_write
from facehash.output import PNG_TEXT

# Distinct for color-blind readers and in grayscale: Okabe and Ito, 2008.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
PURPLE, SKY, RED = "#CC79A7", "#56B4E9", "#D55E00"
LINES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
# For frames next to green ones: also darker than the green, so that they differ in grayscale.
DARK_RED = "#B2182B"
YELLOW = "#FFC20A"
INK, QUIET, GRID = "#222222", "#6B6B6B", "#E3E3E3"

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,
}
DPI = 200


def write_title(axes: Axes, title: str, caption: str) -> None:
    """Write a bold title above the axes, and a caption between them if it is not empty."""
    pad = 22 if caption else 8
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=pad)
    if caption:
        offset = ScaledTranslation(0, 6 / 72, axes.figure.dpi_scale_trans)
        place = axes.transAxes + offset
        axes.text(0, 1, caption, transform=place, fontsize=8.5, color=QUIET, va="bottom")


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG file, completely or not at all.

    Raises:
        CodesError: A name that does not end in .png.
    """
    if Path(path).suffix != ".png":
        raise CodesError(f"{path}: the name of a figure must end in .png")
    with atomic_write(Path(path)) as temporary:
        figure.savefig(temporary, metadata=PNG_TEXT, facecolor="white")
