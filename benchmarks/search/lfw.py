"""Search a real photo library: vectors, codes of them, and the networks trained here.

    python -m benchmarks.lfw --data DIR --facenet FILE --run runs/DDH --run runs/DCBH

DIR holds one folder a person, as Labeled Faces in the Wild does. The photos are indexed by the
product as they are, background and bystanders included; in each, the face nearest to the middle is
the person of the folder, as the collection means it, and the others stay without a name. Then
`facehash bench` measures leave-one-out on the people with two or more photos.

Twice: on everybody, and on strangers to the runs: without the people whose name is in the training
set of one of them. SFace and FaceNet were trained on photos of celebrities from the web and have
probably seen many of these people, so theirs is no measure of strangers.

The result goes to benchmarks/results/lfw.json and lfw.png.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facehash import methods
from facehash.bench.plot import write_tradeoff
from facehash.bench.run import Plan, bench
from facehash.bench.table import format_bench
from facehash.files import write_json
from facehash.library.ingest.update import index_folder
from facehash.library.storage.records import path_of
from facehash.library.storage.store import Store
from facehash.runs.directory import RunDirectory

RESULT = Path(__file__).parents[1] / "results" / "lfw.json"
FACENET = "size=160,normalization=per_image,metric=cosine,crop=box"
BAR = 0.99
"""What P@1 of SFace's vectors is to reach."""


def make_library(data: Path, directory: Path) -> None:
    """Index photos, and name the face in the middle of each after its folder."""
    index_folder(data, directory)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names.csv"
        with Store.open(directory) as store, names.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "face", "name"))
            for path, face in middle_faces(store):
                writer.writerow((path, face, path.parent.name))
        index_folder(data, directory, names=f"csv:{names}")


def middle_faces(store: Store) -> Iterator[tuple[Path, int]]:
    """Yield each photo with the number of the face nearest to its middle."""
    nearest: dict[bytes, tuple[float, int]] = {}
    query = (
        "SELECT path, number, x, y, faces.width, faces.height, photos.width, photos.height "
        "FROM faces JOIN photos ON photos.id = faces.photo_id JOIN paths USING (photo_id)"
    )
    for path, number, x, y, width, height, *size in store.database.rows(query):
        off = math.hypot(x + width / 2 - size[0] / 2, y + height / 2 - size[1] / 2)
        nearest[path] = min(nearest.get(path, (math.inf, 0)), (off, number))
    for stored, (_, number) in sorted(nearest.items()):
        yield path_of(stored), number


def describe_run(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Say what a run was trained with, and on whom."""
    run = RunDirectory(path)
    config = run.read_config()
    people = list(methods.load(run.model).identities)
    told = {key: config[key] for key in ("method", "bits", "seed")}
    told |= {"dataset": config["dataset"]["name"], "protocol": config["dataset"]["protocol"]}
    return told | {"epochs": config["training"]["epochs"], "people": len(people)}, people


def measure(directory: Path, facenet: Path | None, runs: list[Path]) -> dict[str, Any]:
    """Measure a library on everybody, and on those whom no run has seen."""
    described = {path.name: describe_run(path) for path in runs}
    known = {person for _, people in described.values() for person in people}
    others = tuple(f"run:{path}" for path in runs)
    embedders = ((f"keras:{facenet},{FACENET}",) if facenet else ()) + others
    with Store.open(directory) as store:
        here = {name for (name,) in store.database.rows("SELECT name FROM people")}
        everybody = bench(store, Plan(embedders=embedders))
        strangers = bench(store, Plan(embedders=others, leave_out=known & here))
    return {
        "runs": {name: told for name, (told, _) in described.items()},
        "people_known_to_a_run": len(known & here),
        "everybody": everybody,
        "strangers": strangers,
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lfw", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder a person")
    parser.add_argument("--library", type=Path, help="keep the library here, or go on with it")
    parser.add_argument("--facenet", type=Path, help="the FaceNet as a .keras file")
    parser.add_argument("--run", type=Path, action="append", default=[], help="a run to be tried")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    if len({path.name for path in given.run}) < len(given.run):
        parser.error("two runs of one name could not be told apart")
    with contextlib.ExitStack() as stack:
        folder = given.library
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "library"
        make_library(given.data, folder)
        result = {"data": given.data.name} | measure(folder, given.facenet, given.run)
    everybody = result["everybody"]
    reached = everybody["ways"][0]["P@1"]
    result["bar"] = f"P@1 of vectors {reached:.4f}, at least {BAR}: " + (
        "met" if reached >= BAR else "missed"
    )
    write_json(given.output, result)
    queries, faces = everybody["queries"]["faces"], everybody["library"]["faces"]
    caption = f"{given.data.name}: {faces:,} faces, {queries:,} queries"
    write_tradeoff(everybody["ways"], given.output.with_suffix(".png"), caption)
    print(format_bench(everybody))
    print(f"\nwithout {result['people_known_to_a_run']} people whom a run has seen\n")
    print(format_bench(result["strangers"]))
    print(f"\n{result['bar']}")
