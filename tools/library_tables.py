"""The table of `python -m benchmarks.lfw` in the README."""

from __future__ import annotations

from typing import Any

from benchmarks.search.lfw import read_result
from experiments.table.layout import markdown_rows
from facehash.bench.table import format_value

NAMES = {"itq": "ITQ", "lsh": "LSH"}
RERANKED = 64
"""Codes of this length are also shown with re-ranking."""


def lfw_table() -> str:
    """Tabulate how accurately a library of Labeled Faces in the Wild is searched."""
    result = read_result()
    unseen = {_key(method): method["P@1"] for method in result["unseen"]["methods"]}
    head = ["Compared", "Bits", "Bytes", "P@1", "mAP", "Recall@10", "P@1 (unseen)"]
    rows = [
        [
            _name(method, result["runs"]),
            format_value(method["bits"], "d"),
            format_value(method["bytes_per_face"], "g"),
            *(format_value(method[key], ".3f") for key in ("P@1", "mAP", "recall@10")),
            format_value(unseen.get(_key(method)), ".3f"),
        ]
        for method in result["all"]["methods"]
        if not method["rerank"] or method["bits"] == RERANKED
    ]
    return markdown_rows(head, rows)


def _key(method: dict[str, Any]) -> tuple[str, int | None]:
    return method["name"], method["bits"]


def _name(method: dict[str, Any], runs: dict[str, Any]) -> str:
    if method["name"] in runs:
        run = runs[method["name"]]
        return f"{run['method'].upper()} codes, trained on {run['dataset']}"
    if method["hasher"] is None:
        return f"vectors of `{method['name']}`"
    codes = f"{NAMES[method['hasher']]} codes"
    return codes + (f", top {method['rerank']} re-ranked by vectors" if method["rerank"] else "")
