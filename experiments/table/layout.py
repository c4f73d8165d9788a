"""Tables of results from a summary, as Markdown, LaTeX or HTML."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.table.published import Entry, Published
from experiments.table.summary import AUTHOR

SHOWN = ("mAP", "P@r2", "R@r2", "empty@r2", "P@50", "R-precision")
"""Columns by the true Hamming distance; the bounds of mAP have their own column."""

AUTHORS = "authors' packing"
"""The group of columns that are comparable with the papers only."""

OTHERS = {
    "metrics_asymmetric": "asymmetric",
    "recentred": "recentred",
    "recentred_asymmetric": "recentred, asymmetric",
}
"""Key of a row -> group of columns, which a table has if a row has the key."""

NONE = "–"

_MARKS = {"reestimated": "†", "mixed": "‡"}


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    group: str  # heading above the name, or empty
    name: str
    text: Callable[[dict[str, Any]], str]  # row of the summary -> entry


def columns(summary: dict[str, Any], published: Published, protocol: str) -> list[Column]:
    """Choose the columns for a protocol; published numbers only where they are comparable."""
    found = [
        Column("", "Method", lambda row: row["label"] + _mark(summary, row)),
        Column("", "Bits", lambda row: str(row["bits"] or "float")),
        Column("", "Bytes", lambda row: f"{row['bytes_per_face']:,}"),
        Column("", "Seeds", lambda row: str(len(row["seeds"]))),
    ]
    for name in SHOWN:
        found.append(Column("Hamming distance", name, _metric("metrics", name)))
        if name == "mAP":
            found.append(Column("Hamming distance", "By tie order", _bounds))
    at = [name for name in rows_of(summary, protocol)[0]["metrics"] if name.startswith("mAP@")]
    found += [Column("Hamming distance", name, _metric("metrics", name)) for name in at]
    found += [
        Column(group, "mAP", _metric(key, "mAP"))
        for key, group in OTHERS.items()
        if any(key in row for row in rows_of(summary, protocol))
    ]
    found += [Column(AUTHORS, name, _metric("metrics_author", name)) for name in AUTHOR]
    if published.why_none(summary, protocol) is None:
        for metric, distance in _published_metrics(published.beside(summary, protocol)):
            group = "published" if distance == "hamming" else f"published, {AUTHORS}"
            found.append(Column(group, metric, _published(published, metric, distance)))
    return found


def rows_of(summary: dict[str, Any], protocol: str) -> list[dict[str, Any]]:
    """Return the rows of a protocol, in the order of the table."""
    return [row for row in summary["rows"] if row["protocol"] == protocol]


def protocols_of(summary: dict[str, Any]) -> list[str]:
    """Return the protocols that have results, in the order of the table."""
    return list(dict.fromkeys(row["protocol"] for row in summary["rows"]))


def heading(summary: dict[str, Any], protocol: str) -> str:
    """Describe a protocol with its numbers of people and images."""
    faces = rows_of(summary, protocol)[0]["dataset"]
    what = {
        "seen": "seen: queries of identities in the training set, gallery = training set",
        "unseen": "unseen: queries of identities held out of training",
    }[protocol]
    return (
        f"{what} ({faces['query']:,} queries, {faces['gallery']:,} gallery images of "
        f"{faces['identities']:,} people; {faces['train']:,} training images)"
    )


def published_note(summary: dict[str, Any], published: Published, protocol: str) -> str:
    """Name the sources of the published numbers in the table, or why there are none."""
    reason = published.why_none(summary, protocol)
    if reason:
        return f"No published numbers for comparison: {reason}."
    used = {entry.source for entry in published.beside(summary, protocol)}
    works = "; ".join(
        f"{source.work}, {source.place}, {source.how}"
        for name, source in published.sources.items()
        if name in used
    )
    return f"Published: {works}."


def statistics_note(summary: dict[str, Any]) -> str:
    """Say how the networks got their statistics of batch norm; empty if all by moving averages."""
    states = _states(summary)
    if states == {"reestimated"}:
        return "The statistics of batch normalization are estimated from the training images."
    if states <= {"moving"}:
        return ""
    note = (
        f"{_MARKS['reestimated']} The statistics of batch normalization are estimated from the "
        "training images; in rows without a mark they are moving averages."
    )
    if "mixed" in states:
        note += f" {_MARKS['mixed']} Estimated for some seeds, moving averages for the others."
    return f"{note} Do not compare rows with different marks."


def distances_note(summary: dict[str, Any], protocol: str) -> str:
    """Explain the columns of `OTHERS` that a table has; empty if none."""
    rows = rows_of(summary, protocol)
    notes = []
    if any("metrics_asymmetric" in row for row in rows):
        notes.append(
            "asymmetric: the float projections of a query are compared with the stored codes."
        )
    if any("recentred" in row for row in rows):
        notes.append(
            "recentred: the mean of the gallery, without labels, takes the place of the stored one."
        )
    return " ".join(notes)


def _states(summary: dict[str, Any]) -> set[str]:
    return {row.get("batch_statistics", "moving") for row in summary["rows"]} - {"none"}


def _mark(summary: dict[str, Any], row: dict[str, Any]) -> str:
    """Return the mark of a row whose network got its statistics unlike those of others."""
    states = _states(summary)
    differing = len(states) > 1 or "mixed" in states
    return _MARKS.get(row.get("batch_statistics", ""), "") if differing else ""


def markdown(summary: dict[str, Any], published: Published) -> str:
    """Return the whole table as a Markdown document."""
    parts = [f"# {summary['title']}", summary["note"], _legend()]
    for protocol in protocols_of(summary):
        parts.append(f"## {heading(summary, protocol)}")
        parts.append(markdown_table(summary, published, protocol).rstrip())
        parts.append(published_note(summary, published, protocol))
        parts += [note] if (note := distances_note(summary, protocol)) else []
        parts += [note] if (note := statistics_note(summary)) else []
    if summary["missing"]:
        parts.append(f"Not measured yet: {', '.join(summary['missing'])}.")
    return "\n\n".join(parts) + "\n"


def markdown_table(summary: dict[str, Any], published: Published, protocol: str) -> str:
    """Return the table of one protocol in Markdown."""
    chosen = columns(summary, published, protocol)
    rows = [
        [column.text(row).replace("|", "\\|") for column in chosen]
        for row in rows_of(summary, protocol)
    ]
    return markdown_rows([_starred(column) for column in chosen], rows)


def markdown_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return cells of text as a Markdown table, ending with a newline."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def latex(summary: dict[str, Any], published: Published) -> str:
    """Return the tables for LaTeX with booktabs, one per protocol."""
    parts = ["% needs \\usepackage{booktabs}", f"% {escape(summary['title'])}"]
    for protocol in protocols_of(summary):
        caption = f"{summary['title']}; {heading(summary, protocol)}. {summary['note']}"
        for note in (distances_note(summary, protocol), statistics_note(summary)):
            caption = f"{caption} {note}".rstrip()
        parts += latex_table(
            rf"{escape(caption)} $^*$ With the packing of the authors' evaluation.",
            columns(summary, published, protocol),
            rows_of(summary, protocol),
        )
    return "\n".join(parts) + "\n"


def latex_table(
    caption: str, chosen: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> list[str]:
    """Return the lines of one table; `caption` is LaTeX."""
    return [
        r"\begin{table*}",
        rf"\caption{{{caption}}}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'r' * (len(chosen) - 1)}}}",
        r"\toprule",
        " & ".join(escape(_starred(column)) for column in chosen) + r" \\",
        r"\midrule",
        *(" & ".join(escape(column.text(row)) for column in chosen) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]


def html_table(summary: dict[str, Any], published: Published, protocol: str) -> str:
    """Return the table of one protocol in HTML, with group headings above the columns."""
    return html_rows(columns(summary, published, protocol), rows_of(summary, protocol))


def html_rows(chosen: Sequence[Column], rows: Sequence[dict[str, Any]]) -> str:
    """Return rows with the key ``"row"``, their method, in HTML; a line is between two methods."""
    groups: list[list[Any]] = []
    for column in chosen:
        if groups and groups[-1][0] == column.group:
            groups[-1][1] += 1
        else:
            groups.append([column.group, 1])
    upper = "".join(f'<th colspan="{span}">{html.escape(name)}</th>' for name, span in groups)
    lower = "".join(f"<th>{html.escape(column.name)}</th>" for column in chosen)
    body, before = [], None
    for row in rows:
        cells = "".join(f"<td>{html.escape(column.text(row))}</td>" for column in chosen)
        kind = ' class="first"' if row["row"] != before else ""
        body.append(f"<tr{kind}>{cells}</tr>")
        before = row["row"]
    return (
        f'<table><thead><tr class="groups">{upper}</tr><tr>{lower}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _legend() -> str:
    return (
        "Mean over seeds, ± the standard deviation for several seeds. mAP is the expectation over "
        "all orders of tied items; *By tie order* gives the worst and the best order. An asterisk "
        "marks the packing of the authors' evaluation: compare these numbers with the papers only. "
        "See `experiments/README.md`."
    )


def _starred(column: Column) -> str:
    before = "Published " if column.group.startswith("published") else ""
    after = f", {column.group}" if column.group in OTHERS.values() else ""
    return f"{before}{column.name}{'*' if column.group.endswith(AUTHORS) else after}"


def _metric(section: str, name: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        value = row.get(section, {}).get(name)
        if value is None:
            return NONE
        deviation = "" if value["std"] is None else f" ± {value['std']:.3f}"
        return f"{value['mean']:.3f}{deviation}"

    return text


def _bounds(row: dict[str, Any]) -> str:
    lower, upper = (row["metrics"][name]["mean"] for name in ("mAP_lower", "mAP_upper"))
    return f"{lower:.3f} to {upper:.3f}"


def _published_metrics(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """List metric and distance of each published column, in the order of our columns."""
    wanted = {(entry.metric, entry.distance) for entry in entries}
    ours = [(name, "hamming") for name in SHOWN]
    return [pair for pair in ours + [(name, "authors") for name in SHOWN] if pair in wanted]


def _published(published: Published, metric: str, distance: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        place = (row["row"], row["dataset"]["name"], row["protocol"], metric, distance)
        for entry in published.entries:
            if entry.place == place and str(row["bits"]) in entry.bits:
                number = entry.bits[str(row["bits"])]
                return f"{'~' if number.within is None else ''}{number.value:.3f}"
        return NONE

    return text


_LATEX = str.maketrans(
    {special: f"\\{special}" for special in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "±": r"$\pm$", NONE: "--", "*": "$^*$", "~": r"$\sim$"}
    | {"†": r"$^\dagger$", "‡": r"$^\ddagger$"}
    | {"^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
)


def escape(text: str) -> str:
    """Escape the special characters of LaTeX, and join lines: an empty one ends a caption."""
    return " ".join(text.split()).translate(_LATEX)
