"""The results of a search as plain values: for JSON, for CSV, and as lines for a terminal."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from facehash.images.video import format_time
from facehash.library.query.results import Hit, QueryResult
from facehash.library.upkeep.export import joined, write_csv
from facehash.output import check_output, csv_format, replace_output
from facehash.printing import printable

COLUMNS = (
    "query", "query_face", "rank", "distance", "score", "name", "known", "path", "face",
    "x", "y", "width", "height", "face_id", "copies", "resized_copies", "damage", "no_verdict",
    "seconds",
)  # fmt: skip

TABLE = csv_format(",".join(COLUMNS[:6]))
"""The format of `write_table`."""


def as_plain(result: QueryResult) -> dict[str, Any]:
    """Return a result as values for JSON."""
    return {
        "query": None if result.query is None else str(result.query),
        "references": [str(path) for path in result.references],
        "face": result.face,
        "metric": result.metric,
        "box": None if result.box is None else list(result.box),
        "hits": [
            {
                "rank": hit.rank,
                "distance": hit.distance,
                "score": hit.score,
                "name": hit.name,
                "named_by": hit.named_by,
                "within_threshold": hit.within_threshold,
                "known": hit.within_threshold,  # the name until 0.3.0
                "no_verdict": hit.no_verdict,
                "path": str(hit.path),
                "face": hit.face,
                "box": list(hit.box),
                "face_id": hit.face_id,
                "copies": [str(path) for path in hit.copies],
                "resized_copies": [str(path) for path in hit.resized],
                "damage": hit.damage,
                "added": hit.added,
                "seconds": hit.seconds,
                "first_seconds": hit.first_seconds,
                "last_seconds": hit.last_seconds,
            }
            for hit in result.hits
        ],
    }


def write_table(path: Path, results: Iterable[QueryResult]) -> None:
    """Write one line per hit to a CSV file that only its owner can read.

    Several paths in a cell are separated by ``|``. Text that a spreadsheet would read as a formula
    gets an apostrophe in front.
    """
    check_output(path, TABLE, "write_table", force=True)
    rows = (
        (joined(result.references) or str(result.query), result.face, hit.rank, hit.distance,
         hit.score, hit.name, hit.within_threshold, str(hit.path), hit.face, *hit.box, hit.face_id,
         joined(hit.copies), joined(hit.resized), hit.damage, hit.no_verdict,
         hit.seconds)
        for result in results
        for hit in result.hits
    )  # fmt: skip
    with (
        replace_output(path, private=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        write_csv(file, COLUMNS, rows)


def as_lines(result: QueryResult, *, score: bool = False) -> Iterator[str]:
    """Yield a result as lines for a terminal.

    Args:
        result: What was found for a face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    place = ""
    if result.box is not None:
        x, y, width, height = (round(value) for value in result.box)
        place = f" at {x},{y} ({width} x {height})"
    if len(result.references) > 1:
        names = ", ".join(printable(path) for path in result.references)
        yield f"{len(result.references)} photos as one: {names}"
    else:
        yield f"{printable(result.query)}, face {result.face}{place}"
    if not result.hits:
        yield "  no face is near enough"
        return
    rows = [_cells(hit, result.format_distance(hit, score)) for hit in result.hits]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    indent = " " * (widths[0] + widths[1] + widths[2] + 8)
    for hit, (rank, number, name, path, face) in zip(result.hits, rows, strict=True):
        yield f"  {rank:>{widths[0]}}  {number:>{widths[1]}}  {name:<{widths[2]}}  {path}  {face}"
        yield from (f"{indent}{printable(path)}  (copy)" for path in hit.copies)
        yield from (f"{indent}{printable(path)}  (resized copy)" for path in hit.resized)
    for reason in dict.fromkeys(hit.no_verdict for hit in result.hits if hit.no_verdict):
        yield f"  no verdict: {printable(reason)}"


def _cells(hit: Hit, number: str) -> tuple[str, str, str, str, str]:
    damage = f", {printable(hit.damage)}" if hit.damage else ""
    seen = ""
    if hit.first_seconds is not None and hit.first_seconds != hit.last_seconds:
        times = (format_time(hit.first_seconds), format_time(hit.last_seconds or 0.0))
        seen = ", seen from {} to {}".format(*times)
    face = f"(face {hit.face}, #{hit.face_id}{seen}{damage})"
    return str(hit.rank), number, printable(hit.shown_name) or "-", printable(hit.place), face
