"""One cell of a table: train its network, compute its codes, score them, write its report.

A table starts one process ``python -m experiments.table.run_cell TABLE.yaml CELL`` per cell.
"""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import typer

from data.loading import find_source
from experiments.run.encode import encode_run
from experiments.run.score import SCHEMA, CodeSource, score
from experiments.run.train import train_network
from experiments.table import baselines
from experiments.table.features import features_of
from experiments.table.grid import Cell, Grid, load_grid
from experiments.table.reports import write_result
from facehash.codes import packed_width
from facehash.command_line import DONE, make_app, run
from facehash.config import RunConfig
from facehash.errors import InputError, did_you_mean
from facehash.learning.model_files import ModelFileError
from facehash.retrieval.codes_file import write_codes
from facehash.retrieval.vectors import evaluate_vectors
from facehash.runs.directory import DamagedRunError, RunDirectory, flatten
from facehash.runs.files import read_history, read_training

log = logging.getLogger(__name__)

app = make_app("Measure one cell of a table.")


def measure(grid: Grid, cell: Cell, data: Path | None, runs: Path, reports: Path) -> dict[str, Any]:
    """Measure a cell, write its report and return it.

    Raises:
        InputError: The data, the configuration, or a file of an earlier run cannot be used.
    """
    settings = grid.settings(cell)
    source = find_data(grid, cell, data)
    directory = RunDirectory(runs / (cell.network or cell).name)
    for overwrite in (False, True):
        try:
            train_network(settings, source, directory, overwrite, folder_of(grid, cell))
            report = _score(cell, grid.config.at, settings, directory, source)
            report |= _provenance(grid, cell, directory)
            break
        except (ModelFileError, DamagedRunError) as error:
            if overwrite:
                raise
            log.warning("%s: training from the start", error)
    report["curves"] = _rounded(report["curves"])
    write_result(reports / cell.report_name, report)
    return report


def _provenance(grid: Grid, cell: Cell, directory: RunDirectory) -> dict[str, Any]:
    history = read_history(directory.history)
    try:
        environment = json.loads(directory.environment.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedRunError(f"{directory.environment}: missing or damaged ({error})") from error
    return {
        "cell": {
            "table": grid.name,
            "row": cell.row.id,
            "config": comparable(grid, cell),
            "epochs": len(history),
            "train_seconds": round(sum(row["seconds"] for row in history), 1),
        },
        "environment": environment,
    }


def _rounded(curves: Any) -> Any:
    """Round the points of curves to six digits; they are only drawn."""
    if isinstance(curves, dict):
        return {name: _rounded(part) for name, part in curves.items()}
    return curves and [round(value, 6) for value in curves]


def find_data(grid: Grid, cell: Cell, data: Path | None) -> Path:
    """Return the path of a cell's data set: `data`, or the path in the row's configuration."""
    return find_source(grid.settings(cell).dataset, data, folder_of(grid, cell))


def folder_of(grid: Grid, cell: Cell) -> Path:
    """Return the folder of a row's configuration, to which paths in it are relative."""
    return (grid.path.parent / str((cell.network or cell).row.config)).parent


def comparable(grid: Grid, cell: Cell) -> dict[str, Any]:
    """Flatten the settings that determine a cell's numbers, without those of one machine."""
    flat = flatten(grid.settings(cell).model_dump(mode="json"))
    flat = {key: value for key, value in flat.items() if key not in ("dataset.path", "backend")}
    return flat | {"baseline": cell.row.baseline}


def _score(
    cell: Cell, at: list[int], settings: RunConfig[Any], directory: RunDirectory, source: Path
) -> dict[str, Any]:
    if cell.network is None:
        recentre = settings.input == "vectors"
        codes, of_run = encode_run(directory.path, source, recentre=recentre)
        write_codes(directory.codes, codes)
        report = score(codes, of_run, at=at).report
        report["bytes_per_face"] = packed_width(codes.bits)
        return report
    cache = directory.path.parent / "features" / f"{directory.path.name}.npz"
    features = features_of(directory.path, cache, source)
    recentre = settings.input == "vectors"
    if cell.row.baseline == "cosine":
        report = _score_vectors(features, at)
        if recentre:
            report["recentred"] = _score_vectors(baselines.centered(features), at)["metrics"]
    else:
        bits = int(cell.bits or 0)
        if cell.row.baseline == "classifier":
            codes, moved = baselines.classifier_code(features, bits, cell.seed), None
        else:
            fitted = baselines.fit_hash(features, str(cell.row.baseline), bits, cell.seed)
            codes, moved = baselines.encode(fitted, features), None
            if recentre:
                moved = baselines.encode(baselines.recentred(fitted, features), features)
        report = score(codes, CodeSource(method=cell.row.baseline, recentred=moved), at=at).report
        report["bytes_per_face"] = packed_width(bits)
    report["seed"] = cell.seed
    # Of the network behind the features.
    report |= {"training": read_training(directory.training), "leaks": features.leaks}
    report["dataset"] |= {
        "name": settings.dataset.name,
        "protocol": cell.protocol,
        "train": len(features.train),
        "split": features.split,
    }
    return report


def _score_vectors(features: baselines.Features, at: list[int]) -> dict[str, Any]:
    metrics, precision_at = evaluate_vectors(
        features.gallery, features.query, features.gallery_labels, features.query_labels, at=at
    )
    keys = ("bits", "seed", "backend", "metrics_author", "metrics_asymmetric", "code")
    keys += ("verification", "training", "leaks", "recentred", "recentred_asymmetric")
    not_applicable = dict.fromkeys(keys)
    return not_applicable | {
        "schema": SCHEMA,
        "method": "cosine",
        "dataset": {
            "identities": len(set(features.gallery_labels.tolist())),
            "gallery": len(features.gallery),
            "query": len(features.query),
            "split": None,
            "duplicates": None,
        },
        "metrics": metrics,
        "curves": {"precision_recall": None, "precision_at": precision_at},
        "seconds": {"encode": None, "score": None},
        "bytes_per_face": features.gallery.shape[1] * 4,
    }


def end_when_parent_ends() -> None:
    """Exit when the parent process has ended, which closes the other end of our stdin."""

    def wait() -> None:
        # Not through sys.stdin: its lock must be free when this process exits normally.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@app.command()
def cell(
    table: Path = typer.Argument(help="YAML file, such as experiments/tables/pubfig83.yaml."),
    name: str = typer.Argument(help="Name of the cell, such as ddh-48-seen-s0."),
    data: Path | None = typer.Option(None, help="Path of the data set; overrides FACEHASH_DATA."),
    runs: Path = typer.Option(Path("runs"), help="Folder for the run directories."),
    reports: Path = typer.Option(Path("experiments/results/reports"), help="Folder for reports."),
    end_with_parent: bool = typer.Option(False, hidden=True),
) -> int:
    """Measure one cell of a table, even if it has a report.

    Example: python -m experiments.table.run_cell TABLE.yaml ddh-48-seen-s0 --data DIR
    """
    if end_with_parent:
        end_when_parent_ends()
    grid = load_grid(table)
    cells = {cell.name: cell for cell in grid.cells}
    if name not in cells:
        raise InputError(f"{table}: no cell {name!r}{did_you_mean(name, cells)}")
    report = measure(grid, cells[name], data, runs / grid.name, reports)
    print(f"{name}: mAP {report['metrics']['mAP']:.4f}")
    return DONE


if __name__ == "__main__":
    run(app, "experiments.table.run_cell")
