"""Codes by both distances on held-out queries, and the error of their thresholds.

    python -m benchmarks.held_out --vectors DIR

DIR has sface_lfw.npz and sface_pubfig83.npz: ``vectors`` and ``labels``, one row per face. One
face of each person with at least two is a query, in five seeded draws; hash functions, scales and
thresholds are computed from the remaining faces, without labels. Leave-one-out, with everything
fitted to all faces, is the second measure. `facehash bench` measures the same in a library.

The threshold of codes is where `index` would put it. Its error is measured on pairs of a held-out
query and another face: the share of pairs of two people within the threshold (false matches), and
of pairs of one person beyond it (false non-matches), by the labels.

The result is written to benchmarks/results/held_out.json.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from facehash.bench.methods import (
    compare_asymmetrically,
    compare_codes,
    compare_rows,
    fit_codes,
)
from facehash.bench.queries import (
    NamedFaces,
    QuerySet,
    draw_queries,
    hold_out,
    leave_one_out,
)
from facehash.bench.scores import measure_held_out, score
from facehash.calibration.codes import FALSE_MATCH_RATE, code_thresholds
from facehash.calibration.thresholds import THRESHOLDS
from facehash.files import write_json
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.vectors import Space, unit_rows

RESULT = Path(__file__).parents[1] / "results" / "held_out.json"
DATA, HASHERS, BITS, DRAWS = ("lfw", "pubfig83"), ("itq", "lsh"), (32, 64, 128), 5
LEAVE_ONE_OUT = 2000  # at most so many queries
[SFACE] = [value.distance for name, value in THRESHOLDS.items() if name.startswith("sface")]


def read_vectors(path: Path) -> QuerySet:
    """Read vectors as the named faces of a library, each on a photo of its own."""
    with np.load(path) as held:
        rows = unit_rows(held["vectors"].astype(np.float32))
        _, people = np.unique(held["labels"], return_inverse=True)
    return leave_one_out(NamedFaces.of_vectors(rows, people.astype(np.int64)))


def measure(queries: QuerySet) -> dict[str, Any]:
    """Measure vectors, and codes of every kind and length."""
    sets = [hold_out(queries, draw) for draw in range(DRAWS)]
    few = draw_queries(queries.faces, 2, LEAVE_ONE_OUT, 0)
    methods: list[dict[str, Any]] = [
        {
            "name": "vectors",
            "bits": None,
            "held_out": measure_held_out([(compare_rows(one, ""), None) for one in sets]),
            "leave_one_out": score(compare_rows(few, "")),
            "threshold": error_rates(sets, None, 0, None),
        }
    ]
    for name in HASHERS:
        for bits in BITS:
            fitted = [fit_codes(one, name, bits, seed) for seed, one in enumerate(sets)]
            whole = fit_codes(few, name, bits, 0)
            for distance, compare in (
                ("hamming", compare_codes),
                ("asymmetric", compare_asymmetrically),
            ):
                drawn = [compare(*one) for one in zip(sets, fitted, strict=True)]
                methods.append(
                    {
                        "name": name,
                        "distance": distance,
                        "bits": bits,
                        "held_out": measure_held_out([(one, None) for one in drawn]),
                        "leave_one_out": score(compare(few, whole)),
                        "threshold": error_rates(sets, fitted, bits, distance),
                    }
                )
                print(line(methods[-1]), flush=True)
    return {
        "faces": len(queries.faces),
        "people": len(np.unique(queries.faces.people)),
        "queries_per_draw": len(sets[0].query_indices),
        "methods": methods,
    }


def error_rates(
    sets: list[QuerySet], fitted: Any, bits: int, distance: str | None
) -> dict[str, float]:
    """Compute the threshold of every draw, and its errors on pairs with a held-out query."""
    found = []
    for number, queries in enumerate(sets):
        rows, ids = queries.faces.rows, np.arange(len(queries.faces))
        if fitted is None:
            limit: float | None = SFACE
            near = ExactIndex.build(rows, ids, queries.faces.space).search(queries.rows, len(rows))
        else:
            hasher, codes = fitted[number].hasher, fitted[number].codes
            thresholds = code_thresholds(queries.faces.all_rows, hasher, "cosine", SFACE)
            limit, space = getattr(thresholds, str(distance)), Space("hamming", bits)
            if distance == "asymmetric":
                index = AsymmetricIndex.build(codes, ids, space)
                near = index.search(hasher.projections(queries.rows), len(rows))
            else:
                near = ExactIndex.build(codes, ids, space).search(
                    hasher.encode(queries.rows), len(rows)
                )
        same = queries.faces.people[near.ids] == queries.people[:, None]
        within = near.distances <= limit
        found.append((limit, within[~same].mean(), (~within[same]).mean()))
    names = ("threshold", "false_match_rate", "false_non_match_rate")
    means = np.mean(np.array(found, np.float64), axis=0)
    return dict(zip(names, map(float, means), strict=True))


def confirmed(result: dict[str, Any]) -> bool:
    """Return whether the asymmetric distance wins at every length, hasher and data set."""
    gains = []
    for data in DATA:
        scores = {
            (one["name"], one["bits"], one.get("distance")): one["held_out"]
            for one in result["data"][data]["methods"]
        }
        for name in HASHERS:
            for bits in BITS:
                one, other = (scores[name, bits, d] for d in ("asymmetric", "hamming"))
                gains += [one[key] - other[key] for key in ("P@1", "mAP")]
    return min(gains) > 0


def line(method: dict[str, Any]) -> str:
    """Format a method for the terminal."""
    held, other, errors = (method[key] for key in ("held_out", "leave_one_out", "threshold"))
    return (
        f"{method['name']:>8} {method['bits']!s:>4} {method.get('distance', ''):>10} | held out "
        f"P@1 {held['P@1']:.3f} mAP {held['mAP']:.3f} | leave-one-out {other['P@1']:.3f} "
        f"{other['mAP']:.3f} | false matches {errors['false_match_rate']:.2%}, "
        f"non-matches {errors['false_non_match_rate']:.1%}"
    )


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.held_out",
        description="Codes by both distances on held-out queries.",
        epilog="example: python -m benchmarks.held_out --vectors DIR",
    )
    parser.add_argument("--vectors", type=Path, required=True, help="folder of sface_*.npz")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result: dict[str, Any] = {
        "embedder": "sface",
        "threshold_of_vectors": SFACE,
        "false_match_rate": FALSE_MATCH_RATE,
        "draws": DRAWS,
        "data": {},
    }
    for name in DATA:
        print(name)
        result["data"][name] = measure(read_vectors(given.vectors / f"sface_{name}.npz"))
    result["asymmetric_is_better_everywhere"] = confirmed(result)
    write_json(given.output, result)
    print(f"asymmetric better everywhere: {result['asymmetric_is_better_everywhere']}")


if __name__ == "__main__":
    main()
