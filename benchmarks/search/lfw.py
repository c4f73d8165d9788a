"""Search a real photo library: by vectors, by codes of them, and by networks trained here.

    python -m benchmarks.lfw --data DIR --facenet FILE --run runs/DDH --run runs/DCBH

`--keep DIR` keeps what the stored result says about runs that are not given again; DIR has one
folder per person of their training set.

DIR has one folder per person, as Labeled Faces in the Wild does. In each photo, the face nearest to
the middle is the person of the folder; the other faces stay unnamed. `facehash bench` then measures
all people, and again without the identities in the training set of a run. SFace and FaceNet were
trained on photos of celebrities from the web and have probably seen many of these people, so their
results do not measure unseen identities.

The result is written to benchmarks/results/lfw.json and lfw.png.
"""

import argparse
import contextlib
import csv
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facehash import methods
from facehash.bench.plot import write_tradeoff
from facehash.bench.run import Plan, bench
from facehash.bench.schema import upgrade
from facehash.bench.table import format_bench
from facehash.files import write_json
from facehash.library.ingest.update import index_folder
from facehash.library.storage.records import path_of
from facehash.library.storage.store import Store
from facehash.runs.directory import RunDirectory

RESULT = Path(__file__).parents[1] / "results" / "lfw.json"
FACENET = "size=160,normalization=per_image,metric=cosine,crop=box"
BAR = 0.99
"""The P@1 that SFace's vectors must reach."""


def make_library(data: Path, directory: Path) -> None:
    """Index photos, and name the face in the middle of each photo after its folder."""
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
    """Return how a run was trained, and the identities in its training set."""
    run = RunDirectory(path)
    config = run.read_config()
    people = list(methods.load(run.model).identities)
    summary = {key: config[key] for key in ("method", "bits", "seed")}
    summary |= {"dataset": config["dataset"]["name"], "protocol": config["dataset"]["protocol"]}
    return summary | {"epochs": config["training"]["epochs"], "people": len(people)}, people


def measure(
    directory: Path, facenet: Path | None, runs: list[Path], keep: Path | None = None
) -> dict[str, Any]:
    """Measure a library on all people, and on the identities that no run has seen."""
    described = {path.name: describe_run(path) for path in runs}
    trained = {person for _, people in described.values() for person in people}
    if keep:
        trained |= {path.name for path in keep.iterdir() if path.is_dir()}
    others = tuple(f"run:{path}" for path in runs)
    embedders = ((f"keras:{facenet},{FACENET}",) if facenet else ()) + others
    with Store.open(directory) as store:
        here = {name for (name,) in store.database.rows("SELECT name FROM people")}
        everybody = bench(store, Plan(embedders=embedders))
        unseen = bench(store, Plan(embedders=others, exclude_people=trained & here))
    result = {
        "runs": {name: summary for name, (summary, _) in described.items()},
        "people_seen_by_a_run": len(trained & here),
        "all": everybody,
        "unseen": unseen,
    }
    return keep_runs(read_result(), result) if keep else result


def keep_runs(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Add the runs of an earlier result on the same faces that were not measured again."""
    kept = old["runs"].keys() - new["runs"].keys()
    for part in ("all", "unseen"):
        for key in ("faces", "people"):
            if old[part]["library"][key] != new[part]["library"][key]:
                raise SystemExit(f"the stored result has other {key}: its runs cannot be kept")
        new[part]["methods"] += [one for one in old[part]["methods"] if one["name"] in kept]
    return new | {"runs": new["runs"] | {name: old["runs"][name] for name in sorted(kept)}}


def read_result(path: Path = RESULT) -> dict[str, Any]:
    """Read a stored result, of this version or of 0.1.0, which had other keys."""
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    new = {
        "people_known_to_a_run": "people_seen_by_a_run",
        "everybody": "all",
        "strangers": "unseen",
    }
    result = {new.get(key, key): value for key, value in result.items()}
    return result | {part: upgrade(result[part]) for part in ("all", "unseen")}


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lfw", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per person")
    parser.add_argument("--library", type=Path, help="keep the library here, or reuse it")
    parser.add_argument("--facenet", type=Path, help="the FaceNet as a .keras file")
    parser.add_argument("--run", type=Path, action="append", default=[], help="a run to measure")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep runs of the stored result")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    if len({path.name for path in given.run}) < len(given.run):
        parser.error("two runs have the same name")
    with contextlib.ExitStack() as stack:
        folder = given.library
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "library"
        make_library(given.data, folder)
        result = {"data": given.data.name} | measure(folder, given.facenet, given.run, given.keep)
    everybody = result["all"]
    reached = everybody["methods"][0]["P@1"]
    met = "met" if reached >= BAR else "missed"
    result["bar"] = f"P@1 of vectors {reached:.4f}, at least {BAR}: {met}"
    write_json(given.output, result)
    queries, faces = everybody["queries"]["faces"], everybody["library"]["faces"]
    caption = f"{given.data.name}: {faces:,} faces, {queries:,} queries"
    write_tradeoff(everybody["methods"], given.output.with_suffix(".png"), caption)
    print(format_bench(everybody))
    print(f"\nwithout the {result['people_seen_by_a_run']} people in the training set of a run\n")
    print(format_bench(result["unseen"]))
    print(f"\n{result['bar']}")
