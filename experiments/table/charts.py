"""The figures of a table, as PNG and SVG: one panel per protocol, one color per network."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from experiments.table.grid import Grid
from experiments.table.layout import protocols_of, rows_of
from experiments.table.summary import Reports
from facehash.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, QUIET, RED, STYLE
from facehash.files import atomic_write

_COLORS = (BLUE, RED, GREEN, PURPLE, ORANGE)
_STYLES = {
    None: ("-", "o"),
    "itq": ("--", "s"),
    "lsh": (":", "^"),
    "witq": ((0, (5, 1, 1, 1, 1, 1)), "v"),
    "ndh": ((0, (1, 1)), "P"),
    "classifier": ("-.", "D"),
    "cosine": ((0, (8, 3)), ""),
}
LOOK = STYLE | {"svg.hashsalt": "facehash", "svg.fonttype": "none"}
DPI = 150
_LEGEND_WIDTH = 30  # characters per line

Row = Mapping[str, Any]
Draw = Callable[[Axes, list[Row]], None]


def write_all_charts(
    grid: Grid, summary: Mapping[str, Any], reports: Reports, folder: Path
) -> list[Path]:
    """Draw every figure of a table that has results.

    Returns:
        The .png files in reading order; an .svg file lies beside each.
    """
    charts = _Charts(grid, summary, reports)
    length = f"{charts.longest} bits" if charts.longest else "float vectors"
    drawn = {
        "map": ("Mean average precision by code length", charts.over_bits("mAP")),
        "precision_radius2": ("Precision within radius 2", charts.over_bits("P@r2")),
        "recall_radius2": ("Recall within radius 2", charts.over_bits("R@r2")),
        "precision_recall": (
            f"Precision and recall within each radius, {length}",
            charts.curve("precision_recall", "recall", "precision"),
        ),
        "precision_at": (
            f"Precision among the nearest N, {length}",
            charts.curve("precision_at", "n", "precision"),
        ),
        "ties": ("mAP with ties in the worst and the best order", charts.ties),
        "packing": ("True Hamming distance and the authors' packing", charts.packing),
    }
    return [
        charts.write(title, draw, folder / f"{name}.png") for name, (title, draw) in drawn.items()
    ]


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure as .png, and as .svg beside it, with no time stamp."""
    for target in (path, path.with_suffix(".svg")):
        with atomic_write(target) as temporary:
            unstamped = {"Software": None} if target.suffix == ".png" else {"Date": None}
            figure.savefig(temporary, metadata=unstamped, facecolor="white")


class _Charts:
    """What all figures of one table share: panels, colors and labels."""

    def __init__(self, grid: Grid, summary: Mapping[str, Any], reports: Reports) -> None:
        self.grid = grid
        self.summary = dict(summary)
        self.reports = reports
        self.longest = max((row["bits"] or 0) for row in summary["rows"])
        # A row without baselines and with fewer code lengths than others is an ablation: the table
        # shows it, in a figure its line would be a dot.
        lengths: dict[str, set[int | None]] = {}
        for row in summary["rows"]:
            lengths.setdefault(row["row"], set()).add(row["bits"])
        most = max(len(found) for found in lengths.values())
        used = {row.of for row in grid.config.rows}
        rows = [
            row
            for row in grid.config.rows
            if row.id in lengths and (row.of or row.id in used or len(lengths[row.id]) == most)
        ]
        networks = list(dict.fromkeys(row.of or row.id for row in rows))
        self.colors = {
            row.id: _COLORS[networks.index(row.of or row.id) % len(_COLORS)] for row in rows
        }
        self.kinds = {row.id: row.baseline for row in rows}

    def write(self, title: str, draw: Draw, path: Path) -> Path:
        """Draw one panel per protocol with a common legend, and save both formats."""
        protocols = protocols_of(self.summary)
        with matplotlib.rc_context(LOOK):
            width = 1.6 + 3.6 * len(protocols)
            layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
            figure = Figure(figsize=(width + 1.2, 3.7), dpi=DPI, layout=layout)
            panels = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
            for axes, protocol in zip(panels, protocols, strict=True):
                rows = [r for r in rows_of(self.summary, protocol) if r["row"] in self.colors]
                draw(axes, rows)
                axes.set_title(f"{protocol} identities", loc="left", fontsize=9, color=QUIET)
            handles: dict[str, Any] = {}
            for axes in panels:
                handles |= {h.get_label(): h for h in axes.get_legend_handles_labels()[0]}
            # A label as wide as a panel would leave no room for the panels.
            labels = [textwrap.fill(label, _LEGEND_WIDTH) for label in handles]
            look = {"loc": "outside right center", "handlelength": 3.2}  # shows the dashes
            figure.legend(handles.values(), labels, **look)
            if panels[0].get_ylim()[0] < 0.02:
                panels[0].set_ylim(bottom=0)
            figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
            figure.supxlabel(self.summary["title"], x=0.01, ha="left", fontsize=8, color=QUIET)
            save_figure(figure, path)
        return path

    def over_bits(self, metric: str) -> Draw:
        """Draw a metric over the code length; float vectors as a horizontal line."""

        def draw(axes: Axes, rows: list[Row]) -> None:
            for name, points in _by_row(rows).items():
                known = [(row["bits"], row["metrics"][metric]) for row in points]
                known = [(bits, value) for bits, value in known if value is not None]
                if not known:
                    continue
                look = self._look(name, points[0]["label"])
                if known[0][0] is None:
                    axes.axhline(known[0][1]["mean"], **look)
                    continue
                bits = [bits for bits, _ in known]
                means = np.array([value["mean"] for _, value in known])
                spread = np.array([value["std"] or 0.0 for _, value in known])
                axes.plot(bits, means, **look)
                if spread.any():
                    axes.fill_between(
                        bits, means - spread, means + spread, color=look["color"], alpha=0.15, lw=0
                    )
            self._bits_axis(axes, metric)

        return draw

    def curve(self, name: str, across: str, up: str) -> Draw:
        """Draw a curve of the reports for the longest codes, averaged over seeds."""

        def draw(axes: Axes, rows: list[Row]) -> None:
            for row in rows:
                curves = [report["curves"][name] for report in self._reports_of(row)]
                if row["bits"] not in (self.longest, None) or not all(curves):
                    continue
                look = self._look(row["row"], row["label"]) | {"marker": ""}
                axes.plot(
                    np.mean([curve[across] for curve in curves], axis=0),
                    np.mean([curve[up] for curve in curves], axis=0),
                    **look,
                )
            axes.set_xlabel({"recall": "Recall", "n": "N"}[across])
            axes.set_ylabel("Precision")
            if across == "n":
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")

        return draw

    def ties(self, axes: Axes, rows: list[Row]) -> None:
        """Draw mAP within the band between the worst and the best order of ties."""
        for name, points in self._networks(rows).items():
            bits = [row["bits"] for row in points]
            lower, mean, upper = (
                [row["metrics"][key]["mean"] for row in points]
                for key in ("mAP_lower", "mAP", "mAP_upper")
            )
            look = self._look(name, f"{points[0]['label']}, expected")
            axes.plot(bits, mean, **look)
            axes.fill_between(
                bits, lower, upper, color=look["color"], alpha=0.18, lw=0,
                label=f"{points[0]['label']}, worst to best order",
            )  # fmt: skip
        self._bits_axis(axes, "mAP")

    def packing(self, axes: Axes, rows: list[Row]) -> None:
        """Draw mAP and P@r2 with both distances."""
        for name, points in self._networks(rows).items():
            bits = [row["bits"] for row in points]
            for metric, marker in (("mAP", "o"), ("P@r2", "^")):
                for section, style, words in (
                    ("metrics", "-", "true distance"),
                    ("metrics_author", "--", "authors' packing"),
                ):
                    look = self._look(name, f"{points[0]['label']} {metric}, {words}")
                    values = [row[section][metric]["mean"] for row in points]
                    axes.plot(bits, values, **(look | {"linestyle": style, "marker": marker}))
        self._bits_axis(axes, "mAP and P@r2")

    def _networks(self, rows: list[Row]) -> dict[str, list[Row]]:
        return _by_row([row for row in rows if self.kinds[row["row"]] is None])

    def _look(self, name: str, label: str) -> dict[str, Any]:
        style, marker = _STYLES[self.kinds[name]]
        return {
            "linestyle": style,
            "marker": marker or "None",
            "markersize": 4,
            "color": self.colors[name],
            "label": label,
            "linewidth": {None: 2.0, "cosine": 0.9}.get(self.kinds[name], 1.2),
        }

    def _reports_of(self, row: Row) -> Sequence[Mapping[str, Any]]:
        return [
            self.reports[cell.name]
            for cell in self.grid.cells
            if (cell.row.id, cell.protocol, cell.bits) == (row["row"], row["protocol"], row["bits"])
            and cell.name in self.reports
        ]

    def _bits_axis(self, axes: Axes, label: str) -> None:
        axes.set_xticks(sorted({row["bits"] for row in self.summary["rows"] if row["bits"]}))
        axes.set_xlabel("Bits")
        axes.set_ylabel(label)


def _by_row(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group rows by method, in the order of the table, each group sorted by code length."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["row"], []).append(row)
    return {name: sorted(group, key=lambda row: row["bits"] or 0) for name, group in found.items()}
