"""The chart of the benchmark of large libraries: what grows with the number of faces."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullFormatter

from facehash.figures.style import LINES, QUIET, STYLE, save

_SIZE = (10.4, 4.4)
_SEARCHES = ("vectors, cosine", "codes, asymmetric", "codes, Hamming")
_MARKS = ("o", "s", "D", "^", "v")


def write_scale(result: dict[str, Any], path: Path) -> None:
    """Draw milliseconds of searches, and seconds of what changes a library, by its size.

    Args:
        result: See `benchmarks.scale`; sizes without all steps are passed over.
        path: PNG file to write.
    """
    libraries = {
        int(size): library["steps"]
        for size, library in sorted(result["libraries"].items(), key=lambda item: int(item[0]))
        if {"forget", "name", "add"} <= library["steps"].keys()
    }
    searches = {
        f"by {kind}": [
            steps[f"search by {kind}"]["milliseconds"]["later search"]
            for steps in libraries.values()
        ]
        for kind in _SEARCHES
    }
    changes = {
        "store all faces": [steps["build"]["seconds"]["rows"] for steps in libraries.values()],
        "forget a person": [steps["forget"]["seconds"] for steps in libraries.values()],
        "write all index files": [
            steps["build"]["seconds"]["index files"] for steps in libraries.values()
        ],
        "name 20 faces": [steps["name"]["seconds"] for steps in libraries.values()],
        "add 64 faces to the index": [
            steps["add"]["seconds"]["index files"] for steps in libraries.values()
        ],
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
        left, right = figure.subplots(1, 2)
        _draw(left, list(libraries), searches, "ms")
        _draw(right, list(libraries), changes, "s")
        left.set_title("One search of the local index", loc="left", fontsize=9, color=QUIET)
        right.set_title("What changes a library", loc="left", fontsize=9, color=QUIET)
        figure.suptitle(
            "Cost by the number of faces", x=0.01, ha="left", fontweight="bold"
        )  # fmt: skip
        save(figure, path)


def _draw(axes: Axes, sizes: list[int], lines: dict[str, list[float]], unit: str) -> None:
    for number, (name, values) in enumerate(lines.items()):
        color = LINES[number % len(LINES)]
        axes.plot(sizes, values, marker=_MARKS[number], markersize=5, color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g} {unit}"))
    axes.set_xlabel("Faces in the library")
    axes.set_ylim(top=axes.get_ylim()[1] * 3)
    axes.legend(loc="upper left", ncols=2, fontsize=7.5)
