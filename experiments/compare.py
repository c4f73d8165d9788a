"""Compare two runs or files of codes on the same queries: ``python -m experiments.compare A B``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from experiments.run.encode import encode_run
from experiments.run.score import evaluate_codes
from facehash.command_line import DONE, make_app, run
from facehash.errors import InputError, did_you_mean
from facehash.files import write_json
from facehash.output import check_output, json_format, replace_output, writes_to_stdout
from facehash.retrieval.bootstrap import LEVEL, RESAMPLES, SEED
from facehash.retrieval.codes_file import CodeSet, read_codes
from facehash.retrieval.comparison import compare_pairs, compare_queries
from facehash.retrieval.ties import Values
from facehash.retrieval.vectors import score_projections
from facehash.retrieval.verification import distinct_impostors
from facehash.runs.directory import RunDirectory
from facehash.runs.files import read_split, read_training

SCHEMA = 1

app = make_app("Compare two runs or files of codes on the same queries.")


@dataclass(frozen=True)
class Side:
    """One of the two sets of codes."""

    path: Path  # as given
    codes: CodeSet
    run: RunDirectory | None = None  # where the codes are those of a run
    leaks: tuple[str, ...] = ()  # of the run, as in its report.json
    batch_statistics: str | None = None  # of the run, as in its training.json


@app.command()
def compare(
    a: Path = typer.Argument(metavar="A", help="A run directory, or codes as for evaluate.py."),
    b: Path = typer.Argument(metavar="B", help="The other one."),
    at: list[int] = typer.Option(
        [], metavar="K", min=1, help="Also mAP@K with each denominator; repeatable."
    ),
    verification: bool = typer.Option(
        False, "--verification", help="Also TAR at three FARs and the EER."
    ),
    resamples: int = typer.Option(RESAMPLES, min=1, help="Resamples of the bootstrap."),
    seed: int = typer.Option(SEED, min=0, help="Seed of the bootstrap."),
    data: Path | None = typer.Option(None, help="Data set of runs that have no codes yet."),
    output: Path | None = typer.Option(
        None, metavar="FILE", help="Also write JSON to this file; - is standard output."
    ),
    force: bool = typer.Option(
        False, "--force", help="Also replace a file that is not an earlier comparison."
    ),
) -> int:
    """Print the difference B - A of every metric, with 95 % bounds from a paired bootstrap.

    Both must have the same queries, in the same order, and galleries of the same people.

    Example: python -m experiments.compare runs/ddh-48-s0 runs/dcbh-48-s0 --at 50
    """
    if output is not None:
        check_output(output, json_format("schema", "a", "b"), "--output", force=force)
    sides = [_read(path, data) for path in (a, b)]
    by_split = check_same_queries(*sides)
    report = compare_sides(
        *sides, at=sorted(set(at)), verification=verification, resamples=resamples, seed=seed
    )
    report["same_queries_by"] = "split" if by_split else "labels"
    if not writes_to_stdout(output):
        print(format_comparison(report))
    if output is not None:
        with replace_output(output) as temporary:
            write_json(temporary, report)
        print(f"\nwritten: {output}", file=sys.stderr if writes_to_stdout(output) else sys.stdout)
    return DONE


def compare_sides(
    a: Side, b: Side, *, at: list[int], verification: bool, resamples: int, seed: int
) -> dict[str, Any]:
    """Score both sides and compare them.

    Returns:
        Plain values, the content of ``--output``.
    """
    scores = [evaluate_codes(side.codes, at) for side in (a, b)]
    codes = a.codes
    people = np.unique(codes.query_labels, axis=0, return_inverse=True)[1].reshape(-1)
    draws: dict[str, int] = {"resamples": resamples, "seed": seed}
    found = compare_queries(scores[0].per_query, scores[1].per_query, people, **draws)
    if verification:
        distinct = distinct_impostors(scores[0].pairs, codes.leave_one_out)
        found |= compare_pairs(scores[0].pairs, scores[1].pairs, distinct=distinct, **draws)
    by_float = [_score_asymmetrically(side.codes, at) for side in (a, b)]
    asymmetric = None
    if by_float[0] is not None and by_float[1] is not None:
        asymmetric = compare_queries(by_float[0], by_float[1], people, **draws)
    return {
        "schema": SCHEMA,
        "a": _describe(a),
        "b": _describe(b),
        "queries": len(people),
        "people": int(people.max()) + 1,
        "grouped_by": "label sets" if codes.query_labels.ndim == 2 else "people",
        "gallery": len(codes.gallery_labels),
        "leave_one_out": codes.leave_one_out,
        "metrics": {name: one.as_json() for name, one in found.items()},
        "metrics_asymmetric": asymmetric
        and {name: one.as_json() for name, one in asymmetric.items()},
        "bootstrap": {"level": LEVEL, **draws},
    }


def check_same_queries(a: Side, b: Side) -> bool:
    """Check that two sides have the same queries and galleries of the same people.

    Returns:
        Whether the images are known to be the same, by the splits of two runs; otherwise only the
        labels are.

    Raises:
        InputError: They differ; the message says where.
    """
    both = f"{a.path} and {b.path}"
    if a.codes.leave_one_out != b.codes.leave_one_out:
        raise InputError(f"{both}: only one of them is leave-one-out, so their rankings differ")
    for role in ("query", "gallery"):
        first, second = (getattr(side.codes, f"{role}_labels") for side in (a, b))
        if role == "gallery":  # its order has no influence
            first, second = (part[_order(part)] for part in (first, second))
        if first.shape != second.shape:
            raise InputError(f"{both}: {role} labels {first.shape} and {second.shape} differ")
        differing = np.flatnonzero((first != second).reshape(len(first), -1).any(axis=1))
        if len(differing):
            where = f" (the first is query {differing[0]})" if role == "query" else ""
            raise InputError(
                f"{both}: {len(differing)} of {len(first)} {role} labels differ{where}; compare "
                "codes of the same queries, in the same order, and of the same gallery"
            )
    if a.run is None or b.run is None:
        return False
    _check_same_split(a.run, b.run)
    return True


def format_comparison(report: dict[str, Any]) -> str:
    """Format a comparison for the terminal."""
    units = report["grouped_by"]
    sides = [report[name] for name in ("a", "b")]
    lines = [
        *(f"{n}: {side['path']}, {side['bits']} bits" for n, side in zip("AB", sides, strict=True)),
        f"{report['queries']:,} queries of {report['people']:,} {units}, "
        f"{report['gallery']:,} gallery items",
        "",
        f"  {'':<17}  {'A':>6}  {'B':>6}  {'B - A':>7}  {'over queries':<18}  over {units}",
    ]
    lines += _lines_of(report["metrics"])
    if report["metrics_asymmetric"] is not None:
        lines += ["", "asymmetric: the queries' float projections against the galleries' codes"]
        lines += _lines_of(report["metrics_asymmetric"])
    drawn = report["bootstrap"]
    lines += [
        "",
        f"{drawn['level']:.0%} bounds of B - A: paired bootstrap, {drawn['resamples']:,} resamples "
        f"of queries, and of {units} with all their queries",
    ]
    for name, side in zip("AB", sides, strict=True):
        lines += [f"{name} was scored with leaks: {leak}" for leak in side["leaks"]]
    statistics = [side["batch_statistics"] for side in sides]
    if None not in statistics and statistics[0] != statistics[1]:
        lines.append(
            "the runs differ in training.reestimate_statistics: batch statistics of A are "
            f"{statistics[0]}, of B {statistics[1]}"
        )
    projected = [side["has_projections"] for side in sides]
    if projected[0] != projected[1]:
        lines.append(
            f"only {'A' if projected[0] else 'B'} has projections of the queries, so the "
            "asymmetric distance is not compared"
        )
    if report["same_queries_by"] == "labels":
        lines.append("the queries are the same by their labels; no split says that for the images")
    return "\n".join(lines)


def _lines_of(metrics: dict[str, Any]) -> list[str]:
    lines = []
    for name, found in metrics.items():
        bounds = [_interval(found[over]) for over in ("over_queries", "over_people")]
        lines.append(
            f"  {name:<17}  {found['a']:.4f}  {found['b']:.4f}  {found['difference']:+.4f}  "
            f"{bounds[0]:<18}  {bounds[1]}"
        )
    return lines


def _score_asymmetrically(codes: CodeSet, at: list[int]) -> dict[str, Values] | None:
    """Score each query by its float projections; None for codes without any."""
    if codes.query_projections is None:
        return None
    return score_projections(
        *(codes.gallery_codes, codes.query_projections),
        *(codes.gallery_labels, codes.query_labels, codes.bits),
        at=at,
        leave_one_out=codes.leave_one_out,
    )[0]


def _read(path: Path, data: Path | None) -> Side:
    if not path.exists():
        beside = path.parent.iterdir() if path.parent.is_dir() else []
        names = [other.name for other in beside if not other.name.startswith(".")]
        raise InputError(f"{path}: does not exist{did_you_mean(path.name, names)}")
    if path.suffix == ".keras":
        raise InputError(f"{path}: is a model; give its run directory or its codes")
    run = RunDirectory(path)
    if path.is_dir() and run.config.is_file():
        return _side_of_run(path, run, data)
    beside = RunDirectory(path.parent)
    of_run = path.name == beside.codes.name and beside.config.is_file() and beside.split.is_file()
    return _side_of_run(path, beside, data) if of_run else Side(path, read_codes(path))


def _side_of_run(path: Path, run: RunDirectory, data: Path | None) -> Side:
    """Return the codes that evaluate.py stored, or compute them."""
    # Training deletes the codes of an earlier model.
    if run.finished and run.codes.is_file():
        codes, leaks = read_codes(run.codes), _stored_leaks(run.report)
    else:
        codes, source = encode_run(run.path, data)
        leaks = tuple(source.leaks or ())
    training = read_training(run.training)
    return Side(path, codes, run, leaks, training and training["batch_statistics"])


def _stored_leaks(report: Path) -> tuple[str, ...]:
    if not report.is_file():
        return ()
    try:
        leaks = json.loads(report.read_text(encoding="utf-8")).get("leaks") or ()
        return tuple(str(leak) for leak in leaks)
    except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise InputError(f"{report}: not a readable report; run evaluate.py again") from error


def _describe(side: Side) -> dict[str, Any]:
    return {
        "path": str(side.path),
        "bits": side.codes.bits,
        "leaks": list(side.leaks),
        "batch_statistics": side.batch_statistics,
        "has_projections": side.codes.query_projections is not None,
    }


def _check_same_split(a: RunDirectory, b: RunDirectory) -> None:
    first, second = read_split(a.split), read_split(b.split)
    what = f"{a.path} and {b.path}"
    for name in ("identities", "labels", "query", "gallery"):
        if not np.array_equal(first[name], second[name]):
            raise InputError(
                f"{what}: trained on different splits (split.npz: {name} differs); compare runs "
                "with the same data, dataset.protocol, dataset.split and dataset.split_seed"
            )
    images = [_picture_keys(run) for run in (a, b)]
    if images[0] == images[1] and str(first["digest"]) != str(second["digest"]):
        raise InputError(f"{what}: the same people and counts, but other images")


def _picture_keys(run: RunDirectory) -> tuple[Any, ...]:
    """Return the settings that change the pixels of the same images."""
    faces = run.read_config()["dataset"]
    return tuple(faces.get(key) for key in ("side", "crop", "loader"))


def _order(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the order that sorts labels (n,), or the rows of label sets (n, L)."""
    return np.lexsort(labels.reshape(len(labels), -1).T)


def _interval(bounds: dict[str, float] | None) -> str:
    return f"{bounds['lower']:+.4f} to {bounds['upper']:+.4f}" if bounds else "–"


if __name__ == "__main__":
    run(app, "experiments.compare")
