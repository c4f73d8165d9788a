"""What was measured of a library, laid out for a terminal."""

from __future__ import annotations

from typing import Any

from facehash.bench.scores import NEIGHBOURS

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("bits", "bits", ",d"),
    ("bytes", "bytes_a_face", ",d"),
    ("P@1", "P@1", ".4f"),
    ("P@5", "P@5", ".4f"),
    ("mAP", "mAP", ".4f"),
    ("recall@10", "recall@10", ".4f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("build s", "build_seconds", ".2f"),
)
"""Head, key in a way, format."""

_LARGE = 0.2
_LEGEND = """\
P@1, P@5: share of the nearest faces that are of the person who was asked for; P@5 divides by 5
though a person may have fewer. mAP: over the whole ranking. Ties count over all their orders.
recall@10: share of the ten nearest by exact vectors, ties by the faces' numbers. p50, p99: one
query, from its vector to its ten nearest named faces, without finding and describing its face.
bytes: what is stored of a face for it, a code, a vector or both."""


def cells(way: dict[str, Any]) -> list[str]:
    """Return the cells of a way, its method first."""
    return [way["method"], *(format_value(way[key], form) for _, key, form in COLUMNS)]


def format_value(value: Any, form: str) -> str:
    """Return a number as it is shown, a dash for none."""
    return "-" if value is None else format(value, form)


def format_bench(result: dict[str, Any]) -> str:
    """Lay out what `facehash.bench.run.bench` returned."""
    library, queries, left_out = (result[key] for key in ("library", "queries", "left_out"))
    lines = [
        f"{library['faces']:,} named faces of {library['people']:,} people on "
        f"{library['photos']:,} photos, described by {library['embedder']}; "
        f"{library['unnamed_faces']:,} faces without a name are left out",
        f"{queries['faces']:,} of them asked, of {queries['people']:,} people, each of whom is on "
        f"two photos or more; P@5 can be {queries['most_P@5']:.4f} at most",
        f"not counted: {left_out['pairs_on_one_photo']:,} answers on the photo of the query, "
        + _near_duplicates(left_out),
        "",
        *_table(["", *(head for head, _, _ in COLUMNS)], [cells(way) for way in result["ways"]]),
        "",
        _LEGEND,
        "",
        "named by vote of the k nearest neighbours, ties by the faces' numbers: leave-one-out "
        "accuracy by identity",
        f"(always the commonest name: {queries['share_of_the_commonest_person']:.4f})",
        *_table(
            ["k", *map(str, range(1, NEIGHBOURS + 1))],
            [
                [way["method"], *(f"{value:.4f}" for value in way["neighbours"])]
                for way in result["ways"]
                if way["of_embedder"]
            ],
        ),
    ]
    lines += _large_shortlists(result)
    lines += [f"not measured: {reason}" for reason in result["skipped"]]
    return "\n".join(lines)


def _near_duplicates(left_out: dict[str, Any]) -> str:
    limit = left_out["near_duplicate_cosine"]
    if limit is None:
        return "and no near duplicates, which codes do not tell"
    return (
        f"{left_out['near_duplicate_pairs']:,} near duplicates of it\n"
        f"(cosine {limit:g} or more, less the mean vector; "
        f"{left_out['as_near_pairs_of_two_people']:,} of somebody else do count); "
        f"{left_out['queries_without_a_match']:,} faces then had nobody to find"
    )


def _large_shortlists(result: dict[str, Any]) -> list[str]:
    """Say so where a shortlist holds so much of the library that little is left to be missed."""
    faces, shortlist = result["library"]["faces"], result["plan"]["shortlist"]
    if not any(way["shortlist"] for way in result["ways"]) or shortlist < _LARGE * faces:
        return []
    return [
        f"a shortlist of {shortlist:,} holds {min(1, shortlist / faces):.0%} of these faces: in a "
        "larger library it misses more, or --shortlist makes it shorter here"
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Align columns, the first to the left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
