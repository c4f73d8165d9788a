"""A table of unseen people as Markdown, LaTeX or HTML: one for each gallery and code length."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.table.html_report import figure, whole_page
from experiments.table.layout import (
    NONE,
    Column,
    escape,
    html_rows,
    latex_table,
    markdown_rows,
)
from experiments.unseen.judge import RATE, K

FITTED = {
    "none": "nothing",
    "others": "other people",
    "recentred": "other people, re-centered",
    "adapted": "the library",
}
"""What a head is fitted to, in words."""

DISTANCES = {"hamming": "Hamming distance", "asymmetric": "float query, stored bits"}

_LEGEND = (
    "Means over five draws of held-out queries, ± the standard deviation over draws and seeds. "
    "*Fitted to*: other people, with the mean stored at training; the same heads with the mean of "
    "the library (re-centered); or the library itself, its vectors and never its labels. mAP is "
    "the expectation over all orders of tied items, *by tie order* its bounds. {recall}: share of "
    "the ten nearest faces by float vectors that are among the ten nearest. {rate}: share of the "
    "pairs of one person accepted where 1 in 1,000 of the other pairs is. *Over {baseline}*: "
    "difference of mAP to {baseline} that is fitted to the same, ± two standard errors of a "
    "bootstrap over people. *Leave-one-out*: {loo:,} faces are queries among all faces, and what "
    "is fitted to the library is fitted to them too. Float vectors are compared by cosine, OPQ by "
    "the distance of a vector and what a code stands for. A shortlist of {candidates:,} faces by "
    "the Hamming distance is put in asymmetric order, and its first {last} faces in the order of "
    "float vectors, which the library then has to store."
)

_CAPTIONS = {
    "map": "mAP of held-out queries. Horizontal line: float vectors.",
    "over_baseline": "Difference of mAP to the baseline that is fitted to the same vectors; bars "
    "are two standard errors of a bootstrap over people.",
}


def markdown(summary: dict[str, Any]) -> str:
    """Return the whole table as a Markdown document."""
    parts = [f"# {summary['title']}", summary["note"], _legend(summary)]
    parts += ["## Bars", bars_table(summary).rstrip()]
    for gallery, bits in _sections(summary):
        chosen = columns(summary)
        rows = [[column.text(row) for column in chosen] for row in rows_of(summary, gallery, bits)]
        names = [_full_name(column) for column in chosen]
        parts += [f"## {heading(summary, gallery, bits)}", markdown_rows(names, rows).rstrip()]
    if summary["missing"]:
        parts.append(f"Not measured yet: {', '.join(summary['missing'])}.")
    return "\n\n".join(parts) + "\n"


def latex(summary: dict[str, Any]) -> str:
    """Return the tables for LaTeX with booktabs."""
    parts = ["% needs \\usepackage{booktabs}", f"% {escape(summary['title'])}"]
    for gallery, bits in _sections(summary):
        caption = escape(f"{summary['title']}; {heading(summary, gallery, bits)}.")
        named = [Column("", _full_name(one), one.text) for one in columns(summary)]
        parts += latex_table(caption, named, rows_of(summary, gallery, bits))
    return "\n".join(parts) + "\n"


def write_page(summary: dict[str, Any], charts: Sequence[Path], path: Path) -> str:
    """Return the results as one HTML page without references to other files."""
    title = html.escape(summary["title"])
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(summary['note'])}</p>"]
    parts.append(f'<p class="quiet">{html.escape(_legend(summary).replace("*", ""))}</p>')
    parts.append(f'<p class="quiet">{html.escape(_made_with(summary))}</p>')
    head, *rows = _bars(summary)
    parts.append("<h2>Bars</h2>" + _plain_table(head, rows))
    parts += [figure(chart, _CAPTIONS[chart.stem]) for chart in charts]
    for gallery, bits in _sections(summary):
        parts.append(f"<h2>{html.escape(heading(summary, gallery, bits))}</h2>")
        shown = html_rows(columns(summary), rows_of(summary, gallery, bits))
        parts.append(f'<div class="wide">{shown}</div>')
    if summary["missing"]:
        missing = html.escape(", ".join(summary["missing"]))
        parts.append(f'<p class="quiet">Not measured yet: {missing}.</p>')
    return whole_page(title, path, parts)


def columns(summary: dict[str, Any]) -> list[Column]:
    """Return the columns; a row holds the scores of one method and fit by all its distances."""
    found = [
        Column("", "Method", lambda row: row["label"]),
        Column("", "Fitted to", lambda row: FITTED[row["fit"]]),
        Column("", "Bytes", lambda row: f"{row['bytes_per_face']:,}"),
        Column("", "Seeds", lambda row: str(len(row["seeds"]))),
    ]
    over = f"over {label_of(summary, summary['baseline'])}"
    for distance, group in DISTANCES.items():
        found += [
            Column(group, "P@1", _mean(distance, "P@1")),
            Column(group, "mAP", _mean(distance, "mAP")),
            Column(group, "by tie order", _bounds(distance)),
            Column(group, over, _over(distance)),
            Column(group, f"recall@{K}", _number(distance, f"recall@{K}")),
            Column(group, RATE, _number(distance, RATE)),
        ]
    for distance, name in (("hamming", "Hamming"), ("asymmetric", "float query")):
        found.append(Column("leave-one-out, P@1 / mAP", name, _leave_one_out(distance)))
    return found


def rows_of(summary: dict[str, Any], gallery: str, bits: int) -> list[dict[str, Any]]:
    """Return the rows of a gallery and a code length, in the order of the table.

    Float vectors are in every table. What has one distance of its own (float vectors, shortlists)
    has its scores in the columns of the asymmetric distance.
    """
    found: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for row in summary["rows"]:
        if row["gallery"] != gallery or row["bits"] not in (bits, None):
            continue
        listed = row["distance"] == "shortlist"
        key = (row["row"], row["fit"], listed)
        if key not in found:
            found[key] = row | {"scores": {}, "row": row["fit"]}  # lines are between fits
            if listed:
                read = f"{row['bytes_read']:,}"
                found[key]["label"] = f"{row['label']}, shortlist ({read} bytes read)"
                found[key]["bytes_per_face"] += 4 * _dimension(summary)
        distance = "hamming" if row["distance"] == "hamming" else "asymmetric"
        found[key]["scores"][distance] = row
    order = {fit: place for place, fit in enumerate(FITTED)}
    return sorted(found.values(), key=lambda row: order[row["fit"]])


def heading(summary: dict[str, Any], gallery: str, bits: int) -> str:
    """Describe a gallery and a code length."""
    data = summary["data"]["galleries"][gallery]
    return (
        f"{data['faces']:,} faces, {bits} bits ({data['queries']:,} held-out queries per draw, "
        f"{data['people']:,} people in the gallery)"
    )


def bars_table(summary: dict[str, Any]) -> str:
    """Return the bars in Markdown."""
    head, *rows = _bars(summary)
    return markdown_rows(head, rows)


def label_of(summary: dict[str, Any], row: str) -> str:
    """Return the label of a row; its id if it is not measured."""
    return next((one["label"] for one in summary["rows"] if one["row"] == row), row)


def _bars(summary: dict[str, Any]) -> Iterator[list[str]]:
    yield ["Codes", "Compared with", "Metric", "Value", "Other value", "Difference", "Bar", "Met"]
    for bar in summary["bars"]:
        sides = [_side(summary, bar[name]) for name in ("of", "against")]
        if bar["met"] is None:
            yield [*sides, bar["metric"], *[NONE] * 3, f"{bar['at_least']:+.3f}", "not measured"]
            continue
        yield [
            *sides,
            bar["metric"],
            f"{bar['value']:.3f}",
            f"{bar['value_against']:.3f}",
            f"{bar['difference']:+.4f} ± {bar['two_standard_errors']:.4f}",
            f"{bar['at_least']:+.3f}",
            "yes" if bar["met"] else "no",
        ]


def _side(summary: dict[str, Any], side: Mapping[str, str]) -> str:
    distance = {"hamming": "Hamming", "asymmetric": "float query"}.get(side["distance"])
    if side["distance"] == "vectors":
        return label_of(summary, side["row"])
    fit = f"fitted to {FITTED[side['fit']]}"
    return f"{label_of(summary, side['row'])} {fit}, {distance or side['distance']}"


def _sections(summary: dict[str, Any]) -> list[tuple[str, int]]:
    """List gallery and code length of each table: the largest gallery first."""
    galleries = summary["data"]["galleries"]
    names = sorted(galleries, key=lambda name: -galleries[name]["faces"])
    lengths = sorted({row["bits"] for row in summary["rows"] if row["bits"]})
    return [(name, bits) for name in names for bits in lengths]


def _dimension(summary: dict[str, Any]) -> int:
    return next((r["bytes_per_face"] // 4 for r in summary["rows"] if r["bits"] is None), 0)


def _legend(summary: dict[str, Any]) -> str:
    return _LEGEND.format(
        recall=f"recall@{K}",
        rate=RATE,
        baseline=label_of(summary, summary["baseline"]),
        loo=summary["leave_one_out"],
        **summary["shortlist"],
    )


def _made_with(summary: dict[str, Any]) -> str:
    cells = summary["cells"]
    commits = sorted({str(cell["commit"])[:10] for cell in cells})
    hours = sum(cell["seconds"]["all"] for cell in cells) / 3600
    packages = sorted(
        {
            f"{name} {version}"
            for cell in cells
            for name, version in cell["packages"].items()
            if name in ("keras", "numpy")
        }
    )
    train = summary["data"]["train"]
    return (
        f"{len(cells)} cells, {hours:.1f} hours; {', '.join(packages)}; commit "
        f"{', '.join(commits)}. Other people: {train['faces']:,} faces of {train['people']:,} "
        "people. An en dash means not applicable."
    )


def _full_name(column: Column) -> str:
    return f"{column.group}: {column.name}" if column.group else column.name


def _plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    chosen = [
        Column("", name, lambda row, place=place: row["cells"][place])
        for place, name in enumerate(head)
    ]
    shown = html_rows(chosen, [{"row": "", "cells": row} for row in rows])
    return f'<div class="wide">{shown}</div>'


def _mean(distance: str, name: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        score = row["scores"].get(distance)
        return NONE if score is None else f"{score[name]:.3f} ± {score[f'{name}_sd']:.3f}"

    return text


def _number(distance: str, name: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        score = row["scores"].get(distance)
        return NONE if score is None or score[name] is None else f"{score[name]:.3f}"

    return text


def _bounds(distance: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        score = row["scores"].get(distance)
        if score is None or score["mAP_upper"] - score["mAP_lower"] < 5e-4:
            return NONE  # no ties to speak of
        return f"{score['mAP_lower']:.3f} to {score['mAP_upper']:.3f}"

    return text


def _over(distance: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        found = (row["scores"].get(distance) or {}).get("over_baseline")
        if found is None:
            return NONE
        of = found["mAP"]
        return f"{of['difference']:+.3f} ± {of['two_standard_errors']:.3f}"

    return text


def _leave_one_out(distance: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        found = (row["scores"].get(distance) or {}).get("leave_one_out")
        return NONE if found is None else f"{found['P@1']:.3f} / {found['mAP']:.3f}"

    return text
