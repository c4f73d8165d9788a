"""Search codes by float projections, against the Hamming search of the same codes.

    python -m benchmarks.asymmetric --vectors sface_train.npz

The codes are ITQ codes of vectors that have people: 10^6 faces of 200,000 people, drawn with the
covariances between and within people of real vectors (an .npz with ``vectors`` and ``labels``).
Queries are further faces of the same people, which the codes were not fitted to. Random bits would
be no test: the search depends on how many codes are near a query.

Both searches are exact. They take turns in one process on one core, all queries at once and one
query per call. Speeds of a busy machine are low, while ratios hardly change: compare the load, and
the speed of the Hamming search with that in search.json. The result is written to
benchmarks/results/asymmetric.json.
"""

import argparse
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.pairs import CLOCKS, ratio, take_turns, verdict
from benchmarks.search.people import draw, estimate
from facehash.codes import packed_from_signs, sign
from facehash.files import write_json
from facehash.hamming.asymmetric import asymmetric_top_k
from facehash.hamming.asymmetric_numba import find_nearest
from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords, word_rows
from facehash.hashing import IterativeQuantization

RESULT = Path(__file__).parents[1] / "results" / "asymmetric.json"
BITS, FACES, FITTED = 64, 6, 50_000
FOUND = (10, 100)
BATCH, SINGLES = 256, 16
TIMES, PER_SECOND = 4.0, 1500
"""Bars: the time of a query over that of the Hamming search, and the speed of a batch."""


def make_codes(vectors: Path, rows: int) -> tuple[CodeWords, np.ndarray]:
    """Draw faces; return the codes of five of each person, and projections of the sixth."""
    with np.load(vectors) as held:
        population = estimate(held["vectors"].astype(np.float32), held["labels"])
    people = rows // (FACES - 1)
    some = np.concatenate(list(draw(population, FITTED // FACES, FACES, seed=1)))
    hasher = IterativeQuantization.fit(some, BITS, seed=0)
    scale = np.abs(hasher.project(some)).mean(axis=0)
    codes, queries = [], []
    for block in draw(population, people, FACES, seed=0):
        held_out = np.arange(len(block)) % FACES == 0
        codes.append(hasher.encode(block[~held_out]))
        queries.append(hasher.project(block[held_out][:BATCH]) / scale)
    return CodeWords.of(np.concatenate(codes), BITS), np.concatenate(queries)[-BATCH:]


def check(words: CodeWords, projections: np.ndarray, k: int) -> bool:
    """Compare with the definition: weights added bit by bit, then a stable sort."""
    unequal = np.unpackbits(words.packed(), axis=1, bitorder="little").T  # (bits, n)
    found = asymmetric_top_k(words, projections, BITS, k, threads=1)
    for row, values in enumerate(projections):
        distances = np.zeros(len(words))
        for bit, value in enumerate(values):
            distances += (unequal[bit] != (value >= 0)) * abs(float(value))
        order = np.argsort(distances, kind="stable")[:k]
        if not (
            np.array_equal(order, found.indices[row])
            and np.array_equal(distances[order], found.distances[row])
        ):
            return False
    return True


def passed(words: CodeWords, projections: np.ndarray, k: int) -> float:
    """Return how many codes per query the lower bound does not reject."""
    signs = word_rows(packed_from_signs(sign(projections)))
    weights = np.abs(projections.astype(np.float64))
    shape = (len(projections), k)
    arrays = np.zeros(shape, np.int64), np.zeros(shape)
    return float(
        find_nearest(words.words, 0, len(words), signs, weights, *arrays) / len(projections)
    )


def compare(words: CodeWords, projections: np.ndarray, k: int, turns: int) -> dict[str, Any]:
    """Time both searches for all queries at once and for single queries."""
    codes = packed_from_signs(sign(projections))
    found: dict[str, Any] = {
        "k": k,
        "equals_the_loop": check(words, projections[:3], k),
        "codes_that_pass_the_bound": round(passed(words, projections[:64], k)),
    }
    for mode, count, parts in (("batched", BATCH, 1), ("one by one", SINGLES, SINGLES)):
        floats, packed = (np.split(side[:count], parts) for side in (projections, codes))
        seconds = take_turns(
            {
                "asymmetric": lambda floats=floats: [
                    asymmetric_top_k(words, part, BITS, k, threads=1) for part in floats
                ],
                "Hamming": lambda packed=packed: [
                    top_k(words, part, BITS, k, threads=1) for part in packed
                ],
            },
            turns,
            CLOCKS,
        )
        found[mode] = {
            "queries": count,
            "queries_a_second": {
                clock: {name: round(count / statistics.median(t), 1) for name, t in spent.items()}
                for clock, spent in seconds.items()
            },
            # Of the fastest turn: what other processes on the machine slowed down least.
            "most_queries_a_second": {
                clock: {name: round(count / min(t), 1) for name, t in spent.items()}
                for clock, spent in seconds.items()
            },
            "times_the_hamming_search": {
                clock: ratio(spent, "Hamming", ("asymmetric",)) for clock, spent in seconds.items()
            },
        }
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure both numbers of neighbors."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    words, projections = make_codes(options.vectors, options.rows)
    load, cases = os.getloadavg()[0], []
    for k in FOUND:
        cases.append(compare(words, projections, k, options.turns))
        print(cases[-1], flush=True)
    return {
        "what": f"the k nearest of {len(words):,} ITQ codes of {BITS} bits, exactly, on one core",
        "rows": len(words),
        "bits": BITS,
        "turns": options.turns,
        "machine": describe_machine("numpy", "numba"),
        "load_of_the_machine": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "cases": cases,
    }


def judge(result: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return for every bar whether it is met, in wall time and in processor time."""
    bars: dict[str, dict[str, str]] = {}
    for case in result["cases"]:
        single = case["one by one"]["times_the_hamming_search"]
        name = f"k = {case['k']}: one query in at most {TIMES:g} times the Hamming search"
        bars[name] = {clock: verdict(single[clock], TIMES, most=True) for clock in single}
        speeds = case["batched"]["queries_a_second"]
        bars[f"k = {case['k']}: batched at least {PER_SECOND:,} queries per second"] = {
            clock: "met" if speed["asymmetric"] >= PER_SECOND else "missed"
            for clock, speed in speeds.items()
        }
    return bars


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.asymmetric",
        description="Search codes by float projections; compare with the Hamming search.",
        epilog="example: python -m benchmarks.asymmetric --vectors sface_train.npz --no-store",
    )
    parser.add_argument("--vectors", type=Path, required=True, help=".npz: vectors, labels")
    parser.add_argument("--rows", type=int, default=10**6, help="number of codes (default 10^6)")
    parser.add_argument("--turns", type=int, default=15, help="turns per method (default 15)")
    parser.add_argument("--no-store", action="store_true", help="do not write the result")
    options = parser.parse_args()
    if options.turns < 2:
        parser.error("quartiles need at least 2 turns")
    result = measure(options)
    result["bars"] = judge(result)
    if not options.no_store:
        write_json(RESULT, result)
    for bar, verdicts in result["bars"].items():
        print(f"{bar}: " + ", ".join(f"{what} ({clock})" for clock, what in verdicts.items()))


if __name__ == "__main__":
    main()
