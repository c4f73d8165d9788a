"""Measure the probabilities of suggestions: precision and coverage on people they never saw.

    python -m benchmarks.naming.suggestions --vectors LFW.npz --training OTHERS.npz

The first file holds SFace vectors of Labeled Faces in the Wild: `vectors` (n, 128) and `labels`
(n,). Its people are divided into two halves. The numbers of `facehash.calibration.identification`
are fitted on one half and tried on the other, both ways and for several divisions. In each test
some people are unknown, and a random number of faces is named of everybody else. The numbers that
the package ships are fitted on all people; copy them from the result by hand, rounded, to
facehash/calibration/identification.py.

The second file is for the speed: faces of synthetic people with its covariances. The result goes to
benchmarks/results/suggestions.json.

Read the numbers with care: several photos of a person are from one occasion, and a face is a query
in several divisions, so that its error counts several times.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine, peak_megabytes
from benchmarks.naming.people import SPACE, LabeledVectors, read_vectors, synthetic_people
from facehash.calibration.identification import (
    Identification,
    Nearest,
    fit_labeled,
    nearest_people,
    probabilities,
    split_labeled,
)
from facehash.calibration.thresholds import SFACE, THRESHOLDS
from facehash.files import write_json

RESULT = Path(__file__).parents[1] / "results" / "suggestions.json"
LEVELS = (0.5, 0.9, 0.99, 0.999)
BANDS = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0)
DIVISIONS, DRAWS = 10, 10
HIDDEN = {"few": 0.0, "some": 1 / 3, "most": 0.8}
FACES, PEOPLE, NAMED = 100_000, 1_000, 20


class Judged(NamedTuple):
    """The suggestion for each query face."""

    chances: NDArray[np.float64]
    distances: NDArray[np.float64]
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]  # whether the person is known
    share: float  # estimated share of known people


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.naming.suggestions", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--vectors", type=Path, required=True, help="vectors of LFW")
    parser.add_argument("--training", type=Path, required=True, help="vectors for the speed")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    lfw = read_vectors(given.vectors)
    fitted = _fit(lfw, DRAWS, seed=0)
    result = {
        "machine": describe_machine("numpy", "faiss-cpu"),
        "faces": len(lfw.rows),
        "people": int(lfw.labels.max()) + 1,
        "divisions": DIVISIONS,
        "identification": {name: getattr(fitted, name) for name in fitted._fields[:3]},
        "by_unknown_people": measure(lfw),
        "speed": measure_speed(read_vectors(given.training), fitted),
    }
    write_json(given.output, result)
    print(json.dumps(result, indent=1))


def _fit(people: LabeledVectors, draws: int, seed: int) -> Identification:
    model = fit_labeled(people.rows, people.labels, SPACE, "measured", seed=seed, draws=draws)
    if model is None:
        raise SystemExit("too few people with two faces or more")
    return model


def measure(lfw: LabeledVectors) -> dict[str, Any]:
    """Fit on one half of the people and try on the other, and sum up over divisions.

    Of the people with two faces or more, a share is unknown in the tests, see `HIDDEN`; those with
    one face always are.
    """
    tests: dict[str, list[Judged]] = {name: [] for name in HIDDEN}
    for seed in range(DIVISIONS):
        rng = np.random.default_rng(seed)
        people = rng.permutation(lfw.labels.max() + 1)
        halves = [lfw.of_people(people[start::2]) for start in (0, 1)]
        for trained, tried in (halves, halves[::-1]):
            model = _fit(trained, 3, seed)
            for name, hidden in HIDDEN.items():
                tests[name].append(_judge(model, tried, hidden, rng))
    return {name: _summary(found) for name, found in tests.items()}


def _summary(tests: list[Judged]) -> dict[str, Any]:
    joined = Judged(
        *(np.concatenate([one[field] for one in tests]) for field in range(4)),
        float(np.mean([one.share for one in tests])),
    )
    known = int(joined.known.sum())
    threshold = THRESHOLDS[f"sface:{SFACE}"].distance
    return {
        "queries": len(joined.right),
        "of_known_people": known,
        "estimated_share": joined.share,
        "true_share": known / len(joined.right),
        "levels": [
            {"probability": level, **_level(joined, joined.chances >= level)} for level in LEVELS
        ],
        "within_threshold": _level(joined, joined.distances <= threshold),
        "reliability": list(_bands(joined)),
    }


def _judge(
    model: Identification, tried: LabeledVectors, hidden: float, rng: np.random.Generator
) -> Judged:
    rows, split = tried.rows, split_labeled(tried.labels, rng, hidden)
    nearest = nearest_people(rows[split.queries], rows[split.named], split.people, SPACE)
    found = probabilities(nearest, np.bincount(split.people), model)
    best = found.of_people.argmax(axis=1)
    lines = np.arange(len(best))
    return Judged(
        found.of_people[lines, best],
        nearest.distances[lines, best],
        nearest.people[lines, best] == split.truth,
        split.truth >= 0,
        found.known,
    )


def _level(judged: Judged, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how many of the chosen suggestions are right, of how many faces of known people."""
    suggested, right = int(chosen.sum()), int((chosen & judged.right).sum())
    return {
        "suggested": suggested,
        "wrong": suggested - right,
        "precision": right / suggested if suggested else None,
        "coverage": right / int(judged.known.sum()),
    }


def _bands(judged: Judged) -> Any:
    """Yield, for bands of probability, the mean probability and the share that is right."""
    for low, high in zip(BANDS, BANDS[1:], strict=False):
        band = (judged.chances >= low) & (judged.chances < high)
        if high == 1:
            band |= judged.chances == 1
        if band.any():
            yield {
                "from": low,
                "to": high,
                "suggestions": int(band.sum()),
                "mean_probability": float(judged.chances[band].mean()),
                "right": float(judged.right[band].mean()),
            }


def measure_speed(others: LabeledVectors, model: Identification) -> dict[str, Any]:
    """Compare 100,000 faces without a name with 20 named faces each of 1,000 people."""
    rng = np.random.default_rng(0)
    sizes = np.full(PEOPLE, NAMED + FACES // PEOPLE // 2)
    known = synthetic_people(others, sizes, rng)
    unknown = synthetic_people(others, np.full(FACES // 20, 10), rng)
    place = np.tile(np.arange(sizes[0]), PEOPLE)
    named = place < NAMED
    queries = np.concatenate([known.rows[~named], unknown.rows])
    start, used = time.perf_counter(), time.process_time()
    nearest: Nearest = nearest_people(queries, known.rows[named], known.labels[named], SPACE)
    found = probabilities(nearest, np.full(PEOPLE, NAMED), model)
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    best = found.of_people.argmax(axis=1)
    lines = np.arange(len(best))
    truth = np.concatenate([known.labels[~named], np.full(len(unknown.rows), -1)])
    sure = found.of_people[lines, best] >= 0.99  # noqa: PLR2004
    right = nearest.people[lines, best] == truth
    return {
        "faces": len(queries),
        "people": PEOPLE,
        "named_faces": int(named.sum()),
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_megabytes": peak_megabytes(),
        "precision_at_0.99": float(right[sure].mean()),
        "coverage_at_0.99": float((right & sure).sum() / (truth >= 0).sum()),
    }


if __name__ == "__main__":
    main()
