"""The table of measured thresholds in docs/search.md."""

from __future__ import annotations

import json

from benchmarks.search.verification import RESULT
from experiments.table.layout import markdown_rows


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
