"""The figures of a table of unseen people, as PNG and SVG."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from experiments.table.charts import DPI, LOOK, save_figure
from experiments.unseen.layout import DISTANCES, FITTED, label_of
from facehash.figures.style import INK, LINES, QUIET

_MARKERS = "osD^vPX*<>ph"
_FITS = ("others", "adapted")

Row = Mapping[str, Any]


def write_charts(summary: dict[str, Any], folder: Path) -> list[Path]:
    """Draw the figures for the gallery and the code length of the bars, or else for the largest.

    Returns:
        The .png files; an .svg file lies beside each.
    """
    galleries = summary["data"]["galleries"]
    gallery = max(galleries, key=lambda name: galleries[name]["faces"])
    rows = [row for row in summary["rows"] if row["gallery"] == gallery]
    faces = f"{galleries[gallery]['faces']:,} faces"
    lengths = sorted({row["bits"] for row in rows if row["bits"]})
    wanted = [bar["bits"] for bar in summary["bars"] if bar["bits"] in lengths]
    bits = (wanted or lengths or [0])[0]
    baseline = label_of(summary, summary["baseline"])
    return [
        _draw(
            folder / "map.png",
            f"Mean average precision of held-out queries, {faces}",
            summary,
            lambda axes, fit, distance: _over_bits(axes, rows, fit, distance, lengths),
        ),
        _draw(
            folder / "over_baseline.png",
            f"Difference of mAP to {baseline}, {bits} bits, {faces}",
            summary,
            lambda axes, fit, distance: _differences(
                axes, [row for row in rows if row["bits"] == bits], fit, distance
            ),
        ),
    ]


def _draw(
    path: Path, title: str, summary: dict[str, Any], draw: Callable[[Axes, str, str], None]
) -> Path:
    """Draw a panel for each distance and fit, with a common legend if the panels have labels."""
    with matplotlib.rc_context(LOOK):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(9.4, 6.4), dpi=DPI, layout=layout)
        panels = figure.subplots(len(_FITS), len(DISTANCES), sharey="row", sharex=True)
        for line, fit in zip(panels, _FITS, strict=True):
            for axes, (distance, words) in zip(line, DISTANCES.items(), strict=True):
                draw(axes, fit, distance)
                words = f"fitted to {FITTED[fit]}, {words}"
                axes.set_title(words, loc="left", fontsize=9, color=QUIET)
        for axes in panels[:-1].flat:
            axes.set_xlabel("")
        handles: dict[str, Any] = {}
        for axes in panels.flat:
            handles |= {h.get_label(): h for h in axes.get_legend_handles_labels()[0]}
        labels = dict.fromkeys(row["label"] for row in summary["rows"])
        names = [name for name in labels if name in handles]
        if names:
            look = {"loc": "outside right center", "handlelength": 2.6}
            figure.legend([handles[name] for name in names], names, **look)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        figure.supxlabel(summary["title"], x=0.01, ha="left", fontsize=8, color=QUIET)
        save_figure(figure, path)
    return path


def _over_bits(
    axes: Axes, rows: Sequence[Row], fit: str, distance: str, lengths: Sequence[int]
) -> None:
    """Draw mAP over the code length; float vectors as a horizontal line."""
    names = list(dict.fromkeys(row["label"] for row in rows if row["bits"]))
    for row in rows:
        if row["bits"] is None and row["fit"] == "none":
            axes.axhline(row["mAP"], color=INK, linewidth=0.9, label=row["label"])
    for place, name in enumerate(names):
        chosen = [
            row
            for row in rows
            if (row["label"], row["fit"], row["distance"]) == (name, fit, distance)
        ]
        chosen.sort(key=lambda row: row["bits"])
        if chosen:
            axes.plot(
                [row["bits"] for row in chosen],
                [row["mAP"] for row in chosen],
                color=LINES[place % len(LINES)],
                linestyle="-" if place < len(LINES) else "--",
                marker=_MARKERS[place % len(_MARKERS)],
                markersize=4,
                linewidth=1.4,
                label=name,
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(bits) for bits in lengths])
    axes.minorticks_off()
    axes.set_xlabel("Bits")
    axes.set_ylabel("mAP")


def _differences(axes: Axes, rows: Sequence[Row], fit: str, distance: str) -> None:
    """Draw the difference to the baseline of each method, with two standard errors."""
    names = list(dict.fromkeys(row["label"] for row in rows if "over_baseline" in row))[::-1]
    axes.axvline(0, color=QUIET, linewidth=0.9)
    for row in rows:
        if (row["fit"], row["distance"]) == (fit, distance) and "over_baseline" in row:
            found = row["over_baseline"]["mAP"]
            axes.errorbar(
                found["difference"],
                names.index(row["label"]),
                xerr=found["two_standard_errors"],
                color=LINES[0] if found["difference"] > 0 else LINES[1],
                fmt="o",
                markersize=4,
                linewidth=1.2,
                capsize=2.5,
            )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("Difference of mAP")
