"""Indexes on servers, against the exact index of this project in the same process.

    python -m benchmarks.engines --vectors sface_train.npz postgresql://... redis://...

10^5 faces of 18,000 people, drawn with the covariances between and within people of real vectors
(an .npz with ``vectors`` and ``labels``); a tenth of them are copies of another face, as copies of
a photo are. Queries are further faces of these people. Each server gets the ITQ codes of 64 bits
and the 128 float values of every face. It is asked for ten faces and ten to spare, as a search of
a library asks it; these are measured here. A face at the distance of the tenth nearest counts as
found.

Times end when the candidates have arrived. Give the passwords in the URLs or in
FACEHASH_ENGINE_PASSWORD. The indexes belong to a library id of this benchmark and are deleted at
the end. Servers on the same machine compete with the client for its cores. The result is written to
benchmarks/results/engines.json.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.search.people import draw, estimate
from facehash.files import write_json
from facehash.hashing import IterativeQuantization
from facehash.index.engines.address import Address
from facehash.index.engines.base import NO_GENERATION, Added, Identity, RemoteIndex
from facehash.index.engines.connect import connect
from facehash.index.exact import ExactIndex, vector_distances
from facehash.vectors import Ids, Rows, Space

RESULT = Path(__file__).parents[1] / "results" / "engines.json"
LIBRARY = "be9c4" + 27 * "0"
CODES, VECTORS = Space("hamming", 64), Space("cosine", 128)
FACES = 6  # of a person, the last of which is a query
COPIES = 0.1
K, SPARE = 10, 10
CHUNK = 10_000  # as `facehash engine push` sends them
SINGLES, BATCH, TURNS = 100, 200, 1
WARM_UP = 10
_ROUNDING = 1e-6


def make_vectors(source: Path, rows: int) -> tuple[Rows, Rows]:
    """Draw the vectors of faces, float32 (rows, 128), and of queries, (BATCH, 128)."""
    with np.load(source) as held:
        population = estimate(held["vectors"].astype(np.float32), held["labels"])
    different = round(rows * (1 - COPIES))
    people = max(-(-different // (FACES - 1)), BATCH)
    drawn = np.concatenate(list(draw(population, people, FACES, seed=0)))
    of_query = np.arange(len(drawn)) % FACES == FACES - 1
    vectors = drawn[~of_query][:different]
    rng = np.random.default_rng(1)
    copied = vectors[rng.integers(0, different, rows - different)]
    queries = drawn[of_query][rng.permutation(min(people, different // (FACES - 1)))[:BATCH]]
    return rng.permutation(np.concatenate([vectors, copied])), queries


def batches(rows: Rows) -> Iterator[Added]:
    """Yield all rows as `RemoteIndex.rebuild` takes them, with ids from 1."""
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        yield Added(np.arange(len(part)) + start + 1, part, np.ones(len(part), np.int64))


def nearest_candidates(rows: Rows, queries: Rows, candidates: Ids, space: Space) -> np.ndarray:
    """Return the distances of the K nearest candidates, float64 (q, K), infinite for missing ones.

    Args:
        rows: All rows, whose ids begin at 1.
        queries: (q, width).
        candidates: int64 (q, m), -1 for a missing one.
        space: Of the rows.
    """
    found = np.full((len(queries), max(K, candidates.shape[1])), np.inf)
    for number, ids in enumerate(candidates):
        places, query = ids[ids > 0] - 1, queries[number : number + 1]
        if space.metric == "hamming":
            distances = np.bitwise_count(rows[places] ^ query).sum(axis=1, dtype=np.int64)
        else:
            distances = vector_distances(rows, query, places[None], space)[0]
        found[number, : len(places)] = distances
    return np.sort(found, axis=1)[:, :K]


def judge(
    rows: Rows, queries: Rows, candidates: Ids, exact: np.ndarray, space: Space
) -> dict[str, float]:
    """Compare the nearest candidates with the exact search.

    Args:
        rows: All rows, whose ids begin at 1.
        queries: (q, width).
        candidates: int64 (q, m), -1 for a missing one.
        exact: Distances of the K nearest, (q, K).
        space: Of the rows.

    Returns:
        ``candidates`` per query; ``recall@10``; and ``same_distances``, the share of queries whose
        ten faces are at the distances of the exact search, in order. Faces at equal distances are
        copies of each other or have equal codes, so either of them is right.
    """
    found = nearest_candidates(rows, queries, candidates, space)
    return {
        "candidates": round(float((candidates > 0).sum(axis=1).mean()), 1),
        "recall@10": round(float((found <= exact[:, -1:] + _ROUNDING).mean()), 4),
        "same_distances": round(float((np.abs(found - exact) <= _ROUNDING).all(axis=1).mean()), 4),
    }


def time_searches(search: Callable[[Rows], Any], queries: Rows) -> dict[str, float]:
    """Time single queries, in milliseconds, and all queries at once, in queries per second."""
    spent = []
    for place in [*range(WARM_UP), *range(SINGLES)]:
        start = time.perf_counter()
        search(queries[place : place + 1])
        spent.append(time.perf_counter() - start)
    rates = []
    for _ in range(TURNS):
        start = time.perf_counter()
        search(queries)
        rates.append(len(queries) / (time.perf_counter() - start))
    single = np.array(spent[WARM_UP:]) * 1e3
    return {
        "median_ms": round(float(np.median(single)), 3),
        "p95_ms": round(float(np.percentile(single, 95)), 3),
        "batched_queries_per_second": round(float(np.median(rates)), 1),
    }


def measure_engine(
    index: RemoteIndex, rows: Rows, queries: Rows, exact: np.ndarray, space: Space
) -> dict[str, Any]:
    """Fill an index that is empty, and measure it."""
    start = time.perf_counter()
    index.rebuild(NO_GENERATION, 1, batches(rows))
    seconds = time.perf_counter() - start
    found = index.search(queries, K + SPARE)
    return {
        "rows": len(index),
        "push_seconds": round(seconds, 1),
        "bytes": index.bytes(),
        **judge(rows, queries, found.ids, exact, space),
        **time_searches(lambda some: index.search(some, K + SPARE), queries),
    }


def main() -> None:
    """Measure the servers whose URLs are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", nargs="+", help="engines, such as postgresql://HOST/DATABASE")
    parser.add_argument("--vectors", type=Path, required=True, help=".npz with vectors and labels")
    parser.add_argument("--rows", type=int, default=10**5)
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument(
        "--add", action="store_true", help="keep what the output has of other kinds of servers"
    )
    options = parser.parse_args()
    vectors, query_vectors = make_vectors(options.vectors, options.rows)
    hasher = IterativeQuantization.fit(vectors[: options.rows // 2], CODES.dimension, seed=0)
    sides = {
        "codes": (CODES, hasher.encode(vectors), hasher.encode(query_vectors)),
        "vectors": (VECTORS, vectors, query_vectors),
    }
    result: dict[str, Any] = {
        "what": f"{options.rows:,} faces, {CODES.dimension} bits and {VECTORS.dimension} floats",
        "queries": len(query_vectors),
        "machine": describe_machine("numpy", "faiss-cpu"),
        "different_codes": len(np.unique(sides["codes"][1], axis=0)),
        "exact": {},
        "engines": [],
    }
    if options.add and options.output.exists():
        earlier = json.loads(options.output.read_text(encoding="utf-8"))
        now = {Address.parse(url).scheme for url in options.urls}
        result["engines"] = [one for one in earlier["engines"] if one["kind"] not in now]
    nearest = {}
    for name, (space, rows, queries) in sides.items():
        index = ExactIndex.build(rows, np.arange(len(rows)) + 1, space)
        nearest[name] = index.search(queries, K).distances
        result["exact"][name] = {
            "bytes": rows.nbytes,
            **time_searches(lambda some, index=index: index.search(some, K), queries),
        }
        print(f"exact index, {name}: {result['exact'][name]}", flush=True)
    for url in options.urls:
        address = Address.parse(url).with_password("benchmark")
        engine: dict[str, Any] = {
            "kind": address.scheme,
            "load_of_the_machine": round(os.getloadavg()[0], 1),
            "options": {k: v for k, v in address.options.items() if k != "timeout"},
        }
        result["engines"].append(engine)
        for name, (space, rows, queries) in sides.items():
            # An empty index, also if an earlier run was interrupted.
            index = connect(address, Identity(LIBRARY, space, f"benchmark {name}"), replace=True)
            index.drop()
            index.close()
            index = connect(address, Identity(LIBRARY, space, f"benchmark {name}"))
            try:
                engine["server"] = index.server()
                engine[name] = measure_engine(index, rows, queries, nearest[name], space)
            finally:
                index.drop()
                index.close()
            print(f"{engine['server']}, {name}: {engine[name]}", flush=True)
            result["engines"].sort(key=lambda engine: str(engine["kind"]))
            write_json(options.output, result)


if __name__ == "__main__":
    main()
