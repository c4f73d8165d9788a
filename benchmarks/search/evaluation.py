"""Score codes at the full size of the YouTube Faces protocol, against the usual method to score.

    python -m benchmarks.evaluation

63,800 gallery and 7,975 query codes of 48 bits of 1,595 identities, drawn around one random code
per identity. Time and peak memory of four methods, each in its own process:

* numba, numpy: every metric and curve of a report, with our kernels;
* one-hot argsort: AP, P@50, and precision and recall within radius 2, from products of one-hot
  labels and of {-1, +1} codes and one argsort per query, like many repositories of the field
  (DeepHash-pytorch, orthohash and others), but in contiguous float32, the fastest in NumPy;
* lean argsort: the same with labels compared directly, and with the curves and R-precision of a
  report: the best possible with one argsort per query.

Both argsort methods are timed on a sample of queries and extrapolated linearly, with one BLAS
thread and with all; the faster run counts. The first call of a process, which loads Numba and its
cached kernels, is reported apart. Results: benchmarks/results/evaluation.json, or
evaluation_avx2.json where the processor has no AVX-512 VPOPCNTDQ. Run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import (
    describe_machine,
    instruction_set,
    named_by_instructions,
    peak_megabytes,
)
from facehash.codes import packed_from_bits, signs_from_packed
from facehash.files import write_json
from facehash.retrieval.evaluation import evaluate

RESULT = Path(__file__).parents[1] / "results" / "evaluation.json"
IDENTITIES, GALLERY_EACH, QUERY_EACH, BITS, FLIPS = 1595, 40, 5, 48, 0.12
RADII = np.arange(BITS + 1)
# Method -> (queries timed, repeats).
METHODS = {
    "numba": (IDENTITIES * QUERY_EACH, 9),
    "numpy": (IDENTITIES * QUERY_EACH, 5),
    "one-hot argsort": (40, 3),
    "lean argsort": (400, 5),
}
Scores = dict[str, float]


def make_codes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw packed gallery and query codes and their labels, in random order."""
    rng = np.random.default_rng(20171)
    centers = rng.integers(0, 2, (IDENTITIES, BITS), dtype=np.uint8)
    of_gallery, of_query = (
        rng.permutation(np.repeat(np.arange(IDENTITIES), each))
        for each in (GALLERY_EACH, QUERY_EACH)
    )
    gallery, query = (
        packed_from_bits(centers[some] ^ (rng.random((len(some), BITS), np.float32) < FLIPS))
        for some in (of_gallery, of_query)
    )
    return gallery, query, of_gallery, of_query


def score_by_one_hot_argsort(
    gallery: np.ndarray, query: np.ndarray, of_gallery: np.ndarray, of_query: np.ndarray
) -> Scores:
    """Score signs float32 (n, bits) with one-hot labels float32 (n, identities), query by query."""
    ap, precision, recall, first = np.zeros((4, len(query)))
    for q in range(len(query)):
        relevant = of_gallery @ of_query[q] > 0
        distances = 0.5 * (BITS - gallery @ query[q])
        ranks = np.flatnonzero(relevant[np.argsort(distances)]) + 1
        ap[q] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
        first[q] = np.count_nonzero(ranks <= 50) / 50
        inside = distances <= 2
        hits = np.count_nonzero(relevant & inside)
        precision[q] = hits / max(np.count_nonzero(inside), 1)
        recall[q] = hits / len(ranks)
    return {"mAP": ap.mean(), "P@r2": precision.mean(), "R@r2": recall.mean(), "P@50": first.mean()}


def score_by_lean_argsort(
    gallery: np.ndarray, query: np.ndarray, of_gallery: np.ndarray, of_query: np.ndarray
) -> Scores:
    """Score signs float32 (n, bits) with integer labels (n,), query by query, with the curves."""
    ap, r_precision = np.zeros((2, len(query)))
    precision, recall = np.zeros((2, BITS + 1))
    at = np.zeros(1000)
    ns = np.arange(1, 1001)
    for q in range(len(query)):
        distances = 0.5 * (BITS - gallery @ query[q])
        order = np.argsort(distances)
        hits = np.cumsum(of_gallery[order] == of_query[q])
        total = hits[-1]
        ranks = np.searchsorted(hits, np.arange(1, total + 1)) + 1
        ap[q] = np.mean(np.arange(1, total + 1) / ranks)
        r_precision[q] = hits[total - 1] / total
        at += hits[:1000] / ns
        inside = np.searchsorted(distances[order], RADII, side="right")
        found = np.where(inside > 0, hits[inside - 1], 0)
        precision += found / np.maximum(inside, 1)
        recall += found / total
    means = [part / len(query) for part in (precision, recall, at)]
    return {
        "mAP": ap.mean(),
        "P@r2": means[0][2],
        "R@r2": means[1][2],
        "P@50": means[2][49],
        "R-precision": r_precision.mean(),
    }


def prepare(method: str, threads: int) -> Callable[[], Scores]:
    """Convert the codes to the form that a method needs; return the function to time."""
    gallery, query, of_gallery, of_query = make_codes()
    if method in ("numba", "numpy"):
        return lambda: (
            evaluate(
                gallery, query, of_gallery, of_query, BITS, threads=threads, engine=method
            ).metrics
        )
    sample = slice(0, METHODS[method][0])
    # float32 products of signs are exact, and the fastest in NumPy.
    items, queries = (
        signs_from_packed(part, BITS).astype(np.float32) for part in (gallery, query[sample])
    )
    if method == "lean argsort":
        return lambda: score_by_lean_argsort(items, queries, of_gallery, of_query[sample])
    one_hot = [np.zeros((len(some), IDENTITIES), np.float32) for some in (items, queries)]
    one_hot[0][np.arange(len(items)), of_gallery] = 1
    one_hot[1][np.arange(len(queries)), of_query[sample]] = 1
    return lambda: score_by_one_hot_argsort(items, queries, one_hot[0], one_hot[1])


def measure(method: str, threads: int) -> dict[str, Any]:
    """Measure the time of one method and the peak memory of this process."""
    run = prepare(method, threads)
    before = peak_megabytes()
    queries, repeats = METHODS[method]
    scale = IDENTITIES * QUERY_EACH / queries
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        metrics = run()
        seconds.append((time.perf_counter() - start) * scale)
    return {
        "median_seconds": round(statistics.median(seconds[1:]), 4),
        "best_seconds": round(min(seconds[1:]), 4),
        "first_seconds": round(seconds[0], 4),
        "repeats": repeats,
        "queries_timed": queries,
        "peak_mb": round(peak_megabytes(), 1),
        "peak_mb_before_scoring": round(before, 1),
        "metrics": {name: round(float(value), 6) for name, value in metrics.items()},
    }


def measure_apart(method: str, threads: int, blas_threads: int = 1) -> dict[str, Any]:
    """Call `measure` in a new process."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = dict.fromkeys(names, str(blas_threads))
    command = [sys.executable, "-m", "benchmarks.evaluation"]
    output = subprocess.check_output(
        [*command, "--method", method, "--threads", str(threads)],
        env=os.environ | limits,
        cwd=Path(__file__).parents[2],
    )
    return dict(json.loads(output)) | {"blas_threads": blas_threads}


def measure_best(method: str, threads: int) -> dict[str, Any]:
    """Measure a method with its best number of BLAS threads; facehash does not use BLAS."""
    counts = {1, threads} if method.endswith("argsort") else {1}
    runs = (measure_apart(method, threads, count) for count in sorted(counts))
    return min(runs, key=lambda run: run["median_seconds"])


def compare(threads: int) -> dict[str, Any]:
    """Measure all methods and compare them."""
    measure_apart("numba", threads)  # compiles the kernels if needed; the next one loads them
    methods = {method: measure_best(method, threads) for method in METHODS}
    ours = methods["numba"]["median_seconds"]
    rivals = [name for name in METHODS if name != "numba"]
    ratios = {name: round(methods[name]["median_seconds"] / ours, 1) for name in rivals}
    return {
        "what": "all metrics and curves of a report, from packed codes and labels",
        "size": {
            "gallery": IDENTITIES * GALLERY_EACH,
            "query": IDENTITIES * QUERY_EACH,
            "bits": BITS,
            "identities": IDENTITIES,
        },
        "threads": threads,
        "machine": describe_machine("numpy", "numba"),
        "instruction_set": instruction_set(),
        "ways": methods,
        "times_faster_than": ratios,
        "bars": {
            "at most 0.15 seconds": ours <= 0.15,
            "at most 500 MB": methods["numba"]["peak_mb"] <= 500,
            "at least 100 times the field's one-hot argsort": ratios["one-hot argsort"] >= 100,
        },
    }


def main() -> None:
    """Run the whole comparison, or a single method as its subprocess."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description="Score 7,975 queries in 63,800 codes of 48 bits; compare with argsort.",
        epilog="example: python -m benchmarks.evaluation --threads 2",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads per method (default 2)")
    parser.add_argument("--method", choices=METHODS, help="measure one method, and print JSON")
    options = parser.parse_args()
    if options.method:
        print(json.dumps(measure(options.method, options.threads)))
        return
    result = compare(options.threads)
    write_json(named_by_instructions(RESULT), result)
    print(json.dumps(result, indent=1))
