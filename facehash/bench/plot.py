"""The trade-off that a library offers: how good answers are, and what a face takes for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from facehash.figures.charts import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    QUIET,
    RED,
    SKY,
    STYLE,
    save,
)

_SIZE = (10.4, 4.4)
_PANELS = (("P@1", "P@1, the nearest face is of the person"), ("mAP", "mAP, ties in any order"))
_HASHERS = {"itq": ("ITQ", BLUE, (-3, 6), "right"), "lsh": ("LSH", RED, (4, -10), "left")}
"""Label, colour, and where the lengths are written, in points from the mark."""
_MARKS = ("*", "D", "P", "X", "v", "^")
_BYTES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


def write_tradeoff(ways: Sequence[dict[str, Any]], path: Path, caption: str = "") -> None:
    """Draw quality against bytes a face.

    Codes of one kind are a line over their lengths; codes whose shortlist is put in order by
    vectors a dashed one, at the bytes of the code, which is all that a query reads of every face;
    each embedder by itself is a mark.

    Args:
        ways: ``ways`` of what `facehash.bench.run.bench` returned.
        path: PNG file to write.
        caption: Which library and how many queries.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
        panels = figure.subplots(1, len(_PANELS))
        for axes, (key, label) in zip(panels, _PANELS, strict=True):
            _draw(axes, ways, key)
            axes.set_ylabel(label)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        figure.suptitle("Bytes a face, and how good the answers are", x=0.01,
                        ha="left", fontweight="bold")  # fmt: skip
        if caption:
            panels[0].set_title(caption, loc="left", fontsize=8, color=QUIET)
        save(figure, path)


def _draw(axes: Axes, ways: Sequence[dict[str, Any]], key: str) -> None:
    for name, (label, colour, offset, align) in _HASHERS.items():
        for reranked in (False, True):
            chosen = [w for w in ways if w["hasher"] == name and bool(w["shortlist"]) == reranked]
            if not chosen:
                continue
            chosen.sort(key=lambda way: int(way["bits"]))
            axes.plot(
                [way["bits"] / 8 for way in chosen],
                [way[key] for way in chosen],
                "--o" if reranked else "-o",
                markersize=4.5,
                linewidth=1.2 if reranked else 1.8,
                markerfacecolor="white" if reranked else colour,
                color=colour,
                label=f"{label}, vectors order the best {chosen[0]['shortlist']}"
                if reranked
                else f"{label}, bits at the marks",
            )
            for way in () if reranked else chosen:
                axes.annotate(
                    str(way["bits"]),
                    (way["bits"] / 8, way[key]),
                    xytext=offset,
                    textcoords="offset points",
                    ha=align,
                    fontsize=7,
                    color=colour,
                    # Lines of other codes pass below.
                    path_effects=[withStroke(linewidth=2.5, foreground="white")],
                    zorder=10,
                )
    colours = (INK, PURPLE, GREEN, ORANGE, SKY)
    for number, way in enumerate(way for way in ways if way["of_embedder"]):
        length = f"{way['bits']} bits" if way["bits"] else "vectors"
        axes.plot(
            way["bytes_a_face"],
            way[key],
            _MARKS[number % len(_MARKS)],
            markersize=7 if number == 0 else 10,
            linestyle="none",
            color=colours[number % len(colours)],
            zorder=9 - number,
            label=f"{way['method']}, {length}",
        )
    _bytes_axis(axes, [way["bytes_a_face"] for way in ways if not way["shortlist"]])


def _bytes_axis(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(values) / 1.6, max(values) * 1.8)
    axes.xaxis.set_major_locator(FixedLocator(_BYTES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("Bytes of every face that a query reads")
    axes.set_ylim(top=1.04)
