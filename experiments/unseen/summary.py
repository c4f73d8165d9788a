"""The summary of a table of unseen people: scores, differences to the baseline, and bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.table.reports import SCHEMA, ResultError, read_result
from experiments.unseen.config import Bar, Side, UnseenCell, UnseenTable
from experiments.unseen.run_cell import settings_of
from facehash.retrieval.bootstrap import RESAMPLES, SEED, mean_samples

Reports = dict[str, dict[str, Any]]  # of finished cells, by the cell's name

Key = tuple[str, int | None, str, str, str]  # row, bits, gallery, fit, distance

METRICS = ("mAP", "P@1")
"""What is compared over people."""


def read_reports(table: UnseenTable, folder: Path) -> Reports:
    """Read the reports in a folder, of the cells that have one.

    Raises:
        ResultError: A report is not readable, or was measured with other settings.
    """
    found = {}
    for cell in table.cells:
        path = folder / table.report_name(cell)
        if path.is_file():
            found[cell.name] = _checked(table, cell, path)
    return found


def _checked(table: UnseenTable, cell: UnseenCell, path: Path) -> dict[str, Any]:
    report = read_result(path)
    then, now = report["settings"], settings_of(table, cell)
    differing = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    if differing:
        raise ResultError(
            f"{path}: measured with other settings: {', '.join(differing)}; delete it to measure "
            "the cell again, or choose another --results"
        )
    return report


def summarize(table: UnseenTable, reports: Reports) -> dict[str, Any]:
    """Summarize the results of a table.

    Returns:
        Plain values: title, note and data; ``"rows"``, every score with its difference to the
        baseline (same gallery, fit and distance) and two standard errors of this difference;
        ``"bars"``; ``"cells"``, where the numbers come from; and ``"missing"``, names of cells.
    """
    config = table.config
    done = [cell for cell in table.cells if cell.name in reports]
    scores = dict(_scores(done, reports))
    return {
        "schema": SCHEMA,
        "table": table.name,
        "title": config.title,
        "note": config.note,
        "data": reports[done[0].name]["data"],
        "leave_one_out": config.leave_one_out,
        "shortlist": config.shortlist.model_dump(),
        "baseline": config.baseline,
        "bars": [_bar(table, bar, scores) for bar in config.bars],
        "bootstrap": {"over": "people", "resamples": RESAMPLES, "seed": SEED},
        "rows": [
            _row(cell, key, score, reports[cell.name], scores, config.baseline)
            for cell in done
            for key, score in scores.items()
            if key[:2] == (cell.row.id, cell.bits)
        ],
        "cells": [_cell(table, cell, reports[cell.name]) for cell in done],
        "missing": [cell.name for cell in table.cells if cell.name not in reports],
    }


def difference(of: Mapping[str, Any], against: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Compare two scores of the same people.

    Returns:
        The difference of the means, and two standard errors of it: the standard deviation over
        resampled people, each with all queries of all draws.
    """
    one, other = (np.array(score["people"][metric], np.float64) / 1e4 for score in (of, against))
    values = (one - other)[:, None]  # (people, 1)
    samples = mean_samples(values, np.arange(len(values)), RESAMPLES, SEED)
    error = float(samples.std(ddof=1))
    return {"difference": float(of[metric] - against[metric]), "two_standard_errors": 2 * error}


def _scores(
    cells: Iterable[UnseenCell], reports: Reports
) -> Iterable[tuple[Key, Mapping[str, Any]]]:
    for cell in cells:
        for score in reports[cell.name]["scores"]:
            place = (score["gallery"], score["fit"], score["distance"])
            yield (cell.row.id, cell.bits, *place), score


def _row(
    cell: UnseenCell,
    key: Key,
    score: Mapping[str, Any],
    report: Mapping[str, Any],
    scores: Mapping[Key, Mapping[str, Any]],
    baseline: str,
) -> dict[str, Any]:
    row, bits, gallery, fit, distance = key
    found: dict[str, Any] = {
        "row": row,
        "label": cell.row.label,
        "bits": bits,
        "gallery": gallery,
        "fit": fit,
        "distance": distance,
        "bytes_per_face": report["bytes_per_face"],
        "seeds": report["seeds"],
        **{name: value for name, value in score.items() if name != "people"},
    }
    other = scores.get((baseline, bits, gallery, fit, distance))
    if other is not None and row != baseline:
        found["over_baseline"] = {name: difference(score, other, name) for name in METRICS}
    return found


def _bar(table: UnseenTable, bar: Bar, scores: Mapping[Key, Mapping[str, Any]]) -> dict[str, Any]:
    config = table.config
    floats = {row.id for row in config.rows if row.method == "float"}

    def find(side: Side) -> Mapping[str, Any] | None:
        bits = None if side.row in floats else config.bars_bits
        return scores.get((side.row, bits, config.bars_gallery, side.fit, side.distance))

    found: dict[str, Any] = bar.model_dump() | {
        "bits": config.bars_bits,
        "gallery": config.bars_gallery,
    }
    of, against = find(bar.of), find(bar.against)
    if of is None or against is None:
        return found | {"met": None}
    compared = difference(of, against, bar.metric)
    values = {"value": of[bar.metric], "value_against": against[bar.metric]}
    return found | values | compared | {"met": compared["difference"] >= bar.at_least}


def _cell(table: UnseenTable, cell: UnseenCell, report: Mapping[str, Any]) -> dict[str, Any]:
    environment = report["environment"]
    return {
        "cell": cell.name,
        "seeds": report["seeds"],
        "seconds": report["seconds"],
        "commit": environment["git_commit"],
        **{key: environment[key] for key in ("backend", "device", "python", "packages")},
        "report": table.report_name(cell),
    }
