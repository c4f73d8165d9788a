"""Figures of an evaluation as PNG files, drawn without pyplot and written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.files import atomic_write
from facehash.retrieval.evaluation import RADIUS, Evaluation

# Colours that stay apart for colour-blind readers and in grey: Okabe and Ito, 2008.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
)
LINES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
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
_SIZE = (5.2, 3.9)


def write_charts(evaluation: Evaluation, folder: str | Path, caption: str = "") -> list[Path]:
    """Write the three charts of an evaluation that need no images.

    Args:
        evaluation: What `facehash.retrieval.evaluation.evaluate` returned.
        folder: Where to write; made when missing.
        caption: Data set, method and bits, for example ``"ORL, DDH, 48 bits, seen identities"``.

    Returns:
        ``precision_recall.png``, ``precision_at.png``, ``distances.png`` in `folder`.
    """
    folder = Path(folder)
    paths = [folder / f"{name}.png" for name in ("precision_recall", "precision_at", "distances")]
    curves = evaluation.curves
    write_precision_recall({"": curves["precision_recall"]}, paths[0], caption)
    write_precision_at({"": curves["precision_at"]}, paths[1], caption)
    write_distances(evaluation.same_distances, evaluation.different_distances, paths[2], caption)
    return paths


def write_precision_recall(
    curves: Mapping[str, Mapping[str, Sequence[float]]], path: str | Path, caption: str = ""
) -> None:
    """Draw precision over recall, one point for each Hamming radius.

    Args:
        curves: Name of a method -> its curve as in a report ("radius", "recall", "precision"); a
            single curve needs no name.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _chart("Precision and recall within a Hamming radius", caption)
        for colour, (name, curve) in zip(_colours(curves), curves.items(), strict=True):
            recall, precision = curve["recall"], curve["precision"]
            axes.plot(recall, precision, "-o", markersize=3, color=colour, label=name)
            _mark_radius(axes, recall, precision, colour)
        _unit_axis(axes)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("Recall")
        axes.set_ylabel("Precision (0 where nothing is found)")
        _legend(axes, curves)
        save(figure, path)


def write_precision_at(
    curves: Mapping[str, Mapping[str, Sequence[float]]], path: str | Path, caption: str = ""
) -> None:
    """Draw the expected precision among the first N items over N.

    Args:
        curves: Name of a method -> its curve as in a report ("n", "precision"); a single curve
            needs no name.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _chart("Precision among the nearest N gallery images", caption)
        for colour, (name, curve) in zip(_colours(curves), curves.items(), strict=True):
            axes.plot(curve["n"], curve["precision"], color=colour, label=name)
        last = max(curve["n"][-1] for curve in curves.values())
        _unit_axis(axes)
        axes.set_xlim(1 - 0.02 * last, last * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("N, number of gallery images retrieved")
        axes.set_ylabel("Precision at N")
        _legend(axes, curves)
        save(figure, path)


def write_distances(
    same: NDArray[np.int64], different: NDArray[np.int64], path: str | Path, caption: str = ""
) -> None:
    """Draw how far apart pairs of the same and of different people are.

    Args:
        same: int64 (bits + 1,), pairs of the same identity at each distance.
        different: int64 (bits + 1,), pairs of different identities.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _chart("Hamming distances of query and gallery images", caption)
        edges = np.arange(len(same) + 1) - 0.5
        for counts, colour, name in ((same, BLUE, "same"), (different, ORANGE, "different")):
            shares = counts / max(int(counts.sum()), 1)
            label = f"{name} person, {counts.sum():,} pairs"
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
            # Above both areas, so that neither hides the other's outline.
            axes.stairs(shares, edges, color=colour, linewidth=1.4, label=label, zorder=3)
        axes.set_xlim(-0.5, np.flatnonzero(same + different)[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Hamming distance")
        axes.set_ylabel("Share of pairs")
        axes.legend(loc="best")
        save(figure, path)


def _chart(title: str, caption: str) -> tuple[Figure, Axes]:
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=_SIZE, dpi=DPI, layout=layout)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=22 if caption else 8)
    if caption:
        axes.text(
            0, 1.025, caption, transform=axes.transAxes, fontsize=8.5, color=QUIET, va="bottom"
        )
    return figure, axes


def _colours(curves: Mapping[str, Any]) -> Sequence[str]:
    if not 1 <= len(curves) <= len(LINES):
        raise CodesError(f"a chart shows 1 to {len(LINES)} curves, got {len(curves)}")
    return LINES[: len(curves)]


def _mark_radius(
    axes: Axes, recall: Sequence[float], precision: Sequence[float], colour: str
) -> None:
    """Ring the radius that reports quote."""
    if len(recall) <= RADIUS:
        return
    point = (recall[RADIUS], precision[RADIUS])
    axes.plot(*point, "o", markersize=9, markerfacecolor="none", color=colour, clip_on=False)
    # The label stands inside the axes and on the side that the curve leaves free.
    rising = precision[min(RADIUS + 1, len(precision) - 1)] > point[1]
    crowded = point[0] > 0.8
    up = 0 if point[1] < 0.1 else (7 if rising == crowded else -8)
    axes.annotate(
        f"radius {RADIUS}",
        point,
        xytext=(-8 if crowded else 8, up),
        textcoords="offset points",
        ha="right" if crowded else "left",
        va="center",
        color=colour,
    )


def _unit_axis(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks(np.linspace(0, 1, 6))


def _legend(axes: Axes, curves: Mapping[str, Any]) -> None:
    if len(curves) > 1 or any(curves):
        axes.legend(loc="best")


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        CodesError: A name that does not end in .png.
    """
    if Path(path).suffix != ".png":
        raise CodesError(f"{path}: figures are written as .png")
    with atomic_write(Path(path)) as temporary:
        # Without the writer's version the same figure is the same file.
        figure.savefig(temporary, metadata={"Software": None}, facecolor="white")
