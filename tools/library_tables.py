"""The tables of LFW in the README and of measured thresholds in docs/search.md."""

import json
from typing import Any

from benchmarks.search.lfw import read_result
from benchmarks.search.verification import RESULT
from experiments.table.layout import markdown_rows
from facehash.bench.table import format_value

NAMES = {"itq": "ITQ", "lsh": "LSH"}
RERANKED = 64  # codes of this length are also shown with re-ranking


def lfw_table() -> str:
    """Tabulate the results of `python -m benchmarks.lfw`."""
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


def thresholds_table() -> str:
    """Tabulate the results of `python -m benchmarks.verification`."""
    head = ["Embedder", "Metric", "Threshold", "False non-match rate"]
    head += ["Cross-validated false match rate", "Cross-validated false non-match rate"]
    rows = []
    for name, result in json.loads(RESULT.read_text(encoding="utf-8")).items():
        kind, _, rest = name.partition(":")
        halves = result["chosen_on_one_half_tried_on_the_other"]
        rows.append(
            [
                f"`{rest.partition(':')[0] or kind}`",
                result["metric"],
                f"{result['threshold']:.3f}",
                f"{result['false_non_match_rate']:.1%}",
                " and ".join(f"{half['false_match_rate']:.2%}" for half in halves),
                " and ".join(f"{half['false_non_match_rate']:.1%}" for half in halves),
            ]
        )
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
