"""The charts of an evaluation, drawn without pyplot and written as PNG files."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
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
from facehash.figures.style import BLUE, DPI, LINES, ORANGE, STYLE, save, write_title
from facehash.retrieval.evaluation import RADIUS, Evaluation

_SIZE = (5.2, 3.9)


def write_charts(evaluation: Evaluation, folder: str | Path, caption: str = "") -> list[Path]:
    """Write the three charts of an evaluation.

    Args:
        evaluation: From `facehash.retrieval.evaluation.evaluate`.
        folder: Where to write; created if missing.
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
        curves: Name of a method to its curve as in a report ("radius", "recall", "precision"); a
            single curve needs no name.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with _chart("Precision and recall within a Hamming radius", caption, path) as axes:
        for color, (name, curve) in zip(_colors(curves), curves.items(), strict=True):
            recall, precision = curve["recall"], curve["precision"]
            axes.plot(recall, precision, "-o", markersize=3, color=color, label=name)
            _mark_radius(axes, recall, precision, color)
        _unit_axis(axes)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("Recall")
        axes.set_ylabel("Precision (0 if nothing is found)")
        _legend(axes, curves)


def write_precision_at(
    curves: Mapping[str, Mapping[str, Sequence[float]]], path: str | Path, caption: str = ""
) -> None:
    """Draw the expected precision among the first N items over N.

    Args:
        curves: Name of a method to its curve as in a report ("n", "precision"); a single curve
            needs no name.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with _chart("Precision among the nearest N gallery images", caption, path) as axes:
        for color, (name, curve) in zip(_colors(curves), curves.items(), strict=True):
            axes.plot(curve["n"], curve["precision"], color=color, label=name)
        last = max(curve["n"][-1] for curve in curves.values())
        _unit_axis(axes)
        axes.set_xlim(1 - 0.02 * last, last * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("N, number of gallery images retrieved")
        axes.set_ylabel("Precision at N")
        _legend(axes, curves)


def write_distances(
    same: NDArray[np.int64], different: NDArray[np.int64], path: str | Path, caption: str = ""
) -> None:
    """Draw the distances of pairs of the same person and of different people.

    Args:
        same: int64 (bits + 1,), pairs of the same identity at each distance.
        different: int64 (bits + 1,), pairs of different identities.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with _chart("Hamming distances of query and gallery images", caption, path) as axes:
        edges = np.arange(len(same) + 1) - 0.5
        for counts, color, name in ((same, BLUE, "same"), (different, ORANGE, "different")):
            shares = counts / max(int(counts.sum()), 1)
            label = f"{name} person, {counts.sum():,} pairs"
            axes.stairs(shares, edges, fill=True, color=color, alpha=0.35)
            # Drawn above both areas, so that neither hides the outline of the other.
            axes.stairs(shares, edges, color=color, linewidth=1.4, label=label, zorder=3)
        axes.set_xlim(-0.5, np.flatnonzero(same + different)[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Hamming distance")
        axes.set_ylabel("Share of pairs")
        axes.legend(loc="best")


def write_roc(
    curves: Mapping[str, Mapping[str, Sequence[float]]], path: str | Path, caption: str = ""
) -> None:
    """Draw TAR over FAR, a step for each Hamming threshold; the axis of FAR is logarithmic.

    Args:
        curves: Name of a method to ``verification.curve`` of its report ("far", "tar"); a single
            curve needs no name.
        path: PNG file to write.
        caption: Data set, method and bits.
    """
    with _chart("Verification of pairs of query and gallery image", caption, path) as axes:
        shown = [value for curve in curves.values() for value in curve["far"] if value > 0]
        lowest = min(shown, default=1e-4)
        for color, (name, curve) in zip(_colors(curves), curves.items(), strict=True):
            # A FAR of 0 has no place on the axis; its TAR starts the curve at the left edge.
            far = np.maximum(curve["far"], lowest / 2)
            axes.step(far, curve["tar"], where="post", color=color, label=name)
            axes.plot(far, curve["tar"], "o", markersize=3, color=color)
        _unit_axis(axes)
        axes.set_xscale("log")
        axes.set_xlim(lowest / 2, 1)
        axes.xaxis.set_major_formatter(lambda far, _: f"{far:g}")
        axes.xaxis.set_minor_formatter(lambda far, _: "")
        axes.set_xlabel("FAR, share of pairs of two people that are accepted")
        axes.set_ylabel("TAR, share of pairs of one person")
        _legend(axes, curves)


@contextlib.contextmanager
def _chart(title: str, caption: str, path: str | Path) -> Iterator[Axes]:
    """Yield the axes of a new figure, and write it at the end."""
    with matplotlib.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=_SIZE, dpi=DPI, layout=layout)
        axes = figure.add_subplot()
        write_title(axes, title, caption)
        yield axes
        save(figure, path)


def _colors(curves: Mapping[str, Any]) -> Sequence[str]:
    if not 1 <= len(curves) <= len(LINES):
        raise CodesError(f"a chart has 1 to {len(LINES)} curves, got {len(curves)}")
    return LINES[: len(curves)]


def _mark_radius(
    axes: Axes, recall: Sequence[float], precision: Sequence[float], color: str
) -> None:
    """Mark the radius that reports quote."""
    if len(recall) <= RADIUS:
        return
    point = (recall[RADIUS], precision[RADIUS])
    axes.plot(*point, "o", markersize=9, markerfacecolor="none", color=color, clip_on=False)
    # The label is inside the axes, on the side that the curve leaves free.
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
        color=color,
    )


def _unit_axis(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks(np.linspace(0, 1, 6))


def _legend(axes: Axes, curves: Mapping[str, Any]) -> None:
    if len(curves) > 1 or any(curves):
        axes.legend(loc="best")
