"""One cell of a table of unseen people: fit a method, score it, write its report.

A table starts one process ``python -m experiments.unseen.run_cell TABLE.yaml CELL`` per cell.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from data.labeled_images import Role
from experiments.run.train import train_network
from experiments.table.reports import write_result
from experiments.table.run_cell import end_when_parent_ends
from experiments.unseen import judge
from experiments.unseen.config import (
    Distance,
    Fit,
    UnseenCell,
    UnseenTable,
    load_unseen_table,
)
from experiments.unseen.heads import (
    Head,
    bytes_per_face,
    constants_of,
    fit_head,
    recentred,
)
from experiments.unseen.protocol import (
    LabeledVectors,
    draw_some,
    draws,
    leave_one_out,
    read_vectors,
    with_distractors,
)
from facehash import methods
from facehash.bench.queries import QuerySet
from facehash.command_line import DONE, make_app, run
from facehash.errors import InputError, did_you_mean
from facehash.files import atomic_write
from facehash.hashing import LinearHash
from facehash.runs.continuation import NO_EFFECT
from facehash.runs.directory import RunDirectory, flatten
from facehash.runs.environment import describe_environment

SCHEMA = 2

app = make_app("Measure one cell of a table of unseen people.")


@dataclass(frozen=True)
class Judged:
    """The data of a table."""

    train: LabeledVectors
    galleries: dict[str, QuerySet]  # every query leave-one-out, by the gallery's id
    draws: dict[str, list[QuerySet]]  # of held-out queries
    vectors: dict[str, list[judge.Nearness]]  # the draws compared by vectors


def read_data(table: UnseenTable, folder: Path) -> Judged:
    """Read the vectors of a table, and draw its queries.

    Raises:
        InputError: A file is missing or damaged, a person of the training vectors is judged, or
            there are too few distractors.
    """
    config = table.config
    train, judged, others = (
        read_vectors(folder / name) for name in (config.train, config.judged, config.distractors)
    )
    shared = train.people() & (judged.people() | others.people())
    if shared:
        raise InputError(
            f"{table.path}: {len(shared)} people of {config.train} are also in {config.judged} or "
            f"{config.distractors}, such as {min(shared)!r}"
        )
    alone = leave_one_out(judged)
    others = others.without(judged.people())
    galleries = {
        one.id: alone if one.size is None else with_distractors(alone, others, one.size)
        for one in config.galleries
    }
    drawn = {name: draws(queries, config.draws) for name, queries in galleries.items()}
    vectors = {name: [judge.compare_vectors(one) for one in sets] for name, sets in drawn.items()}
    return Judged(train, galleries, drawn, vectors)


def measure(
    table: UnseenTable, cell: UnseenCell, folder: Path, runs: Path, reports: Path
) -> dict[str, Any]:
    """Measure a cell, write its report and return it.

    Raises:
        InputError: The data, the configuration, or an earlier run cannot be used.
    """
    start = time.perf_counter()
    data = read_data(table, folder)
    seeds = table.seeds(cell)
    trained: dict[int, Head] = {}
    if "others" in cell.row.fits:
        trained = {seed: _fit_to_others(table, cell, seed, data, runs) for seed in seeds}
    fitted = time.perf_counter() - start
    scores = [
        {"gallery": name, "fit": fit, "distance": distance, **found}
        for name in data.galleries
        for fit in cell.row.fits
        for distance, found in _score(table, cell, data, name, fit, trained).items()
    ]
    dimension = data.train.rows.shape[1]
    report = {
        "schema": SCHEMA,
        "table": table.name,
        "row": cell.row.id,
        "bits": cell.bits,
        "seeds": seeds,
        "bytes_per_face": bytes_per_face(cell.bits, dimension),
        "settings": settings_of(table, cell),
        "data": _counts(data),
        "scores": scores,
        "seconds": {
            "fit_to_others": round(fitted, 1),
            "all": round(time.perf_counter() - start, 1),
        },
        "environment": _environment(cell, seeds[0]),
    }
    write_result(reports / table.report_name(cell), report)
    return report


def settings_of(table: UnseenTable, cell: UnseenCell) -> dict[str, Any]:
    """Return what determines a cell's numbers: a report with other values is not used."""
    config = table.config
    keys = ("train", "judged", "distractors", "draws", "leave_one_out")
    found: dict[str, Any] = {key: getattr(config, key) for key in keys}
    found["galleries"] = [gallery.model_dump() for gallery in config.galleries]
    found["seeds"] = table.seeds(cell)
    if cell.row.shortlist:
        found["shortlist"] = config.shortlist.model_dump()
    if cell.row.method:
        return found | {"method": cell.row.method, "constants": constants_of(cell.row.method)}
    flat = flatten(table.settings(cell, 0).model_dump(mode="json"))
    ignored = {*NO_EFFECT, "dataset.path", "backend", "seed"}
    return found | {"config": {key: flat[key] for key in sorted(flat.keys() - ignored)}}


def _environment(cell: UnseenCell, seed: int) -> dict[str, Any]:
    if cell.row.method:
        return describe_environment("none", "cpu", seed)
    import keras  # a network was trained, so it is imported already

    return describe_environment(keras.backend.backend(), "cpu", seed)


def _counts(data: Judged) -> dict[str, Any]:
    """Return the numbers of faces and people."""
    galleries = {
        name: {
            "queries": len(drawn[0].rows),
            "faces": len(drawn[0].faces),
            "people": len(np.unique(drawn[0].faces.people)),
            "leave_one_out": len(data.galleries[name].faces),
        }
        for name, drawn in data.draws.items()
    }
    train = {"faces": len(data.train.rows), "people": len(data.train.people())}
    return {"train": train, "galleries": galleries}


def _fit_to_others(
    table: UnseenTable, cell: UnseenCell, seed: int, data: Judged, runs: Path
) -> Head:
    if cell.row.method:
        return fit_head(cell.row.method, int(cell.bits or 0), seed, data.train)
    return train_head(table, cell, seed, data, runs)


def train_head(
    table: UnseenTable, cell: UnseenCell, seed: int, data: Judged, runs: Path
) -> LinearHash:
    """Train a linear head as train.py does, or take that of a finished run.

    The judged people are gallery and queries of the run's data set, so that `evaluate.py` can
    score it; training reads the vectors of the other people only.

    Returns:
        The head with the mean of the training vectors, and their scale.
    """
    source = runs / "vectors.npz"
    if not source.is_file():
        _write_roles(source, data)
    path = table.path.parent / str(cell.row.config)
    directory = RunDirectory(runs / f"{cell.name}-s{seed}")
    train_network(table.settings(cell, seed), source, directory, False, path.parent)
    return methods.load(directory.model).linear_hash(data.train.rows)


def _write_roles(path: Path, data: Judged) -> None:
    [first, *_] = next(iter(data.draws.values()))
    asked = first.held_out
    rows = [data.train.rows, first.faces.rows, asked.rows]
    roles = np.repeat([Role.TRAIN, Role.GALLERY, Role.QUERY], [len(part) for part in rows])
    judged = [f"judged {person}" for person in (*first.faces.people, *asked.people)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            vectors=np.concatenate(rows),
            labels=np.concatenate([data.train.names, np.array(judged)]),
            roles=roles.astype(np.uint8),
        )


def _score(
    table: UnseenTable,
    cell: UnseenCell,
    data: Judged,
    gallery: str,
    fit: Fit,
    trained: Mapping[int, Head],
) -> dict[Distance, dict[str, Any]]:
    """Score a fit in a gallery: every draw with held-out queries, and leave-one-out."""
    config, seeds = table.config, table.seeds(cell)
    shortlist = config.shortlist if cell.row.shortlist else None
    drawn: dict[Distance, list[judge.Scores]] = {}
    for number, queries in enumerate(data.draws[gallery]):
        vectors = data.vectors[gallery][number]
        exact = judge.nearest_faces(vectors)
        seed = seeds[number % len(seeds)]
        if cell.row.method == "float":
            compared = _compare_vectors(fit, queries)
        else:
            head = _head(cell, fit, seed, trained, data.train, queries)
            compared = judge.compare_head(head, queries, shortlist, vectors)
        for distance, nearness in compared.items():
            one = judge.score(queries, nearness, exact, verify=distance != "shortlist")
            drawn.setdefault(distance, []).append(one)
    found = {distance: judge.summarize(scores) for distance, scores in drawn.items()}
    whole = data.galleries[gallery]
    few = draw_some(whole, config.leave_one_out)
    if cell.row.method == "float":
        compared = _compare_vectors(fit, few)
    else:
        compared = judge.compare_head(_head(cell, fit, seeds[0], trained, data.train, few), few)
    for distance, nearness in compared.items():
        found[distance]["leave_one_out"] = judge.score_leave_one_out(few, nearness)
    if shortlist and cell.bits:
        size, dimension = len(data.draws[gallery][0].faces), whole.faces.rows.shape[1]
        found["shortlist"]["bytes_read"] = judge.bytes_read(size, cell.bits, dimension, shortlist)
    return found


def _compare_vectors(fit: Fit, queries: QuerySet) -> judge.Compared:
    mean = queries.faces.all_rows.mean(axis=0) if fit == "recentred" else None
    return {"vectors": judge.compare_vectors(queries, mean)}


def _head(
    cell: UnseenCell,
    fit: Fit,
    seed: int,
    trained: Mapping[int, Head],
    train: LabeledVectors,
    queries: QuerySet,
) -> Head:
    gallery = queries.faces.all_rows
    if fit == "adapted":
        return fit_head(cell.row.method, int(cell.bits or 0), seed, train, gallery)
    return recentred(trained[seed], gallery) if fit == "recentred" else trained[seed]


@app.command()
def cell(
    table: Path = typer.Argument(help="YAML file, such as experiments/tables/unseen_people.yaml."),
    name: str = typer.Argument(help="Name of the cell, such as ndh-64."),
    data: Path = typer.Option(..., help="Folder with the files of vectors."),
    runs: Path = typer.Option(Path("runs"), help="Folder for the run directories."),
    reports: Path = typer.Option(Path("experiments/results/reports"), help="Folder for reports."),
    end_with_parent: bool = typer.Option(False, hidden=True),
) -> int:
    """Measure one cell of a table, even if it has a report.

    Example: python -m experiments.unseen.run_cell TABLE.yaml ndh-64 --data DIR
    """
    if end_with_parent:
        end_when_parent_ends()
    loaded = load_unseen_table(table)
    cells = {one.name: one for one in loaded.cells}
    if name not in cells:
        raise InputError(f"{table}: no cell {name!r}{did_you_mean(name, cells)}")
    report = measure(loaded, cells[name], data, runs / loaded.name, reports)
    last = report["scores"][-1]
    print(f"{name}: mAP {last['mAP']:.4f} ({last['gallery']}, {last['fit']}, {last['distance']})")
    return DONE


if __name__ == "__main__":
    run(app, "experiments.unseen.run_cell")
