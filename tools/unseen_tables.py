"""The table of codes for unseen people in the README."""

from pathlib import Path
from typing import Any

from experiments.table.layout import NONE, markdown_rows
from experiments.table.reports import read_result
from experiments.unseen.layout import FITTED, bars_table, rows_of

RESULT = Path(__file__).resolve().parent.parent / "experiments/results/unseen_people.json"
GALLERY, BITS = "lfw_10000", 64


def unseen_table() -> str:
    """Tabulate codes of 64 bits in the gallery of 10,000 faces."""
    head = ["Fitted to", "Method", "Bytes", "P@1, Hamming", "mAP, Hamming"]
    head += ["P@1, float query", "mAP, float query"]
    rows = [
        [
            FITTED[row["fit"]],
            row["label"],
            f"{row['bytes_per_face']:,}",
            *(
                _text(row["scores"].get(distance), name)
                for distance in ("hamming", "asymmetric")
                for name in ("P@1", "mAP")
            ),
        ]
        for row in rows_of(read_result(RESULT), GALLERY, BITS)
        if row["fit"] != "recentred"
    ]
    return markdown_rows(head, rows)


def unseen_bars() -> str:
    """Tabulate the bars."""
    return bars_table(read_result(RESULT))


def _text(score: dict[str, Any] | None, name: str) -> str:
    return NONE if score is None else f"{score[name]:.3f}"
