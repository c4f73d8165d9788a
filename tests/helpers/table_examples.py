"""A small table with made-up reports, for the tests of summaries and their formats."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from experiments.table.grid import Cell, Grid, load_grid
from experiments.table.run_cell import comparable
from experiments.table.summary import summarize

CONFIG = {"method": "ddh", "dataset": {"name": "orl"}}
TABLE: dict[str, Any] = {
    "title": "Faces, 32 x 32 pixels",
    "note": "Made up.",
    "bits": [12, 24],
    "seeds": [0, 1],
    "protocols": ["seen", "unseen"],
    "rows": [
        {"id": "ddh", "label": "DDH", "config": "ddh.yaml"},
        {"id": "ddh_lsh", "label": "LSH", "baseline": "lsh", "of": "ddh"},
        {"id": "ddh_cosine", "label": "cosine", "baseline": "cosine", "of": "ddh"},
    ],
}


def make_grid(folder, **changes) -> Grid:
    """Load the table above, with some keys changed."""
    (folder / "ddh.yaml").write_text(yaml.safe_dump(CONFIG))
    path = folder / "faces.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(TABLE) | changes))
    return load_grid(path)


def make_report(grid: Grid, cell: Cell, score: float | None = None) -> dict[str, Any]:
    """Return a made-up report; its mAP is `score`, by default different for every cell."""
    if score is None:
        score = 0.3 + (cell.bits or 40) / 100 + cell.seed / 50 - 0.1 * bool(cell.network)
    vectors = cell.bits is None
    metrics = {"mAP": score, "mAP_lower": score - 0.02, "mAP_upper": score + 0.03}
    metrics |= {"P@50": score / 2, "R-precision": score - 0.01}
    if not vectors:
        metrics |= {"P@r2": score / 3, "R@r2": score / 4, "empty@r2": 0.5}
    return {
        "schema": 1,
        "method": cell.row.baseline or "ddh",
        "bits": cell.bits,
        "seed": cell.seed,
        "backend": None,
        "dataset": {"name": "orl", "protocol": cell.protocol, "identities": 40}
        | {"train": 2800, "gallery": 2800, "query": 1200},
        "metrics": metrics,
        "metrics_author": None if vectors else {"mAP": score, "P@r2": 0.1, "R@r2": 0.2, "P@50": 0},
        "curves": {
            "precision_recall": None
            if vectors
            else {"radius": [0, 1, 2], "recall": [0.1, 0.5, 1.0], "precision": [0.9, score, 0.1]},
            "precision_at": {"n": [1, 2, 3], "precision": [score, score - 0.1, score - 0.2]},
        },
        "bytes_per_face": 2560 if vectors else (cell.bits + 7) // 8,
        "cell": {
            "table": grid.name,
            "row": cell.row.id,
            "config": comparable(grid, cell),
            "epochs": 100,
            "train_seconds": 1800.0,
        },
        "environment": {
            **{"git_commit": "0123456789abcdef", "backend": "tensorflow", "device": "cpu:0"},
            **{"python": "3.11", "packages": {"keras": "3.12.0"}},
        },
    }


def make_reports(grid: Grid) -> dict[str, dict[str, Any]]:
    """Return a made-up report for every cell."""
    return {cell.name: make_report(grid, cell) for cell in grid.cells}


def make_summary(folder, name: str = "orl", **changes) -> dict[str, Any]:
    """Summarize the table above, on a data set called `name`."""
    grid = make_grid(folder, **changes)
    reports = make_reports(grid)
    for report in reports.values():
        report["dataset"]["name"] = name
    return summarize(grid, reports)
