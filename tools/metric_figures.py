"""Draw the figures of docs/reading_the_metrics.md: ``python -m tools.metric_figures RUN_DIR``."""

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.run.score import evaluate_codes
from facehash.codes import CodesError, bits_from_packed, packed_from_bits
from facehash.command_line import DONE, make_app, run
from facehash.figures.style import BLUE, DPI, GREEN, ORANGE, QUIET, SKY, STYLE, save
from facehash.files import write_json
from facehash.hamming.search import distance_histograms
from facehash.retrieval import metrics
from facehash.retrieval.codes_file import CodeSet, read_codes
from facehash.retrieval.evaluation import RADIUS

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = Path("experiments/results/reading_the_metrics.json")
IMAGES = Path("docs/images")
LENGTHS = (4, 6, 8, 12, 16, 24, 32, 48)
LAST_RADIUS = 16

app = make_app("Draw the figures of docs/reading_the_metrics.md.")


def first_bits(codes: CodeSet, bits: int) -> CodeSet:
    """Return codes truncated to their first bits, with the same labels.

    Raises:
        CodesError: `bits` is out of range.
    """
    if not 1 <= bits <= codes.bits:
        raise CodesError(f"bits must be 1 to {codes.bits}, got {bits}")
    gallery, query = (
        packed_from_bits(bits_from_packed(part, codes.bits)[:, :bits])
        for part in (codes.gallery_codes, codes.query_codes)
    )
    return CodeSet(gallery, query, codes.gallery_labels, codes.query_labels, bits)


def measure(codes: CodeSet) -> dict[str, Any]:
    """Score the first bits of codes at several lengths, and all bits at each radius.

    Args:
        codes: Packed codes and labels, of at least 48 bits.

    Returns:
        ``by_length`` (``bits`` and three mAPs) and ``by_radius`` (``radius``, ``precision``,
        ``recall``, ``empty``), lists of numbers.
    """
    scores = [evaluate_codes(first_bits(codes, bits)).metrics for bits in LENGTHS]
    keys = ("mAP_lower", "mAP", "mAP_upper")
    by_length = {key: [one[key] for one in scores] for key in keys}
    all_counts, relevant = distance_histograms(
        codes.gallery_codes, codes.query_codes, codes.gallery_labels, codes.query_labels, codes.bits
    )
    radii = range(LAST_RADIUS + 1)
    by_radius = {
        "precision": [metrics.precision_at_radius(all_counts, relevant, r).mean() for r in radii],
        "recall": [metrics.recall_at_radius(relevant, r).mean() for r in radii],
        "empty": [metrics.empty_at_radius(all_counts, r).mean() for r in radii],
    }
    return {
        "bits": codes.bits,
        "by_length": {"bits": list(LENGTHS)} | _rounded(by_length),
        "by_radius": {"radius": list(radii)} | _rounded(by_radius),
    }


def draw(numbers: dict[str, Any], folder: Path) -> None:
    """Draw ``metrics-ties.png`` and ``metrics-radius.png`` into a folder."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _chart("mAP depends on the order of ties")
        band = numbers["by_length"]
        axes.fill_between(
            band["bits"], band["mAP_lower"], band["mAP_upper"], color=SKY, alpha=0.4, lw=0,
            label="worst to best order of ties",
        )  # fmt: skip
        line = {"color": BLUE, "markersize": 4, "label": "expectation (mAP)"}
        axes.plot(band["bits"], band["mAP"], "-o", **line)
        axes.set(xlabel="Number of bits kept", ylabel="mAP", xticks=band["bits"])
        axes.legend(loc="lower right")
        save(figure, folder / "metrics-ties.png")

        figure, axes = _chart(f"Codes of {numbers['bits']} bits at every radius")
        ball = numbers["by_radius"]
        radius, empty = ball["radius"], ball["empty"]
        area = {"color": ORANGE, "alpha": 0.35, "lw": 0, "label": "queries with an empty ball"}
        axes.fill_between(radius, empty, **area)
        axes.plot(radius, ball["precision"], color=BLUE, label="precision (0 for an empty ball)")
        axes.plot(radius, ball["recall"], color=GREEN, label="recall")
        axes.axvline(RADIUS, color=QUIET, linewidth=1)
        axes.set(xlabel="Hamming radius", xlim=(0, LAST_RADIUS), ylabel="Share")
        axes.legend(loc="center right")
        save(figure, folder / "metrics-radius.png")


@app.command()
def main(
    run_directory: Path = typer.Argument(metavar="RUN_DIR", help="A scored run with codes.npz."),
) -> int:
    """Measure the codes of a run, write the numbers, and draw the figures.

    Example: python -m tools.metric_figures runs/quickstart-48-s0
    """
    write_json(ROOT / NUMBERS, measure(read_codes(run_directory / "codes.npz")))
    draw(json.loads((ROOT / NUMBERS).read_text(encoding="utf-8")), ROOT / IMAGES)
    return DONE


def _rounded(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: np.round(values, 4).tolist() for name, values in columns.items()}


def _chart(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 2.9), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_ylim(0, 1.03)
    return figure, axes


if __name__ == "__main__":
    run(app, "python -m tools.metric_figures")
