"""Write the tables of the documents from committed results: ``python -m tools.update_docs``."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from experiments.table.layout import AUTHORS, columns, markdown_rows, protocols_of, rows_of
from experiments.table.published import Published
from experiments.table.reports import read_result
from facehash.command_line import DONE, make_app, run
from facehash.files import write_text
from tools.detail_tables import conditions_table, cost_table, recall_table, widths_table
from tools.engine_tables import engines_table
from tools.gpu_tables import gpu_quality_table, gpu_speed_table
from tools.library_tables import (
    code_thresholds_table,
    head_table,
    held_out_table,
    lfw_table,
    thresholds_table,
)
from tools.naming_tables import (
    clusters_table,
    naming_cost_table,
    reliability_table,
    suggestions_table,
)
from tools.page_tables import page_speed_table
from tools.scale_tables import engine_scale_table, paper_figures, paper_table, scale_table
from tools.speed_tables import speed_table, steps_table
from tools.sweep_tables import sweep_grid_table, sweep_redis_table, sweep_table
from tools.unseen_tables import unseen_bars, unseen_table

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("experiments/results/reports")
TABLE = Path("experiments/results/pubfig83.json")
SINGLE_REPORTS = ("quickstart-ddh-48-seen-s0.json", "pubfig83_all-ddh-48-seen-s0.json")
NETWORKS = ("ddh", "dcbh")
PARTS = ("metrics", "metrics_author")

app = make_app("Write the tables of the documents from committed results.")


def fill(name: str, text: str) -> str:
    """Replace the tables of a document.

    Args:
        name: A key of `TABLES`.
        text: The document, with ``<!-- begin TABLE -->`` and ``<!-- end TABLE -->`` around each
            table.

    Returns:
        The text with the current tables.

    Raises:
        LookupError: A pair of markers is missing, or there are several.
    """
    for marker, make in TABLES[name].items():
        marked = re.compile(rf"(<!-- begin {marker} -->\n).*(<!-- end {marker} -->)", re.DOTALL)
        text, count = marked.subn(lambda match, make=make: match[1] + make() + match[2], text)
        if count != 1:
            raise LookupError(f"{name} has {count} pairs of markers for {marker!r}, expected 1")
    return text


def results_table() -> str:
    """Tabulate the longest codes of the PubFig83 table, for both protocols."""
    summary = read_result(ROOT / TABLE)
    longest = max(row["bits"] or 0 for row in summary["rows"])
    wanted = ("Method", "Bytes", "Seeds", "mAP", "By tie order", "P@r2", "R@r2", "P@50")
    rows, head = [], ["Identities", *wanted, "mAP*"]
    for protocol in protocols_of(summary):
        chosen = columns(summary, Published(sources={}, entries=[]), protocol)
        texts = {(column.group == AUTHORS, column.name): column.text for column in chosen}
        for row in rows_of(summary, protocol):
            if row["bits"] in (longest, None):
                cells = [texts[False, name](row) for name in wanted]
                rows.append([protocol, *cells, texts[True, "mAP"](row)])
    return markdown_rows(head, rows)


def reports_table() -> str:
    """Tabulate the committed reports that belong to no table."""
    head = ["Data set", "Method", "Bits", "Protocol", "Queries / gallery", "mAP", "By tie order"]
    head += ["P@r2", "R@r2", "empty@r2", "P@50", "Report"]
    folder = ROOT / REPORTS
    return markdown_rows(head, [_result(folder / name) for name in SINGLE_REPORTS])


def effects_table() -> str:
    """Tabulate the effect of ties and packing on the scores of the networks' codes."""
    rows = []
    for row in rows_of(read_result(ROOT / TABLE), "seen"):
        if row["row"] not in NETWORKS:
            continue
        ours, theirs = ({k: v and v["mean"] for k, v in row[part].items()} for part in PARTS)
        rows.append(
            [
                row["label"],
                str(row["bits"]),
                *(f"{ours[name]:.3f}" for name in ("mAP_lower", "mAP", "mAP_upper")),
                f"{theirs['mAP']:.3f}",
                *(f"{part[name]:.3f}" for name in ("P@r2", "R@r2") for part in (ours, theirs)),
            ]
        )
    head = ["Method", "Bits", "mAP, worst order", "mAP", "mAP, best order", "mAP*"]
    return markdown_rows(head + ["P@r2", "P@r2*", "R@r2", "R@r2*"], rows)


def protocols_table() -> str:
    """Tabulate the mAP of each network's codes, its classifier code and its features."""
    summary = read_result(ROOT / TABLE)
    found = {
        (row["row"], row["protocol"], row["bits"]): f"{row['metrics']['mAP']['mean']:.3f}"
        for row in summary["rows"]
    }
    labels = {row["row"]: row["label"] for row in summary["rows"]}
    rows = [
        [
            labels[name],
            str(bits),
            *(found.get((name, protocol, bits), "–") for protocol in ("seen", "unseen")),
            found.get((f"{name}_classifier", "seen", bits), "–"),
            *(found.get((f"{name}_itq", p, bits), "–") for p in ("seen", "unseen")),
            *(found.get((f"{name}_cosine", p, None), "–") for p in ("seen", "unseen")),
        ]
        for name in NETWORKS
        for bits in sorted({row["bits"] for row in summary["rows"] if row["row"] == name})
    ]
    head = ["Method", "Bits", "Seen", "Unseen", "Classifier code, seen", "ITQ, seen"]
    return markdown_rows(head + ["ITQ, unseen", "Cosine, seen", "Cosine, unseen"], rows)


def _result(path: Path) -> list[str]:
    report = json.loads(path.read_text(encoding="utf-8"))
    faces, metrics = report["dataset"], report["metrics"]
    return [
        faces["name"],
        report["method"].upper(),
        str(report["bits"]),
        faces["protocol"],
        f"{faces['query']:,} / {faces['gallery']:,}",
        f"{metrics['mAP']:.3f}",
        f"{metrics['mAP_lower']:.3f} to {metrics['mAP_upper']:.3f}",
        *(f"{metrics[name]:.3f}" for name in ("P@r2", "R@r2", "empty@r2", "P@50")),
        f"[seed {report['seed']}]({(REPORTS / path.name).as_posix()})",
    ]


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "results": results_table,
        "reports": reports_table,
        "speed": speed_table,
        "lfw": lfw_table,
        "unseen": unseen_table,
    },
    "experiments/README.md": {
        "effects": effects_table,
        "protocols": protocols_table,
        "bars": unseen_bars,
    },
    "docs/backends.md": {"gpu speed": gpu_speed_table, "gpu quality": gpu_quality_table},
    "docs/engines.md": {"engines": engines_table},
    "docs/naming.md": {
        "suggestions": suggestions_table,
        "reliability": reliability_table,
        "clusters": clusters_table,
        "cost": naming_cost_table,
    },
    "docs/page.md": {"page speed": page_speed_table},
    "docs/scaling.md": {
        "lsh sweep": sweep_table,
        "lsh grid": sweep_grid_table,
        "lsh redis": sweep_redis_table,
        "scale": scale_table,
        "engines at scale": engine_scale_table,
        "paper": paper_table,
        "paper figures": paper_figures,
    },
    "docs/search.md": {
        "thresholds": thresholds_table,
        "code thresholds": code_thresholds_table,
        "held out": held_out_table,
        "steps": steps_table,
        "conditions": conditions_table,
        "effective widths": widths_table,
        "small faces": recall_table,
        "small faces cost": cost_table,
    },
    "facehash/hashing/heads/README.md": {"head": head_table},
}
"""The tables of each document, by the name in their markers."""


@app.command()
def write() -> int:
    """Write the tables of the documents from committed results.

    Example: python -m tools.update_docs
    """
    for name in TABLES:
        path = ROOT / name
        write_text(path, fill(name, path.read_text(encoding="utf-8")))
    return DONE


if __name__ == "__main__":
    run(app, "python -m tools.update_docs")
