"""LSH by tables, bits and probes: recall, P@1, time and bytes, in memory and on Redis.

    python -m benchmarks.lsh_sweep --vectors sface_train.npz --data DIR [--redis redis://...]

The sweep is that of `facehash bench --sweep lsh`. It runs on a library of the photos in DIR, one
folder per person as in Labeled Faces in the Wild, and on 5 x 10^5 faces of synthetic people: drawn
with the covariances between and within the people of an .npz with ``vectors`` and ``labels``, with
as many faces each as they have, in random order. Every setting is an index of its own in memory;
queries run one at a time and search all faces but themselves.

With --redis, three settings are put on a server too: the fastest in memory that reach a recall of
0.5, 0.7 and 0.9 with at most 32 tables. Times there end when the candidates have arrived. Give the
password in the URL or in FACEHASH_ENGINE_PASSWORD. The index belongs to a library id of this
benchmark and is deleted at the end.

The result is written to benchmarks/results/lsh_sweep.json, with charts beside it.
"""

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.machine import describe_machine, peak_megabytes
from benchmarks.search.engines import LIBRARY, batches
from benchmarks.search.lfw import make_library
from benchmarks.search.people import draw_library, read_people
from facehash.bench.lsh_sweep import K, Sweep, SweptFaces, read_library, recommend, sweep_lsh
from facehash.bench.lsh_sweep_plot import write_sweep
from facehash.bench.lsh_sweep_table import engine_options, format_sweep
from facehash.files import write_json
from facehash.index.buckets import LshIndex
from facehash.index.engines.address import Address
from facehash.index.engines.base import NO_GENERATION, Identity, RemoteIndex
from facehash.index.engines.connect import connect
from facehash.index.exact import ExactIndex
from facehash.index.rerank import rerank
from facehash.library.storage.store import Store

RESULT = Path(__file__).parents[1] / "results" / "lsh_sweep.json"
FACES = 500_000
RECALLS = (0.5, 0.7, 0.9)
MOST_TABLES = 32  # on Redis
REDIS_QUERIES = 100
_WARM_UP = 5
_ROUNDING = 1e-9


def make_faces(source: Path, count: int, queries: int) -> SweptFaces:
    """Draw synthetic faces in random order, and queries among those of people with two or more."""
    drawn = zip(*draw_library(*read_people(source), count, seed=0), strict=True)
    rows, people = map(np.concatenate, drawn)
    order = np.random.default_rng(1).permutation(count)
    return SweptFaces.of_people(rows[order], people[order], queries, seed=2)


def sweep_photos(data: Path, library: Path | None, sweep: Sweep) -> dict[str, Any]:
    """Measure a library of photos, named by their folders; it is made unless it exists."""
    with contextlib.ExitStack() as stack:
        if library is None:
            library = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "library"
        if not library.exists():
            make_library(data, library)
        with Store.open(library) as store:
            faces = read_library(store, sweep)
    return sweep_lsh(faces, sweep)


def redis_settings(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings that are measured on Redis: the fastest at each recall."""
    few = [one for one in settings if one["tables"] <= MOST_TABLES]
    found = [recommend(few, recall) for recall in RECALLS]
    return [one for number, one in enumerate(found) if one and one not in found[:number]]


def measure_redis(
    url: str, faces: SweptFaces, setting: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Fill an index on Redis with one setting, and compare it with the one in memory."""
    options = engine_options(setting)
    address = Address.parse(f"{url}?{options}&seed={seed}&timeout=60").with_password("benchmark")
    identity = Identity(LIBRARY, faces.space, "benchmark lsh sweep")
    connect(address, identity, replace=True).drop()
    index = connect(address, identity)
    try:
        start = time.perf_counter()
        index.rebuild(NO_GENERATION, 1, batches(faces.rows))
        seconds = time.perf_counter() - start
        found = judge(index, faces, setting, seed)
        return {
            "server": index.server(),
            "options": options,
            **{name: setting[name] for name in ("tables", "bits", "probes")},
            **found,
            "push_seconds": round(seconds, 1),
            "bytes": index.bytes(),
        }
    finally:
        index.drop()
        index.close()


def judge(
    index: RemoteIndex, faces: SweptFaces, setting: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Measure what a server finds, and whether its candidates are those of the index in memory.

    Args:
        index: Holds the rows under ids from 1.
        faces: The faces, with names; only the first 100 queries are used.
        setting: Its tables, bits and probes.
        seed: Of the keys.
    """
    chosen = faces.queries[:REDIS_QUERIES]
    places = np.arange(len(faces.rows))
    exact = ExactIndex.build(faces.rows, places, faces.space).search(faces.rows[chosen], K + 1)
    memory = LshIndex.build(
        faces.rows, places, faces.space, tables=setting["tables"], bits=setting["bits"], seed=seed
    )
    for place in chosen[:_WARM_UP]:
        index.search(faces.rows[place : place + 1], K)
    spent, within, right, same, sizes = [], [], [], [], []
    for number, place in enumerate(chosen):
        query = faces.rows[place : place + 1]
        start = time.perf_counter()
        ids = index.search(query, K).ids[0]
        spent.append(time.perf_counter() - start)
        positions = ids[ids > 0] - 1
        sizes.append(len(positions))
        same.append(set(positions) == set(memory.candidates(query, setting["probes"])[0]))
        positions = positions[positions != place]
        distances, nearest = rerank(faces.rows, query, positions[None], faces.space)
        limit = exact.distances[number][exact.ids[number] != place][K - 1] + _ROUNDING
        within.append(np.count_nonzero(distances[0, :K] <= limit) / K)
        if faces.people is not None:
            person = faces.people[nearest[0, :1]]
            right.append(bool((person == faces.people[place]).any()))
    return {
        "queries": len(chosen),
        f"recall@{K}": round(float(np.mean(within)), 4),
        "P@1": round(float(np.mean(right)), 4) if right else None,
        "candidates": round(float(np.mean(sizes)), 1),
        "same_candidates": round(float(np.mean(same)), 3),
        **{f"p{p}_ms": round(float(np.percentile(spent, p)) * 1e3, 2) for p in (50, 95)},
    }


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lsh_sweep", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--vectors", type=Path, required=True, help=".npz with vectors and labels")
    parser.add_argument("--data", type=Path, help="one folder per person")
    parser.add_argument("--library", type=Path, help="keep the library of --data here, or reuse it")
    parser.add_argument("--faces", type=int, default=FACES, help="number of synthetic faces")
    parser.add_argument("--redis", metavar="URL", help="measure three settings of the result there")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    sweep = Sweep()
    result: dict[str, Any] = {}
    if given.output.exists():
        result = json.loads(given.output.read_text(encoding="utf-8"))
    if given.data:
        result["photos"] = {"data": given.data.name} | sweep_photos(
            given.data, given.library, sweep
        )
        write_json(given.output, result)
        print(format_sweep(result["photos"]))
    faces = make_faces(given.vectors, given.faces, sweep.queries)
    # On a server, the settings of an earlier result are measured.
    if not given.redis:
        result["machine"] = describe_machine("numpy", "faiss-cpu")
        result["machine"]["threads"] = faiss.omp_get_max_threads()
        result["synthetic"] = sweep_lsh(faces, sweep)
        result["peak_megabytes"] = round(peak_megabytes())
        write_json(given.output, result)
        print(format_sweep(result["synthetic"]))
    else:
        result["redis"] = []
        for setting in redis_settings(result["synthetic"]["settings"]):
            result["redis"].append(measure_redis(given.redis, faces, setting, sweep.seed))
            write_json(given.output, result)
            print(result["redis"][-1], flush=True)
    draw_charts(result, given.output)


def draw_charts(result: dict[str, Any], path: Path) -> None:
    """Draw what was measured, beside the result."""
    for name, suffix, what in (
        ("synthetic", "", "synthetic faces"),
        ("photos", "_photos", f"faces of {result.get('photos', {}).get('data', '')}"),
    ):
        if name in result:
            found = result[name]
            caption = f"{found['faces']:,} {what}, {found['queries']:,} queries"
            write_sweep(found, path.with_name(f"{path.stem}{suffix}.png"), caption)


if __name__ == "__main__":
    main()
