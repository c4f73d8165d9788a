"""Several photos of a person as one query: the mean of their vectors, or the smallest distance.

    python -m benchmarks.search.references --vectors DIR

DIR has sface_lfw.npz and sface_pubfig83.npz: ``vectors`` and ``labels``, one row per face. Of each
person with more photos than that, some are drawn as references, and all other photos of the data
set are ranked: by the distance to the mean of the references, vectors of length 1, or by the
distance to the nearest of them. The average of the distances ranks as the mean does, but differs
in how many faces are within the threshold. The same draws serve all. "One photo" is a plain search
for the first reference.

The false match and miss rates are those of `facehash search`: the threshold of SFace was measured
on pairs of photos, and it shows whether it also holds for a mean. The result is written to
benchmarks/results/references.json.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import THRESHOLDS
from facehash.files import write_json
from facehash.vectors import unit_rows

RESULT = Path(__file__).parents[1] / "results" / "references.json"
NUMBERS = (2, 3, 5)
DRAWS = 10
SEED = 0

Rows = NDArray[np.float32]
[THRESHOLD] = [one.distance for name, one in THRESHOLDS.items() if name.startswith("sface:")]


def by_first(references: Rows, gallery: Rows) -> NDArray[np.float32]:
    """Return the cosine distances of gallery rows (n, d) to the first reference, float32 (n,)."""
    return 1 - gallery @ references[0]


def by_mean(references: Rows, gallery: Rows) -> NDArray[np.float32]:
    """Return the cosine distances of gallery rows to the mean of the references."""
    mean = references.mean(0)
    return 1 - gallery @ (mean / np.linalg.norm(mean))


def by_nearest(references: Rows, gallery: Rows) -> NDArray[np.float32]:
    """Return the cosine distances of gallery rows to the nearest reference."""
    return 1 - (gallery @ references.T).max(1)


def by_average(references: Rows, gallery: Rows) -> NDArray[np.float32]:
    """Return the averages of the cosine distances of gallery rows to the references."""
    return 1 - gallery @ references.mean(0)


METHODS: dict[str, Callable[[Rows, Rows], NDArray[np.float32]]] = {
    "one photo": by_first,
    "mean": by_mean,
    "nearest": by_nearest,
    "average distance": by_average,
}


def measure(vectors: Rows, labels: NDArray[np.str_], number: int, draws: int) -> dict[str, dict]:
    """Measure all methods with a number of references per person.

    Args:
        vectors: float32 (n, d), of length 1.
        labels: (n,), the person of each vector.
        number: References per person.
        draws: Times that references are drawn of each person.

    Returns:
        By method: means over all queries of P@1 and average precision, and the shares of false
        matches and misses among all compared pairs.
    """
    rng = np.random.default_rng(SEED)
    names, counts = np.unique(labels, return_counts=True)
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in METHODS}
    for name in names[counts > number]:
        own = np.flatnonzero(labels == name)
        for _ in range(draws):
            chosen = rng.choice(own, number, replace=False)
            rest = np.setdiff1d(np.arange(len(labels)), chosen)
            relevant = labels[rest] == name
            for method, distances_of in METHODS.items():
                distances = distances_of(vectors[chosen], vectors[rest])
                scores[method].append(_score(distances, relevant))
    result = {}
    for method, rows in scores.items():
        first, precision, false, different, missed, same = np.array(rows).T
        result[method] = {
            "P@1": round(float(first.mean()), 4),
            "mAP": round(float(precision.mean()), 4),
            "false_match": round(float(false.sum() / different.sum()), 5),
            "miss": round(float(missed.sum() / same.sum()), 4),
        }
    return {"queries": len(scores["mean"]), "methods": result}


def _score(distances: NDArray[np.float32], relevant: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return P@1, average precision, false matches, unequal pairs, misses and equal pairs."""
    ranked = relevant[np.argsort(distances, kind="stable")]
    places = np.flatnonzero(ranked) + 1
    precision = float((np.arange(1, len(places) + 1) / places).mean())
    within = distances <= THRESHOLD
    false, missed = (within & ~relevant).sum(), (~within & relevant).sum()
    return float(ranked[0]), precision, false, (~relevant).sum(), missed, relevant.sum()


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search.references", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--vectors", type=Path, required=True, help="folder of sface_*.npz")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result: dict[str, object] = {"threshold": THRESHOLD, "draws": DRAWS, "seed": SEED, "data": {}}
    for name in ("lfw", "pubfig83"):
        with np.load(given.vectors / f"sface_{name}.npz") as data:
            vectors, labels = unit_rows(data["vectors"].astype(np.float32)), data["labels"]
        rows = {}
        for number in NUMBERS:
            found = measure(vectors, labels, number, DRAWS)
            rows[str(number)] = found
            for method, values in found["methods"].items():
                print(name, number, f"{method:<16}", values)
        result["data"][name] = rows  # type: ignore[index]
    write_json(given.output, result)


if __name__ == "__main__":
    main()
