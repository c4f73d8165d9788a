"""``facehash search`` and ``facehash verify``: find a face in a library, and compare two faces."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED, WRONG_USE
from facehash.commands.arguments import (
    ForceOption,
    JsonOption,
    LibraryOption,
    SmallFacesOption,
    WeightsOption,
    by_column,
    print_json,
    switch,
)
from facehash.errors import InputError
from facehash.printing import printable

if TYPE_CHECKING:
    from facehash.library.query.library import Library
    from facehash.library.query.results import QueryResult
    from facehash.vectors import CodeDistance

Failure = tuple[Path, Exception]


def search(
    library: LibraryOption,
    queries: list[Path] = typer.Argument(metavar="QUERY...", help="Photos of the face to find."),
    k: int = typer.Option(10, "-k", help="Number of faces to find per query face."),
    face: int | None = typer.Option(
        None, help="Search for this face of each photo only, 1 is the largest. Default: all faces."
    ),
    as_one: bool = typer.Option(
        False, "--as-one", help="Search for several photos of one person as one query."
    ),
    max_distance: float | None = typer.Option(None, help="Omit faces that are farther."),
    by: str | None = typer.Option(
        None, help="Compare embedding or code. Default: codes if the library has them."
    ),
    distance: str | None = typer.Option(
        None,
        help="Compare codes by asymmetric distance (float projections of the query with stored "
        "codes) or by hamming. Default: asymmetric, except for models and libraries of 0.1.0.",
    ),
    engine: str | None = typer.Option(
        None,
        help="Ask this server of the library for candidates (see facehash engine); if it fails, "
        "the local index is searched.",
    ),
    small_faces: SmallFacesOption = None,
    score: bool = typer.Option(
        False, "--score", help="Show 1 / (1 + distance) instead of the distance."
    ),
    collapse_copies: bool = typer.Option(
        False,
        "--collapse-copies",
        help="Show the copies of a photo in other sizes as one hit; compares the photo files.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    csv: Path | None = typer.Option(
        None, help="Write the results to this CSV file; - is standard output."
    ),
    html: Path | None = typer.Option(
        None, help="Write a page with all pictures to this HTML file; it needs no other file."
    ),
    strip: Path | None = typer.Option(
        None, help="Draw each query and the photos found in a row, to this PNG file."
    ),
    force: ForceOption = False,
    weights_dir: WeightsOption = None,
) -> int:
    """Find the faces of a library that are nearest to those of a photo.

    Example: facehash search aunt.jpg --library lib -k 5 --html found.html
    """
    from facehash.library.query.library import open_library
    from facehash.library.views.text import as_lines, write_table
    from facehash.output import writes_to_stdout
    from facehash.pipeline import NoFaceError, pipelines

    on_stdout = [as_json, *(writes_to_stdout(path) for path in (csv, html, strip))]
    if sum(on_stdout) > 1:
        raise InputError("give one of --json, --csv, --html and --strip with standard output")
    make = pipelines(weights_dir)
    column, compared = by_column(by), _code_distance(distance)
    with open_library(
        library,
        by=column,
        distance=compared,
        engine=engine,
        small_faces=switch("--small-faces", small_faces),
        make_pipeline=make,
    ) as opened:
        _check_outputs(opened, csv, html, strip, force)  # before the search, which may take long
        results, failures = _search(
            opened, queries, k, face, max_distance, collapse_copies, as_one=as_one
        )
        if as_json:
            print(json.dumps(_plain(opened, results, failures), indent=1, allow_nan=False))
        elif not any(on_stdout):
            lines = [line for result in results for line in as_lines(result, score=score)]
            print("\n".join(lines), end="\n" if lines else "")
        if csv:
            write_table(csv, results)
        if html:
            from facehash.library.views.html import write_page

            write_page(html, opened, results, score=score)
        if strip and results:
            from facehash.library.views.strip import write_strip

            write_strip(strip, opened, results, score=score)
    for path, failure in failures:
        message = str(failure) if str(path) in str(failure) else f"{path}: {failure}"
        print(f"facehash: {printable(message)}", file=sys.stderr)
    unreadable = any(not isinstance(failure, NoFaceError) for _, failure in failures)
    if failures and (len(failures) < len(queries) or unreadable):
        return PARTLY_FAILED
    return DONE if any(result.hits for result in results) else NOTHING_FOUND


def _check_outputs(
    library: Library, csv: Path | None, html: Path | None, strip: Path | None, force: bool
) -> None:
    """Refuse outputs that would destroy something."""
    from facehash.library.upkeep.outputs import check_library_output
    from facehash.library.views.text import TABLE
    from facehash.output import HTML, PNG

    outputs = ((csv, TABLE, "--csv"), (html, HTML, "--html"), (strip, PNG, "--strip"))
    for path, kind, option in outputs:
        if path:
            check_library_output(library.store, path, kind, option, force=force)


def _search(
    library: Library,
    queries: list[Path],
    k: int,
    face: int | None,
    max_distance: float | None,
    collapse_copies: bool,
    *,
    as_one: bool,
) -> tuple[list[QueryResult], list[Failure]]:
    """Search for every photo; one that cannot be read does not prevent the results of others."""
    from facehash.images.read import UnreadableImageError
    from facehash.pipeline import NoFaceError

    if as_one:
        from facehash.library.query.references import search_as_one

        options = {"face": face, "max_distance": max_distance, "collapse_copies": collapse_copies}
        try:
            return [search_as_one(library, queries, k, **options)], []  # type: ignore[arg-type]
        except NoFaceError as error:
            return [], [(queries[0], error)]

    results: list[QueryResult] = []
    failures: list[Failure] = []
    for query in queries:
        try:
            results += library.search(
                query, k, face=face, max_distance=max_distance, collapse_copies=collapse_copies
            )
        except (NoFaceError, UnreadableImageError) as error:
            if len(queries) == 1 and not isinstance(error, NoFaceError):
                raise
            failures.append((query, error))
    return results, failures


def _plain(
    library: Library, results: list[QueryResult], failures: list[Failure]
) -> dict[str, object]:
    from facehash.library.views.text import as_plain

    plain = [as_plain(result) for result in results]
    return {
        "schema": 1,
        "library": str(library.store.directory),
        "faces": len(library),
        "threshold": library.threshold,
        "results": plain,
        "answers": plain,  # the name until 0.3.0
        "failed": [{"query": str(path), "why": str(why)} for path, why in failures],
    }


def _code_distance(distance: str | None) -> CodeDistance | None:
    if distance == "asymmetric":
        return "asymmetric"
    if distance == "hamming":
        return "hamming"
    if distance is None:
        return None
    raise InputError(f"--distance {distance}: must be asymmetric or hamming")


def verify(
    first: Path = typer.Argument(metavar="A", help="A photo."),
    second: Path = typer.Argument(metavar="B", help="Another photo."),
    detector: str = typer.Option("yunet", help="How faces are found."),
    embedder: str = typer.Option("sface", help="How faces are embedded."),
    face: str | None = typer.Option(
        None,
        metavar="N/M",
        help="Compare face N of A with face M of B; 1 is the largest. Default: 1/1.",
    ),
    threshold: float | None = typer.Option(
        None,
        help="Distance beyond which two faces are of different people. Default: the embedder's "
        "measured threshold.",
    ),
    as_json: JsonOption = False,
    weights_dir: WeightsOption = None,
) -> int:
    """Compare a face of one photo with a face of another, by default the largest ones.

    Exit code 0: the same person. Exit code 1: two people. Exit code 2: no verdict, because the
    threshold of the embedder is unknown, or because a face is too small or too blurred for it. With
    --threshold there is always a verdict.

    Example: facehash verify aunt.jpg wedding.jpg
    """
    from facehash.library.query import verify as verifying
    from facehash.pipeline import NoFaceError, default_pipeline

    pipeline = default_pipeline(detector, embedder, weights_dir)
    chosen = None if face is None else verifying.parse_faces(face)
    try:
        verdict = verifying.verify(first, second, pipeline, threshold, chosen or (1, 1))
    except NoFaceError as error:
        print(f"facehash: {printable(error)}", file=sys.stderr)
        return NOTHING_FOUND
    for path, faces in zip((first, second), verdict.faces, strict=True):
        if faces > 1 and chosen is None:
            message = (
                f"{printable(path)}: has {faces} faces, the largest is compared; --face N/M "
                "chooses others"
            )
            print(f"facehash: {message}", file=sys.stderr)
    if as_json:
        value = {"photos": [str(first), str(second)], "same": verdict.same}
        print_json({**value, **dataclasses.asdict(verdict)})
        return {True: DONE, False: NOTHING_FOUND, None: WRONG_USE}[verdict.same]
    answers = {True: "the same person", False: "two people", None: "no threshold known"}
    digits = 0 if verdict.metric == "hamming" else 3
    distance = f"{verdict.metric} distance {verdict.distance:.{digits}f}"
    if verdict.no_verdict:
        print(f"no verdict: {printable(verdict.no_verdict)}; {distance}")
        return WRONG_USE
    print(f"{answers[verdict.same]}: {distance}", end="")
    if verdict.threshold is None:
        print(f" (set --threshold, or measure one for {embedder})")
        return WRONG_USE
    print(f", threshold {verdict.threshold:.{digits}f} ({verdict.source})")
    return DONE if verdict.same else NOTHING_FOUND
