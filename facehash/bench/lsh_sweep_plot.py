"""The chart of a sweep of LSH settings: recall over speed, and over what is compared."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facehash.bench.lsh_sweep import K, trade_off
from facehash.figures.style import INK, LINES, QUIET, STYLE, save

_SIZE = (10.4, 4.6)
_RECALL = f"recall@{K}"
_SHORT = 500
_MARKS = ("o", "s", "D", "^", "v", "P")


def write_sweep(result: dict[str, Any], path: Path, caption: str = "") -> None:
    """Draw the settings of a sweep, with one line for each number of tables.

    A line connects the settings that no other one with as many tables beats; the others are small
    marks. The first panel shows recall by queries per second, with the exact index as a star; the
    second one recall by the share of faces that a query is compared with.

    Args:
        result: See `facehash.bench.lsh_sweep.sweep_lsh`.
        path: PNG file to write.
        caption: What was searched.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
        speed, share = figure.subplots(1, 2, sharey=True)
        settings = [
            one | {"per_second": 1e3 / one["p50_ms"]}
            for one in result["settings"]
            if one["share"] > 0
        ]
        for number, tables in enumerate(sorted({one["tables"] for one in settings})):
            chosen = [one for one in settings if one["tables"] == tables]
            style: dict[str, Any] = {
                "color": LINES[number % len(LINES)],
                "marker": _MARKS[number % len(_MARKS)],
            }
            _draw(speed, chosen, "per_second", "p50_ms", f"{tables} tables", style)
            _draw(share, chosen, "share", "share", f"{tables} tables", style)
        fastest = 1e3 / result["exact"]["p50_ms"]
        speed.plot(
            fastest, 1, "*", markersize=13, color=INK, linestyle="none", label="exact index",
            zorder=9, clip_on=False,
        )  # fmt: skip
        speed.axvline(fastest, color=INK, linewidth=0.8, linestyle=":")
        for axes in (speed, share):
            axes.axhline(result["plan"]["recall"], color=QUIET, linewidth=0.8, linestyle="--")
            axes.set_xscale("log")
            axes.set_ylim(0, 1.02)
            # Enough labels on an axis of less than a power of ten, few on a long one.
            low, high = axes.get_xlim()
            short = high / low < _SHORT
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if short else (1,)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        speed.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        share.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:,g} %"))
        recall = result["plan"]["recall"]
        share.text(
            0.01, recall - 0.01, f"recall {recall:g}", fontsize=7.5, color=QUIET, va="top",
            transform=share.get_yaxis_transform(),
        )  # fmt: skip
        speed.set_xlabel("Queries per second, one at a time")
        share.set_xlabel("Share of all faces that a query is compared with")
        speed.set_ylabel("Recall@10 against the exact index")
        speed.set_title(caption, loc="left", fontsize=8, color=QUIET)
        handles, names = speed.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        figure.suptitle(
            "LSH by tables, bits and probes", x=0.01, ha="left", fontweight="bold"
        )  # fmt: skip
        save(figure, path)


def _draw(
    axes: Axes,
    settings: list[dict[str, Any]],
    key: str,
    cost: str,
    label: str,
    style: dict[str, Any],
) -> None:
    """Draw all settings as small marks, and the line of those that no other one beats."""
    axes.plot(
        [one[key] for one in settings], [one[_RECALL] for one in settings],
        linestyle="none", markersize=2.5, alpha=0.35, **style,
    )  # fmt: skip
    best = trade_off(settings, cost, _RECALL)
    axes.plot(
        [one[key] for one in best], [one[_RECALL] for one in best],
        markersize=4.5, linewidth=1.6, label=label, **style,
    )  # fmt: skip
