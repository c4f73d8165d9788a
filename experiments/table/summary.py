"""The summary of a table: every number of its reports, and the means over seeds."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.table.grid import Cell, Grid
from experiments.table.reports import SCHEMA, ResultError, read_result
from experiments.table.run_cell import comparable
from facehash.config import BEFORE_0_2
from facehash.retrieval.evaluation import at_names
from facehash.runs.continuation import NO_EFFECT

METRICS = ("mAP", "mAP_lower", "mAP_upper", "P@r2", "R@r2", "empty@r2", "P@50", "R-precision")
"""Metrics by the true Hamming distance, in order; the key ``at`` of a table adds mAP@K."""

MOVING = {"batch_statistics": "moving"}

AUTHOR = ("mAP", "P@r2", "R@r2")  # with the authors' packing

OTHER_DISTANCES = ("metrics_asymmetric", "recentred", "recentred_asymmetric")
"""Keys of reports with further scores, null or missing where they were not measured."""

Reports = dict[str, dict[str, Any]]  # of finished cells, by the cell's name


def read_reports(grid: Grid, folder: Path) -> Reports:
    """Read the reports in a folder, of the cells that have one.

    Raises:
        ResultError: A report is not readable, has another schema, or was measured with another
            configuration than that of the table.
    """
    reports = {}
    for cell in grid.cells:
        path = folder / cell.report_name
        if path.is_file():
            reports[cell.name] = _checked(grid, cell, path)
    return reports


def lacks_metrics(grid: Grid, report: Mapping[str, Any]) -> bool:
    """Return whether a report is older than a value of K that the table asks for."""
    return not report["metrics"].keys() >= set(at_names(grid.config.at))


def _checked(grid: Grid, cell: Cell, path: Path) -> dict[str, Any]:
    report = read_result(path)
    then = BEFORE_0_2 | report.get("cell", {}).get("config", {})
    now = comparable(grid, cell)
    # The configuration is that of the network: it lacks the code length of a baseline.
    then |= {"codes": (report.get("bits"), report.get("seed"))}
    now |= {"codes": (cell.bits, cell.seed)}
    then["training.reestimate_statistics"] = now.get("training.reestimate_statistics")  # marked
    differing = [
        f"{key} (was {then.get(key)!r}, now {now.get(key)!r})"
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key) and key not in NO_EFFECT
    ]
    if differing:
        raise ResultError(
            f"{path}: measured with another configuration: {', '.join(differing)}; delete it to "
            "measure the cell again, or choose another --results"
        )
    return report


def summarize(grid: Grid, reports: Reports) -> dict[str, Any]:
    """Summarize the results of a table.

    Returns:
        Plain values: title and note, ``"cells"`` with every number and its environment, ``"rows"``
        with mean and standard deviation over seeds, and ``"missing"``, the names of the cells
        without a report.
    """
    done = [cell for cell in grid.cells if cell.name in reports]
    # In the order of the table, even if the first seed has fewer results than another.
    groups: dict[tuple[str, str, int | None], list[Cell]] = {
        (cell.row.id, cell.protocol, cell.bits): [] for cell in grid.cells
    }
    for cell in done:
        groups[cell.row.id, cell.protocol, cell.bits].append(cell)
    papers = grid.config.papers
    names = [*METRICS, *at_names(grid.config.at)]
    return {
        "schema": SCHEMA,
        "table": grid.name,
        "title": grid.config.title,
        "note": grid.config.note,
        "papers": papers and papers.model_dump(),
        "rows": [
            _mean(cells, [reports[cell.name] for cell in cells], names)
            for cells in groups.values()
            if cells
        ],
        "cells": [_cell(cell, reports[cell.name]) for cell in done],
        "missing": [cell.name for cell in grid.cells if cell.name not in reports],
    }


def _cell(cell: Cell, report: Mapping[str, Any]) -> dict[str, Any]:
    environment = report["environment"]
    return {
        "row": cell.row.id,
        "protocol": cell.protocol,
        "bits": cell.bits,
        "seed": cell.seed,
        **{key: report[key] for key in ("dataset", "metrics", "metrics_author")},
        **{key: report[key] for key in OTHER_DISTANCES if report.get(key) is not None},
        "network": (cell.network or cell).name,
        **{key: report["cell"][key] for key in ("epochs", "train_seconds")},
        "commit": environment["git_commit"],
        **{key: environment[key] for key in ("backend", "device", "python", "packages")},
        "report": cell.report_name,
    }


def _mean(
    cells: Sequence[Cell], reports: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    first = cells[0]
    faces = reports[0]["dataset"]
    values = {name: [report["metrics"].get(name) for report in reports] for name in names}
    author = {
        name: [(report["metrics_author"] or {}).get(name) for report in reports] for name in AUTHOR
    }
    return {
        "row": first.row.id,
        "label": first.row.label,
        "baseline": first.row.baseline,
        "protocol": first.protocol,
        "bits": first.bits,
        "bytes_per_face": reports[0]["bytes_per_face"],
        "seeds": [cell.seed for cell in cells],
        "dataset": {key: faces[key] for key in ("name", "identities", "train", "gallery", "query")},
        "metrics": {name: _statistics(numbers) for name, numbers in values.items()},
        "metrics_author": {name: _statistics(numbers) for name, numbers in author.items()},
        **_other_distances(reports, names),
        **_batch_statistics(reports),
    }


def _other_distances(
    reports: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the statistics of the scores that at least one report has, by the report's key."""
    found = {}
    for key in OTHER_DISTANCES:
        parts = [report[key] for report in reports if report.get(key) is not None]
        if parts:
            known = [name for name in names if any(name in part for part in parts)]
            found[key] = {name: _statistics([p.get(name) for p in parts]) for name in known}
    return found


def _batch_statistics(reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return how the networks got their statistics of batch norm, unless by moving averages.

    Results of version 0.1.0 do not say so: all their networks have moving averages.
    """
    states = {(report.get("training") or MOVING)["batch_statistics"] for report in reports}
    state = states.pop() if len(states) == 1 else "mixed"
    return {} if state == "moving" else {"batch_statistics": state}


def _statistics(numbers: Sequence[float | None]) -> dict[str, float | None] | None:
    """Return mean and sample standard deviation (None for one seed); None without any number."""
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.fmean(known), "std": deviation}
