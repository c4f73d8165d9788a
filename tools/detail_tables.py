"""The tables in docs/search.md of turned, blurred and small faces."""

import json
from pathlib import Path
from typing import Any

from benchmarks.photos.conditions import RESULT as CONDITIONS
from benchmarks.photos.small_faces import RESULT as SMALL_FACES
from experiments.table.layout import markdown_rows

_NAMES = {
    "turned by degrees": "turned by {:g}°",
    "blurred by pixels": "blurred by {:g} pixels",
    "face width in pixels": "face {:g} pixels wide",
}


def conditions_table() -> str:
    """Tabulate the errors under each condition, from `python -m benchmarks.photos.conditions`."""
    head = ["Photos", "Found", "False match", "Miss", "Found and judged", "False match", "Miss"]
    head += ["False match, one changed", "Miss, one changed"]
    rows = []
    for row in _read(CONDITIONS)["conditions"]:
        before, after = row["before"], row["after"]
        name = _NAMES[row["condition"]].format(row["value"])
        rows.append(
            [
                "unchanged" if row["value"] == 0 else name,
                f"{before['faces']:.0%}",
                *_errors(before["both_changed"]),
                f"{after['faces']:.0%}",
                *_errors(after["both_changed"]),
                *_errors(after["one_changed"]),
            ]
        )
    return markdown_rows(head, rows)


def widths_table() -> str:
    """Tabulate the errors by effective width, from `python -m benchmarks.photos.conditions`."""
    rows = []
    for row in _read(CONDITIONS)["by_effective_width"]:
        end = " or more" if row["to"] is None else f" to {row['to']}"
        pairs = (f"{row[kind]:,}" for kind in ("impostor_pairs", "genuine_pairs"))
        rows.append([f"{row['from']}{end}", *_errors(row), *pairs])
    head = ["Effective width in pixels", "False match", "Miss", "Pairs of two people"]
    return markdown_rows([*head, "Pairs of one person"], rows)


def recall_table() -> str:
    """Tabulate the faces found by size, from `python -m benchmarks.photos.small_faces`."""
    rows = [
        [
            row["photo"],
            f"{row['face_width']} pixels",
            *(f"{row[key]['recall']:.0%}" for key in ("off", "auto")),
            *(str(row[key]["other_boxes"]) for key in ("off", "auto")),
        ]
        for row in _read(SMALL_FACES)["recall"]
    ]
    head = ["Photo", "Face", "Found, `off`", "Found, `auto`", "Other boxes, `off`"]
    return markdown_rows([*head, "Other boxes, `auto`"], rows)


def cost_table() -> str:
    """Tabulate the time to search large photos, from `python -m benchmarks.photos.small_faces`."""
    rows = [
        [
            row["photo"],
            row["content"],
            *(f"{row['milliseconds'][key]:,} ms" for key in ("decode", "off", "auto")),
            f"{row['ratio']:.2f}",
        ]
        for row in _read(SMALL_FACES)["cost"]
    ]
    head = ["Photo", "Content", "Decode", "Search, `off`", "Search, `auto`"]
    return markdown_rows([*head, "Both, `auto` / `off`"], rows)


def _errors(rates: dict[str, Any]) -> list[str]:
    match, miss = (rates[f"false_{name}match_rate"] for name in ("", "non_"))
    return [
        "–" if match is None else f"{match:.2%}",
        "–" if miss is None else f"{miss:.1%}",
    ]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
