"""Count the pairs of verification at the full size of the YouTube Faces protocol.

    python -m benchmarks.code_verification

63,800 gallery and 7,975 query codes of 48 bits of 1,595 identities, as in benchmarks.evaluation:
509 million pairs. Three methods, in alternating turns in one process:

* facehash: histograms of distances, summed by person, and TAR at three FARs and EER from them;
* argsort: the distances of all pairs from products of {-1, +1} codes, one stable sort of all of
  them, cumulative counts;
* scikit-learn: the same distances, given to `sklearn.metrics.roc_curve`, if it is installed.

The rivals store all pairs, so they get a sample of the queries and are extrapolated linearly,
which favors them: sorting grows faster. All methods must find the same rates on the sample. The
bootstrap is timed apart. Results: benchmarks/results/code_verification.json. Run it on an idle
machine; CPU seconds are stored as well.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from benchmarks.pairs import take_turns
from benchmarks.search.evaluation import BITS, GALLERY_EACH, IDENTITIES, QUERY_EACH, make_codes
from facehash.codes import signs_from_packed
from facehash.files import write_json
from facehash.hamming.search import distance_histograms
from facehash.retrieval.verification import (
    RATES,
    Pairs,
    add_pairs,
    no_pairs,
    rates_of,
    verify_pairs,
)

RESULT = Path(__file__).parents[1] / "results" / "code_verification.json"
QUERIES = IDENTITIES * QUERY_EACH
SAMPLE = 200  # queries of the rivals: 12.8 million pairs
TURNS = 5
RESAMPLES = 1000
NAMES = [f"TAR@{rate}" for rate in RATES]

Roc = tuple[NDArray[np.float64], NDArray[np.float64]]  # FAR and TAR, both increasing


def count(
    gallery: np.ndarray, query: np.ndarray, of_gallery: np.ndarray, of_query: np.ndarray
) -> Pairs:
    """Count the pairs by distance and person."""
    people, person = np.unique(of_query, return_inverse=True)
    pairs = no_pairs(len(people), BITS)
    histograms = distance_histograms(gallery, query, of_gallery, of_query, BITS, threads=2)
    add_pairs(pairs, histograms, person)
    return pairs


def rates(pairs: Pairs) -> NDArray[np.float64]:
    """Return TAR at three FARs, and EER."""
    return rates_of(pairs.total(), [*NAMES, "EER"])[0]


def roc_by_argsort(same: NDArray[np.bool_], distances: NDArray[np.float32]) -> Roc:
    """Return the curve from one sort of all pairs (pairs,)."""
    order = np.argsort(distances, kind="stable")
    ordered, hits = distances[order], same[order]
    last = np.r_[np.flatnonzero(np.diff(ordered)), len(ordered) - 1]  # of each distance
    accepted = np.cumsum(hits)[last]
    return (last + 1 - accepted) / (len(same) - accepted[-1]), accepted / accepted[-1]


def roc_by_scikit_learn(same: NDArray[np.bool_], distances: NDArray[np.float32]) -> Roc:
    """Return the curve of scikit-learn, where larger scores are nearer."""
    from sklearn.metrics import roc_curve

    far, tar, _ = roc_curve(same, -distances, drop_intermediate=False)
    return far, tar


def with_all_pairs(
    roc: Callable[[NDArray[np.bool_], NDArray[np.float32]], Roc],
    items: np.ndarray,
    queries: np.ndarray,
    of_gallery: np.ndarray,
    of_query: np.ndarray,
) -> NDArray[np.float64]:
    """Compute TAR at three FARs from the distances of all pairs of signs float32 (n, bits)."""
    distances = (0.5 * (BITS - queries @ items.T)).reshape(-1)
    same = (of_query[:, None] == of_gallery).reshape(-1)
    far, tar = roc(same, distances)
    return np.array([max(tar[far <= 1 / inverse], default=0.0) for inverse in RATES.values()])


def measure() -> dict[str, Any]:
    """Measure all methods, and check that they agree."""
    gallery, query, of_gallery, of_query = make_codes()
    sample = slice(0, SAMPLE)
    items, queries = (
        signs_from_packed(part, BITS).astype(np.float32) for part in (gallery, query[sample])
    )
    arrays = (items, queries, of_gallery, of_query[sample])
    rivals = {"argsort of all pairs": roc_by_argsort}
    packages = ["numpy", "numba"]
    try:
        import sklearn.metrics  # noqa: F401
    except ImportError:
        pass
    else:
        rivals["scikit-learn roc_curve"] = roc_by_scikit_learn
        packages.append("scikit-learn")
    methods: dict[str, Callable[[], Any]] = {
        "facehash": lambda: rates(count(gallery, query, of_gallery, of_query))
    }
    methods |= {
        name: functools.partial(with_all_pairs, roc, *arrays) for name, roc in rivals.items()
    }
    of_sample = rates(count(gallery, query[sample], of_gallery, of_query[sample]))[:-1]
    agree = all(np.allclose(methods[name](), of_sample, atol=1e-12) for name in rivals)
    clocks = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}
    times = take_turns(methods, TURNS, clocks)
    found = {
        name: {
            f"{kind}_{clock}": round(pick(times[clock][name]) * scale, 4)
            for clock in clocks
            for kind, pick in (("median", statistics.median), ("best", min))
        }
        | {"queries_timed": QUERIES if scale == 1 else SAMPLE}
        for name in methods
        for scale in (1 if name == "facehash" else QUERIES / SAMPLE,)
    }
    pairs = count(gallery, query, of_gallery, of_query)
    start = time.perf_counter()
    verified = verify_pairs(pairs, resamples=RESAMPLES)
    bootstrap = time.perf_counter() - start
    ours = found["facehash"]
    return {
        "what": "TAR at FAR 1e-2, 1e-3 and 1e-4 of all pairs of query and gallery code",
        "size": {
            "gallery": IDENTITIES * GALLERY_EACH,
            "query": QUERIES,
            "pairs": QUERIES * IDENTITIES * GALLERY_EACH,
            "bits": BITS,
        },
        "threads": 2,
        "machine": describe_machine(*packages),
        "methods": found,
        "bootstrap_seconds": round(bootstrap, 3),
        "resamples": RESAMPLES,
        "rates": {name: vars(rate) for name, rate in verified.rates.items() if rate},
        "times_faster_than": {
            name: round(found[name]["best_cpu_seconds"] / ours["best_cpu_seconds"], 1)
            for name in rivals
        },
        "bars": {
            "the same rates as all rivals on their queries": bool(agree),
            "counting takes less than 1 second": ours["best_seconds"] < 1,
        },
    }


def main() -> None:
    """Measure and store the result."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.code_verification",
        description="Count 509 million pairs of codes; compare with a sort of all pairs.",
        epilog="example: python -m benchmarks.code_verification",
    ).parse_args()
    result = measure()
    write_json(RESULT, result)
    print(json.dumps(result, indent=1))
