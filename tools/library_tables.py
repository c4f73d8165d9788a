"""The table of what `python -m benchmarks.lfw` has measured, for the README."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.search.lfw import RESULT
from experiments.table.layout import markdown_rows
from facehash.bench.table import format_value

NAMES = {"itq": "ITQ", "lsh": "LSH"}
SHORTLISTED = 64
"""Codes of this length are shown with a shortlist as well."""


def lfw_table() -> str:
    """Tabulate how well a library of Labeled Faces in the Wild is searched."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    strangers = {_key(way): way["P@1"] for way in result["strangers"]["ways"]}
    head = ["what is compared", "bits", "bytes", "P@1", "mAP", "recall@10", "P@1 of strangers"]
    rows = [
        [
            _name(way, result["runs"]),
            format_value(way["bits"], "d"),
            format_value(way["bytes_a_face"], "g"),
            *(format_value(way[key], ".3f") for key in ("P@1", "mAP", "recall@10")),
            format_value(strangers.get(_key(way)), ".3f"),
        ]
        for way in result["everybody"]["ways"]
        if not way["shortlist"] or way["bits"] == SHORTLISTED
    ]
    return markdown_rows(head, rows)


def _key(way: dict[str, Any]) -> tuple[str, int | None]:
    return way["method"], way["bits"]


def _name(way: dict[str, Any], runs: dict[str, Any]) -> str:
    if way["method"] in runs:
        run = runs[way["method"]]
        return f"{run['method'].upper()} codes, trained on {run['dataset']}"
    if way["hasher"] is None:
        return f"vectors of `{way['method']}`"
    codes = f"{NAMES[way['hasher']]} codes"
    return codes + (f", vectors order the best {way['shortlist']}" if way["shortlist"] else "")
