"""The trade-off of a library: the accuracy of a search over the bytes per face."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from facehash.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, QUIET, RED, SKY, STYLE, save

_SIZE = (10.4, 4.4)
_PANELS = (
    ("P@1", "P@1: the nearest face shows the same person"),
    ("mAP", "mAP, averaged over the orders of ties"),
)
# Label, color, and where the lengths are written, in points from the mark.
_HASHERS = {
    "itq": ("ITQ", BLUE, (-3, 6), "right"),
    "lsh": ("LSH", RED, (4, -10), "left"),
    "learned": ("learned", ORANGE, (4, -10), "left"),
    "adapted": ("adapted", GREEN, (-3, 6), "right"),
}
_MARKS = ("*", "D", "P", "X", "v", "^")
_BYTES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


def write_tradeoff(methods: Sequence[dict[str, Any]], path: Path, caption: str = "") -> None:
    """Draw accuracy over bytes per face.

    Codes of one kind are a solid line over their lengths, dotted if compared by the Hamming
    distance. With re-ranking they are a dashed line, at the bytes of the code: that is what a query
    reads of every face. Each embedder is a mark. Scores are those of held-out queries, or
    leave-one-out where there are none.

    Args:
        methods: ``methods`` of the result of `facehash.bench.run.bench`.
        path: PNG file to write.
        caption: The library and the number of queries.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
        panels = figure.subplots(1, len(_PANELS))
        for axes, (key, label) in zip(panels, _PANELS, strict=True):
            for name in _HASHERS:
                _draw_codes(axes, [m for m in methods if m["hasher"] == name], name, key)
            _draw_embedders(axes, [m for m in methods if m["is_embedder"]], key)
            _bytes_axis(axes, [m["bytes_per_face"] for m in methods if not m["rerank"]])
            axes.set_ylabel(label)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        figure.suptitle("Accuracy by bytes per face", x=0.01, ha="left", fontweight="bold")
        if caption:
            panels[0].set_title(caption, loc="left", fontsize=8, color=QUIET)
        save(figure, path)


def _draw_codes(axes: Axes, methods: Sequence[dict[str, Any]], name: str, key: str) -> None:
    """Draw the codes of one hasher, with and without re-ranking."""
    label, color, offset, align = _HASHERS[name]
    for line, words in _LINES.items():
        chosen = [method for method in methods if _line_of(method) == line]
        if not chosen:
            continue
        chosen.sort(key=lambda method: int(method["bits"]))
        points = [(method["bits"] / 8, _score(method, key)) for method in chosen]
        what, reranked = words.format(rerank=chosen[0]["rerank"]), line == "--o"
        axes.plot(
            *zip(*points, strict=True),
            line,
            markersize=4.5,
            linewidth=1.2 if reranked else 1.8,
            markerfacecolor="white" if reranked else color,
            color=color,
            label=f"{label}, {what}",
        )
        for method, point in zip(chosen, points, strict=True) if line == "-o" else ():
            axes.annotate(
                str(method["bits"]),
                point,
                xytext=offset,
                textcoords="offset points",
                ha=align,
                fontsize=7,
                color=color,
                # Keeps the number readable where another line passes below it.
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
                zorder=10,
            )


def _draw_embedders(axes: Axes, methods: Sequence[dict[str, Any]], key: str) -> None:
    colors = (INK, PURPLE, GREEN, ORANGE, SKY)
    for number, method in enumerate(methods):
        length = f"{method['bits']} bits" if method["bits"] else "vectors"
        axes.plot(
            method["bytes_per_face"],
            _score(method, key),
            _MARKS[number % len(_MARKS)],
            markersize=7 if number == 0 else 10,
            linestyle="none",
            color=colors[number % len(colors)],
            zorder=9 - number,
            label=f"{method['name']}, {length}",
        )


_LINES = {"-o": "asymmetric", ":o": "Hamming", "--o": "top {rerank} re-ranked"}
"""Style of a line, and its label."""


def _line_of(method: dict[str, Any]) -> str:
    if method["rerank"]:
        return "--o"
    return "-o" if method["distance"] == "asymmetric" else ":o"


def _score(method: dict[str, Any], key: str) -> float:
    return float((method["held_out"] or method)[key])


def _bytes_axis(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(values) / 1.6, max(values) * 1.8)
    axes.xaxis.set_major_locator(FixedLocator(_BYTES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("Bytes read per face and query")
    axes.set_ylim(top=1.04)
