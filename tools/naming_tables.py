"""The tables in docs/naming.md: suggestions and clusters."""

import json
from pathlib import Path
from typing import Any

from benchmarks.naming.clusters import RESULT as CLUSTERS
from benchmarks.naming.suggestions import RESULT as SUGGESTIONS
from experiments.table.layout import markdown_rows

_UNKNOWN = {
    "few": "those with one photo only",
    "some": "and a third of the others",
    "most": "and 80 % of the others",
}


def suggestions_table() -> str:
    """Tabulate precision and coverage, from `python -m benchmarks.naming.suggestions`."""
    rows = []
    for name, found in _read(SUGGESTIONS)["by_unknown_people"].items():
        cells = [_UNKNOWN[name], f"{found['true_share']:.0%}", f"{found['estimated_share']:.0%}"]
        for level in found["levels"][1:]:
            rows.append([*cells, f"{level['probability']:g}", *_level(level)])
            cells = ["", "", ""]
        rows.append([*cells, "distance within the threshold", *_level(found["within_threshold"])])
    head = ["Unknown people", "Faces of known people", "Estimated", "Suggested from", "Suggested"]
    return markdown_rows([*head, "Wrong", "Precision", "Coverage"], rows)


def _level(level: dict[str, Any]) -> list[str]:
    return [
        f"{level['suggested']:,}",
        f"{level['wrong']:,}",
        f"{level['precision']:.4f}",
        f"{level['coverage']:.3f}",
    ]


def reliability_table() -> str:
    """Tabulate which share of the suggestions is right, by probability."""
    rows = [
        [
            f"{band['from']:g} to {band['to']:g}",
            f"{band['suggestions']:,}",
            f"{band['mean_probability']:.4f}",
            f"{band['right']:.4f}",
        ]
        for band in _read(SUGGESTIONS)["by_unknown_people"]["some"]["reliability"]
    ]
    return markdown_rows(["Probability", "Suggestions", "Mean probability", "Right"], rows)


def clusters_table() -> str:
    """Tabulate the agreement with the people, from `python -m benchmarks.naming.clusters`."""
    result = _read(CLUSTERS)
    first = result["in_parts"][0]
    named = [
        (f"average linkage, mean distance {result['distance']:.2f}", result["average_linkage"]),
        ("the same, the faces in ten parts, one after the other", first),
    ]
    for name, label in (("dbscan", "DBSCAN"), ("hdbscan", "HDBSCAN")):
        for measure, words in (("pairwise", "pairs"), ("b_cubed", "B-cubed")):
            best = result[name][f"best_{measure}"]
            named.append((f"{label}, best for {words}{_parameters(best)}", best))
    rows = [
        [
            label,
            *(
                f"{one[measure][key]:.4f}"
                for measure in ("pairwise", "b_cubed")
                for key in ("precision", "recall", "f")
            ),
        ]
        for label, one in named
    ]
    head = ["Clusters", "Pairs: precision", "recall", "F", "B-cubed: precision", "recall", "F"]
    return markdown_rows(head, rows)


def _parameters(best: dict[str, Any]) -> str:
    if "eps" in best:
        return f": threshold {best['eps']:g}, {best['min_samples']} or more faces"
    return f": {best['min_samples']} or more faces, {best['selection']}"


def naming_cost_table() -> str:
    """Tabulate time and memory for 100,000 faces."""
    suggestions, clusters = _read(SUGGESTIONS)["speed"], _read(CLUSTERS)["speed"]
    rows = [
        [
            f"suggestions for {suggestions['faces']:,} faces, {suggestions['people']:,} people "
            f"with {suggestions['named_faces']:,} named faces",
            *_cost(suggestions),
        ],
        [f"clusters of {clusters['faces']:,} faces of {clusters['people']:,} people",
         *_cost(clusters)],
    ]  # fmt: skip
    return markdown_rows(["Task", "Processor time", "Elapsed time", "Peak memory"], rows)


def _cost(speed: dict[str, Any]) -> list[str]:
    return [
        f"{speed['processor_seconds']:.0f} s",
        f"{speed['seconds']:.0f} s",
        f"{speed['peak_megabytes']:,.0f} MB",
    ]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
