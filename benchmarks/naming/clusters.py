"""Measure clusters of faces: agreement with the people, against DBSCAN and HDBSCAN, and speed.

    python -m benchmarks.naming.clusters --vectors LFW.npz --training OTHERS.npz

Both files hold SFace vectors: `vectors` (n, 128) and `labels` (n,). The limit of the mean distance
is chosen on the second one, whose people are not in the first. DBSCAN is given the best threshold
for the first file itself, so the comparison favors it. The speed is measured on synthetic people
whose covariances are those of the second file. The result goes to benchmarks/results/clusters.json.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine, peak_megabytes
from benchmarks.naming.people import SPACE, LabeledVectors, read_vectors, synthetic_people
from facehash.calibration.thresholds import SFACE, THRESHOLDS
from facehash.clustering.distances import cluster_distance
from facehash.clustering.linkage import NEW, average_linkage
from facehash.clustering.metrics import b_cubed, pairwise
from facehash.files import write_json
from facehash.vectors import squared_of_points

RESULT = Path(__file__).parents[1] / "results" / "clusters.json"
DISTANCES = [round(0.5 + 0.01 * step, 2) for step in range(15)]
THRESHOLDS_OF_DBSCAN = [round(0.3 + 0.005 * step, 3) for step in range(69)]
PEOPLE, DRAWS, ORDERS, PARTS = 650, 6, 3, 10
FACES = 100_000


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.naming.clusters", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--vectors", type=Path, required=True, help="vectors to be judged on")
    parser.add_argument("--training", type=Path, required=True, help="vectors of other people")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--speed-only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.speed_only:
        print(json.dumps(measure_speed(read_vectors(given.training))))
        return
    judged, others = read_vectors(given.vectors), read_vectors(given.training)
    distance = cluster_distance(THRESHOLDS[f"sface:{SFACE}"].distance, SPACE.metric)
    result = {
        "machine": describe_machine("numpy", "scikit-learn", "faiss-cpu"),
        "vectors": {"faces": len(judged.rows), "people": int(judged.labels.max()) + 1},
        "training": {"faces": len(others.rows), "people": int(others.labels.max()) + 1},
        "choice": choose_distance(others),
        "distance": distance,
        "average_linkage": scores(judged, cluster(judged.rows, distance)),
        "by_distance": [
            {"distance": one, **scores(judged, cluster(judged.rows, one))} for one in DISTANCES
        ],
        "in_parts": [in_parts(judged, distance, seed) for seed in range(ORDERS)],
        "dbscan": dbscan(judged),
        "hdbscan": hdbscan(judged),
        "speed": _speed_in_a_fresh_process(),
    }
    write_json(given.output, result)
    print(json.dumps({**result, "by_distance": "in the file"}, indent=1))


def cluster(rows: NDArray[np.float32], distance: float) -> NDArray[np.int64]:
    """Cluster unit vectors by average linkage."""
    return average_linkage(rows, squared_of_points(distance, SPACE.metric))


def scores(judged: LabeledVectors, clusters: NDArray[np.int64]) -> dict[str, Any]:
    """Return both kinds of agreement with the people."""
    found: dict[str, Any] = {}
    for name, measure in (("pairwise", pairwise), ("b_cubed", b_cubed)):
        one = measure(judged.labels, clusters)
        found[name] = {"precision": one.precision, "recall": one.recall, "f": one.f}
    return found


def choose_distance(others: LabeledVectors) -> dict[str, Any]:
    """Return the mean B-cubed F of draws of people by distance, and the best distance."""
    mean = dict.fromkeys(DISTANCES, 0.0)
    for seed in range(DRAWS):
        people = np.random.default_rng(seed).permutation(others.labels.max() + 1)[:PEOPLE]
        drawn = others.of_people(people)
        for distance in DISTANCES:
            found = b_cubed(drawn.labels, cluster(drawn.rows, distance))
            mean[distance] += found.f / DRAWS
    best = max(mean, key=lambda distance: mean[distance])
    by_distance = {str(distance): value for distance, value in mean.items()}
    return {"people": PEOPLE, "draws": DRAWS, "mean_b_cubed_f": by_distance, "distance": best}


def in_parts(judged: LabeledVectors, distance: float, seed: int) -> dict[str, Any]:
    """Return the agreement if the faces come in ten parts, in random order."""
    order = np.random.default_rng(seed).permutation(len(judged.rows))
    labels = np.full(len(order), NEW)
    limit = squared_of_points(distance, SPACE.metric)
    for end in np.linspace(0, len(order), PARTS + 1).astype(int)[1:]:
        seen = np.sort(order[:end])
        labels[seen] = average_linkage(judged.rows[seen], limit, labels[seen])
    return scores(judged, labels)


def dbscan(judged: LabeledVectors) -> dict[str, Any]:
    """Return the best scores of DBSCAN for these faces, each with its parameters."""
    from sklearn.cluster import DBSCAN

    distances = _distances(judged)
    found = []
    for smallest in (1, 2, 3):
        for threshold in THRESHOLDS_OF_DBSCAN:
            model = DBSCAN(eps=threshold, min_samples=smallest, metric="precomputed")
            labels = model.fit_predict(distances)
            row = {"min_samples": smallest, "eps": threshold, **scores(judged, labels)}
            found.append(row)
    return _best(found)


def hdbscan(judged: LabeledVectors) -> dict[str, Any]:
    """Return the best scores of HDBSCAN for these faces, each with its parameters."""
    from sklearn.cluster import HDBSCAN

    distances, found = _distances(judged), []
    for samples in (1, 2, 3):
        for selection in ("eom", "leaf"):
            model = HDBSCAN(
                min_cluster_size=2, min_samples=samples, cluster_selection_method=selection,
                metric="precomputed", copy=True,
            )  # fmt: skip
            row = {"min_samples": samples, "selection": selection}
            found.append({**row, **scores(judged, model.fit_predict(distances))})
    return _best(found)


def _best(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "best_pairwise": max(found, key=lambda row: row["pairwise"]["f"]),
        "best_b_cubed": max(found, key=lambda row: row["b_cubed"]["f"]),
    }


def _distances(judged: LabeledVectors) -> NDArray[np.float64]:
    rows = judged.rows.astype(np.float64)
    return np.clip(1 - rows @ rows.T, 0, 2)


def measure_speed(others: LabeledVectors) -> dict[str, Any]:
    """Cluster 100,000 synthetic faces; return seconds, peak memory and agreement."""
    rng = np.random.default_rng(0)
    sizes = np.fromiter(_sizes(rng), np.int64)
    drawn = synthetic_people(others, sizes, rng)
    distance = cluster_distance(THRESHOLDS[f"sface:{SFACE}"].distance, SPACE.metric)
    start, used = time.perf_counter(), time.process_time()
    clusters = cluster(drawn.rows, distance)
    return {
        "faces": len(drawn.rows),
        "people": len(sizes),
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "peak_megabytes": peak_megabytes(),
        **scores(drawn, clusters),
    }


def _sizes(rng: np.random.Generator) -> Iterator[int]:
    """Yield numbers of faces, ten on average, until there are `FACES`."""
    left = FACES
    while left:
        size = min(left, int(rng.geometric(0.1)))
        left -= size
        yield size


def _speed_in_a_fresh_process() -> Any:
    """Run `measure_speed` where nothing else has used memory."""
    command = [sys.executable, "-m", "benchmarks.naming.clusters", *sys.argv[1:], "--speed-only"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
