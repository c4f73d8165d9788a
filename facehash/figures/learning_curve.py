"""The learning curve of a training, from its history."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.figures.style import BLUE, DPI, INK, LINES, ORANGE, QUIET, STYLE, save, write_title

Rows = Sequence[Mapping[str, float]]
Columns = Mapping[str, NDArray[np.float64]]

_SIZE = (6.6, 5.0)
_VALIDATION = (0, (4, 1.5))  # dashes
_FEW = 30  # epochs up to which each one gets a dot
_NO_TERMS = ("epoch", "seconds", "accuracy", "loss")


def write_learning_curve(
    history: Rows, path: str | Path, caption: str = "", *, kept: int = 0, checkpoints: Rows = ()
) -> None:
    """Draw the loss, its terms and the accuracy over the epochs of a training.

    The loss axis is logarithmic if the values span more than a factor of ten. Terms that are 0 in
    every epoch, such as a weight decay that is switched off, are omitted.

    Args:
        history: The rows of ``history.csv``, one per epoch: "epoch", "loss", its terms,
            "accuracy", and the same with the prefix "val_" if there is a validation split.
        path: PNG file to write.
        caption: Data set, method and bits, for example ``"orl, DDH, 48 bits"``.
        kept: The epoch whose weights were kept, which is marked; 0 marks none.
        checkpoints: The rows of ``checkpoints/validation.csv`` ("epoch", "mAP"), if there are any.

    Raises:
        CodesError: There is no epoch, or the name does not end in .png.

    Example:
        >>> rows = read_history(Path("runs/orl/history.csv"))  # doctest: +SKIP
        >>> write_learning_curve(rows, "curve.png", "orl, DDH, 48 bits")  # doctest: +SKIP
    """
    if not history:
        raise CodesError("a learning curve needs at least one epoch, got none")
    columns = {name: np.array([row[name] for row in history]) for name in history[0]}
    with matplotlib.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        figure = Figure(figsize=_SIZE, dpi=DPI, layout=layout)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        write_title(upper, "Loss and accuracy during training", caption)
        _draw_losses(upper, columns)
        _draw_accuracy(lower, columns, checkpoints)
        for axes in (upper, lower):
            if kept:
                label = f"kept: epoch {kept}" if axes is upper else None
                axes.axvline(kept, color=QUIET, linewidth=1, linestyle=":", label=label, zorder=1)
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        last = columns["epoch"][-1]
        margin = max(0.02 * (last - 1), 0.5 if last == 1 else 0.1)
        lower.set_xlim(1 - margin, last + margin)
        lower.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        lower.set_xlabel("Epoch")
        figure.align_ylabels()
        save(figure, path)


def _draw_losses(axes: Axes, columns: Columns) -> None:
    drawn = [columns["loss"]]
    _line(axes, columns, "loss", "loss", color=INK, zorder=3)
    if "val_loss" in columns:
        drawn.append(columns["val_loss"])
        _line(axes, columns, "val_loss", "loss, validation", color=INK, linestyle=_VALIDATION)
    terms = [
        name
        for name, values in columns.items()
        if name not in _NO_TERMS and not name.startswith("val_") and values.any()
    ]
    # The largest first, so that the legend has the order of the lines.
    terms.sort(key=lambda name: -columns[name][-1])
    for name, color in zip(terms, cycle(LINES), strict=False):
        drawn.append(columns[name])
        _line(axes, columns, name, name.replace("_", " "), color=color, linewidth=1.3)
    axes.set_ylabel("Loss")
    values = np.concatenate(drawn)
    if values.min() > 0 and values.max() > 10 * values.min():
        decades = np.log10(values.max() / values.min())
        axes.set_yscale("log")
        steps = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel("Loss (logarithmic)")
    else:
        axes.set_ylim(bottom=min(0.0, float(values.min())))
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_accuracy(axes: Axes, columns: Columns, checkpoints: Rows) -> None:
    if "accuracy" in columns:
        _line(axes, columns, "accuracy", "accuracy", color=BLUE)
    if "val_accuracy" in columns:
        label = "accuracy, validation"
        _line(axes, columns, "val_accuracy", label, color=BLUE, linestyle=_VALIDATION)
    if checkpoints:
        epochs, scores = ([row[name] for row in checkpoints] for name in ("epoch", "mAP"))
        axes.plot(
            epochs, scores, "D--", color=ORANGE, markersize=4, linewidth=1, label="mAP, validation"
        )
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_ylabel("Accuracy, mAP" if checkpoints else "Accuracy")


def _line(axes: Axes, columns: Columns, name: str, label: str, **style: Any) -> None:
    """Draw a column over the epochs, with a dot for each epoch if they are few."""
    if len(columns["epoch"]) <= _FEW:
        style |= {"marker": "o", "markersize": 3}
    axes.plot(columns["epoch"], columns[name], label=label, **style)
