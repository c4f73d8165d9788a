"""The table of the committed benchmark of indexes on servers."""

import json
from typing import Any

from experiments.table.layout import markdown_rows
from tools.speed_tables import BENCHMARKS


def engines_table() -> str:
    """Tabulate what each server found, and how fast, beside the exact index of this project."""
    result = json.loads((BENCHMARKS / "engines.json").read_text(encoding="utf-8"))
    rows = []
    for name in ("codes", "vectors"):
        exact = result["exact"][name]
        rows.append(["none: the exact index", name, "1", "–", *_speed(exact), "–", "–"])
        for engine in result["engines"]:
            if (found := engine.get(name)) is None:
                continue
            rows.append(
                [
                    _label(engine),
                    name,
                    f"{found['recall@10']:.3f}",
                    f"{found['candidates']:,.0f}",
                    *_speed(found),
                    f"{found['push_seconds']:.0f} s",
                    f"{found['bytes'] / 1e6:.0f} MB",
                ]
            )
    head = ["Engine", "Rows", "Recall@10", "Candidates", "Median", "p95", "Batched"]
    return markdown_rows([*head, "First push", "Size"], rows)


def _label(engine: dict[str, Any]) -> str:
    options = "&".join(f"{name}={value}" for name, value in engine["options"].items())
    return engine["server"] + (f", `{options}`" if options else "")


def _speed(found: dict[str, Any]) -> list[str]:
    times = [f"{found[f'{key}_ms']:.1f} ms" for key in ("median", "p95")]
    return [*times, f"{found['batched_queries_per_second']:,.0f} queries/s"]
