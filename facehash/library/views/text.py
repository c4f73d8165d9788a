"""The answers of a search as plain values: for JSON, for CSV, and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from facehash.images.face import Box
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.folder import private_atomic_write
from facehash.library.upkeep.export import write_csv
from facehash.printing import printable

COLUMNS = (
    "query", "query_face", "rank", "distance", "score", "name", "known", "path", "face",
    "x", "y", "width", "height", "face_id",
)  # fmt: skip


def as_plain(answer: QueryResult) -> dict[str, Any]:
    """Return an answer as values that JSON has."""
    return {
        "query": None if answer.query is None else str(answer.query),
        "face": answer.face,
        "metric": answer.metric,
        "box": None if answer.box is None else list(answer.box),
        "hits": [
            {
                "rank": hit.rank,
                "distance": hit.distance,
                "score": hit.score,
                "name": hit.name,
                "known": hit.within_threshold,
                "path": str(hit.path),
                "face": hit.face,
                "box": list(hit.box),
                "face_id": hit.face_id,
            }
            for hit in answer.hits
        ],
    }


def write_table(path: Path, answers: Iterable[QueryResult]) -> None:
    """Write a line a hit to a CSV file that only its owner can read.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    with (
        private_atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        write_csv(
            file,
            COLUMNS,
            (
                (str(answer.query), answer.face, hit.rank, hit.distance, hit.score, hit.name,
                 hit.within_threshold, str(hit.path), hit.face, *hit.box, hit.face_id)
                for answer in answers
                for hit in answer.hits
            ),
        )  # fmt: skip


def as_lines(answer: QueryResult, *, score: bool = False) -> Iterator[str]:
    """Yield an answer as lines for a terminal.

    Args:
        answer: What was found for a face.
        score: Show 1 / (1 + distance) instead of the distance.
    """
    yield f"{printable(answer.query)}, face {answer.face}{_place(answer.box)}"
    if not answer.hits:
        yield "  nothing near enough"
        return
    rows = [_cells(hit, answer.format_distance(hit, score)) for hit in answer.hits]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for rank, number, name, path, face in rows:
        yield (f"  {rank:>{widths[0]}}  {number:>{widths[1]}}  {name:<{widths[2]}}  {path}  {face}")


def _cells(hit: Hit, number: str) -> Sequence[str]:
    place = f"(face {hit.face}, #{hit.face_id})"
    return str(hit.rank), number, printable(hit.shown_name) or "-", printable(hit.path), place


def _place(box: Box | None) -> str:
    if box is None:
        return ""
    x, y, width, height = (round(value) for value in box)
    return f" at {x},{y} ({width} x {height})"
