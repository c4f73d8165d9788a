"""``facehash search`` and ``facehash verify``: whose face is this, and are these two one person."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED, WRONG_USE
from facehash.commands.arguments import LibraryOption, WeightsOption
from facehash.errors import InputError
from facehash.printing import printable

if TYPE_CHECKING:
    from facehash.library.query.library import Library
    from facehash.library.query.results import QueryResult


Failure = tuple[Path, Exception]


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command("search")(search)
    app.command("verify")(verify)


def search(
    library: LibraryOption,
    queries: list[Path] = typer.Argument(metavar="QUERY...", help="Photos of who is looked for."),
    k: int = typer.Option(10, "-k", help="How many faces to find for each face."),
    face: int | None = typer.Option(
        None, help="Ask for this face of a photo only, 1 the largest; by default for every one."
    ),
    max_distance: float | None = typer.Option(None, help="Leave out what is farther."),
    by: str | None = typer.Option(
        None, help="Compare embedding or code; by default codes where there are any."
    ),
    score: bool = typer.Option(
        False, "--score", help="Show 1 / (1 + distance) instead of the distance."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    csv: Path | None = typer.Option(None, help="Write a table to this file."),
    html: Path | None = typer.Option(
        None, help="Write a page with all pictures to this file; it needs no other file."
    ),
    strip: Path | None = typer.Option(
        None, help="Draw each query and the photos found in a row, to this PNG file."
    ),
    weights_dir: WeightsOption = None,
) -> int:
    """Find the faces of a library that are nearest to those of a photo.

    Example: facehash search aunt.jpg --library lib -k 5 --html found.html
    """
    from facehash.library.query.library import open_library
    from facehash.library.views.text import as_lines, write_table
    from facehash.pipeline import pipelines

    if strip:
        from facehash.library.views.strip import check_strip

        check_strip(strip)  # before the search, which may take long
    make = pipelines(weights_dir)
    with open_library(library, by=_column(by), make_pipeline=make) as opened:
        answers, failures = _ask(opened, queries, k, face, max_distance)
        if as_json:
            print(json.dumps(_plain(opened, answers, failures), indent=1, allow_nan=False))
        else:
            lines = [line for answer in answers for line in as_lines(answer, score=score)]
            print("\n".join(lines), end="\n" if lines else "")
        if csv:
            write_table(csv, answers)
        if html:
            from facehash.library.views.html import write_page

            write_page(html, opened, answers, score=score)
        if strip and answers:
            from facehash.library.views.strip import write_strip

            write_strip(strip, opened, answers, score=score)
    for path, failure in failures:
        print(f"facehash: {printable(_named(path, failure))}", file=sys.stderr)
    found = any(answer.hits for answer in answers)
    return _exit_code(found, failures, len(queries))


def _named(path: Path, failure: Exception) -> str:
    return str(failure) if str(path) in str(failure) else f"{path}: {failure}"


def _exit_code(found: bool, failures: list[Failure], queries: int) -> int:
    """Return 3 where some photos were answered and others not, 1 where nothing was found."""
    from facehash.pipeline import NoFaceError

    unreadable = any(not isinstance(failure, NoFaceError) for _, failure in failures)
    if failures and (len(failures) < queries or unreadable):
        return PARTLY_FAILED
    return DONE if found else NOTHING_FOUND


def _ask(
    library: Library,
    queries: list[Path],
    k: int,
    face: int | None,
    max_distance: float | None,
) -> tuple[list[QueryResult], list[Failure]]:
    """Ask for every photo; one that cannot be read does not take the others' answers along."""
    from facehash.images.read import UnreadableImageError
    from facehash.pipeline import NoFaceError

    answers: list[QueryResult] = []
    failures: list[Failure] = []
    for query in queries:
        try:
            answers += library.search(query, k, face=face, max_distance=max_distance)
        except (NoFaceError, UnreadableImageError) as error:
            if len(queries) == 1 and not isinstance(error, NoFaceError):
                raise
            failures.append((query, error))
    return answers, failures


def _plain(
    library: Library, answers: list[QueryResult], failures: list[Failure]
) -> dict[str, object]:
    from facehash.library.views.text import as_plain

    return {
        "schema": 1,
        "library": str(library.store.directory),
        "faces": len(library),
        "threshold": library.threshold,
        "answers": [as_plain(answer) for answer in answers],
        "failed": [{"query": str(path), "why": str(why)} for path, why in failures],
    }


def _column(by: str | None) -> Literal["embedding", "code"] | None:
    if by in ("embedding", "embeddings"):
        return "embedding"
    if by in ("code", "codes"):
        return "code"
    if by is None:
        return None
    raise InputError(f"--by {by}: compare embedding or code")


def verify(
    first: Path = typer.Argument(metavar="A", help="A photo."),
    second: Path = typer.Argument(metavar="B", help="Another one."),
    detector: str = typer.Option("yunet", help="How faces are found."),
    embedder: str = typer.Option("sface", help="How faces are described."),
    threshold: float | None = typer.Option(
        None, help="Distance beyond which they are two people; by default the embedder's."
    ),
    weights_dir: WeightsOption = None,
) -> int:
    """Say whether the largest faces of two photos are one person's: exit 0 if so, 1 if not.

    Of an embedder without a known threshold only the distance is told: exit 2.

    Example: facehash verify aunt.jpg wedding.jpg
    """
    from facehash.library.query import verify as verifying
    from facehash.pipeline import NoFaceError, default_pipeline

    pipeline = default_pipeline(detector, embedder, weights_dir)
    try:
        verdict = verifying.verify(first, second, pipeline, threshold)
    except NoFaceError as error:
        print(f"facehash: {printable(error)}", file=sys.stderr)
        return NOTHING_FOUND
    for path, faces in zip((first, second), verdict.faces, strict=True):
        if faces > 1:
            told = f"{printable(path)}: has {faces} faces, the largest is compared"
            print(f"facehash: {told}", file=sys.stderr)
    said = {True: "the same person", False: "two people", None: "no threshold known"}
    digits = 0 if verdict.metric == "hamming" else 3
    print(f"{said[verdict.same]}: {verdict.metric} distance {verdict.distance:.{digits}f}", end="")
    if verdict.threshold is None:
        print(f" (give --threshold, or measure one for {embedder})")
        return WRONG_USE
    print(f", threshold {verdict.threshold:.{digits}f} ({verdict.source})")
    return DONE if verdict.same else NOTHING_FOUND
