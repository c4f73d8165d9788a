"""A benchmark as text for a terminal."""

from typing import Any

from facehash.bench.scores import NEIGHBOURS

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("bits", "bits", ",d"),
    ("bytes", "bytes_per_face", ",d"),
    ("P@1", "held_out/P@1", ".4f"),
    ("P@5", "held_out/P@5", ".4f"),
    ("mAP", "held_out/mAP", ".4f"),
    ("recall@10", "held_out/recall@10", ".4f"),
    ("P@1 loo", "P@1", ".4f"),
    ("mAP loo", "mAP", ".4f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("build s", "build_seconds", ".2f"),
)
"""Heading, key in ``methods`` (or in ``held_out`` of a method), format."""

ENGINE_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("rows", "by", "s"),
    ("faces", "faces", ",d"),
    ("behind", "behind", ",d"),
    ("MB", "megabytes", ",.1f"),
    ("recall@10", "recall@10", ".4f"),
    ("P@1", "P@1", ".4f"),
    ("exact P@1", "exact_P@1", ".4f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p95 ms", "p95_ms", ".2f"),
    ("exact p50 ms", "exact_p50_ms", ".2f"),
)
"""Heading, key in ``engines``, format."""

# From this share of the library on, re-ranking is nearly exact search.
_LARGE = 0.2
_LEGEND = """\
Held-out queries: one face of each person, drawn at random; codes are fitted to the remaining faces.
This is what a new photo finds. Means over {draws} draws. loo: leave-one-out, every face is a query
for the others, and codes are fitted to all faces, the queries included.
P@1, P@5: share of the nearest faces that show the query's person (P@5 divides by 5 even if a
person has fewer). mAP: mean average precision of the full ranking. All three average over the
orders of ties. recall@10: share of the ten nearest faces by exact vectors that are found.
p50, p99: time of one query, from its vector to its ten nearest named faces, without detecting
and embedding the face. bytes: stored per face, for the code, the vector or both."""


def value_of(method: dict[str, Any], key: str) -> Any:
    """Return a value by its key in `COLUMNS`; None if it was not measured."""
    part, slash, name = key.partition("/")
    if not slash:
        return method[key]
    return (method.get(part) or {}).get(name)


def format_value(value: Any, form: str) -> str:
    """Format a number, a dash for None."""
    return "-" if value is None else format(value, form)


def format_bench(result: dict[str, Any]) -> str:
    """Lay out the result of `facehash.bench.run.bench`."""
    library, queries, excluded = (result[key] for key in ("library", "queries", "excluded"))
    rows = [
        [method["name"], *(format_value(value_of(method, key), form) for _, key, form in COLUMNS)]
        for method in result["methods"]
    ]
    votes = [
        [method["name"], *(f"{value:.4f}" for value in method["knn_accuracy"])]
        for method in result["methods"]
        if method["is_embedder"]
    ]
    lines = [
        f"{library['faces']:,} named faces of {library['people']:,} people on "
        f"{library['photos']:,} photos, embedded by {library['embedder']}; "
        f"{library['unnamed_faces']:,} faces without a name are ignored",
        f"{queries['faces']:,} queries of {queries['people']:,} people with at least two photos; "
        f"P@5 is at most {queries['max_P@5']:.4f}",
        f"excluded pairs: {excluded['same_photo_pairs']:,} on one photo, "
        + _near_duplicates(excluded),
        "",
        *table_lines(["", *(heading for heading, _, _ in COLUMNS)], rows),
        "",
        _LEGEND.format(draws=result["plan"].get("draws", 0)),
        "",
        "identification by a vote of the k nearest neighbors, leave-one-out accuracy",
        f"(always naming the most frequent person: {queries['majority_accuracy']:.4f})",
        *table_lines(["k", *map(str, range(1, NEIGHBOURS + 1))], votes),
        *_rerank_warning(result),
        *_engines(result.get("engines", [])),
        *(f"not measured: {reason}" for reason in result["skipped"]),
        *(
            f"{label} was trained on {count:,} of these {queries['people']:,} people: its results "
            "do not show how it does on new people"
            for label, count in result.get("trained_people", {}).items()
            if count
        ),
    ]
    return "\n".join(lines)


def _near_duplicates(excluded: dict[str, Any]) -> str:
    limit = excluded["near_duplicate_cosine"]
    if limit is None:
        return "no near duplicates (codes do not show them)"
    return (
        f"{excluded['near_duplicate_pairs']:,} near duplicates of one person\n"
        f"(cosine at least {limit:g} after subtracting the mean vector; "
        f"{excluded['cross_person_pairs']:,} such pairs of two people do count); "
        f"{excluded['queries_without_match']:,} faces then had no match left"
    )


def _engines(engines: list[dict[str, Any]]) -> list[str]:
    """Lay out the engines beside the exact index, on the same queries."""
    if not engines:
        return []
    rows = []
    for engine in engines:
        values = engine | {"megabytes": engine["bytes"] / 1e6}
        cells = [format(values[key], form) for _, key, form in ENGINE_COLUMNS]
        rows.append([f"{engine['name']} ({engine['server']})", *cells])
    return [
        "",
        f"search with candidates of engines, leave-one-out, {engines[0]['queries']:,} queries",
        *table_lines(["", *(heading for heading, _, _ in ENGINE_COLUMNS)], rows),
        "recall@10: share of the ten nearest faces by the exact index that are found; a face at",
        "the distance of the tenth counts. behind: changes that the server lacks; the library adds",
        "them. Times include the server and what the library does with its candidates.",
    ]


def _rerank_warning(result: dict[str, Any]) -> list[str]:
    """Warn if re-ranking covers so much of the library that it hardly misses anything."""
    faces, rerank = result["library"]["faces"], result["plan"]["rerank"]
    if not any(method["rerank"] for method in result["methods"]) or rerank < _LARGE * faces:
        return []
    return [
        f"re-ranking {rerank:,} candidates covers {min(1, rerank / faces):.0%} of these faces; in "
        "a larger library it misses more (a smaller --rerank shows how much)"
    ]


def table_lines(head: list[str], rows: list[list[str]]) -> list[str]:
    """Align the columns of a table, the first to the left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
