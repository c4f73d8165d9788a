"""``facehash index``: make a library of a folder of photos, or update it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED
from facehash.commands.arguments import (
    LibraryOption,
    WeightsOption,
    counted,
    describe_unread,
    in_words,
)
from facehash.printing import printable, quoted

if TYPE_CHECKING:
    from facehash.library.ingest.report import IndexReport

_UNREAD_SHOWN = 20


def index(
    library: LibraryOption,
    folder: Path = typer.Argument(help="Folder of photos, at any depth."),
    names: str = typer.Option(
        "none",
        help="Names of the faces: folders (each named after a person), csv:FILE (path,name), none.",
    ),
    detector: str | None = typer.Option(
        None, help="How faces are found. Default: the library's detector (yunet for a new library)."
    ),
    embedder: str | None = typer.Option(
        None,
        help="How faces are embedded. Default: the library's embedder (sface for a new library).",
    ),
    codes: str | None = typer.Option(
        None,
        help="Make binary codes of the vectors: lsh:BITS or itq:BITS; learned:BITS or adapted:BITS "
        "with 32, 64 or 128 bits (embedder sface only).",
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the codes."),
    workers: int | None = typer.Option(
        None, min=1, help="Processes that read photos. Default: one per processor."
    ),
    retry: bool = typer.Option(False, "--retry", help="Retry photos that could not be read."),
    include_forgotten: bool = typer.Option(
        False, "--include-forgotten", help="Index forgotten photos again."
    ),
    exclude: list[str] | None = typer.Option(
        None,
        metavar="PATTERN",
        help="Do not read files and folders of this name or path, such as '*_edited.*' or "
        "2019/work; may be repeated. Stored in the library; --exclude '' removes all patterns.",
    ),
    include_skipped: bool | None = typer.Option(
        None,
        "--include-skipped/--no-include-skipped",
        help="Also read hidden files and folders of previews and deleted files, such as @eaDir. "
        "Stored in the library.",
    ),
    weights_dir: WeightsOption = None,
) -> int:
    """Find the faces in a folder of photos and store them in a library.

    Run it again after the folder has changed, or after an interruption: known photos are skipped.

    Example: facehash index DIR --library lib --names folders
    """
    # Imported here, so that the help of other commands does not wait for it.
    from facehash.library.ingest.update import index_folder
    from facehash.pipeline import pipelines

    report = index_folder(
        folder,
        library,
        detector=detector,
        embedder=embedder,
        names=names,
        codes=codes,
        seed=seed,
        workers=workers,
        retry=retry,
        include_forgotten=include_forgotten,
        exclude=exclude or None,
        include_skipped=include_skipped,
        make_pipeline=pipelines(weights_dir),
    )
    _print_report(report, library)
    if report.failed or report.closed:
        return PARTLY_FAILED
    return DONE if report.files else NOTHING_FOUND


def _print_report(report: IndexReport, library: Path) -> None:
    """Print what was done, and on stderr what went wrong."""
    speed = f", {report.photos / report.seconds:.1f} photos/s" if report.photos else ""
    print(
        f"{counted(report.photos, 'new photo')} with {counted(report.faces, 'face')} in "
        f"{report.seconds:.1f} s{speed}"
    )
    if report.without_faces:
        print(f"{counted(report.without_faces, 'new photo')} without a face")
    for number, what in (
        (report.unchanged, "unchanged"),
        (report.same_content, "moved, copied or touched"),
        (report.excluded, "excluded, because forgotten (--include-forgotten indexes them)"),
        (report.removed, "removed, because they no longer exist"),
        (report.deselected, "removed, because they are skipped or excluded"),
    ):
        if number:
            print(f"{counted(number, 'file')} {what}")
    if report.still_unread:
        print(f"{counted(report.still_unread, 'file')} could not be read before (--retry)")
    if report.codes_made:
        print(
            f"codes {report.codes_made} made: searches now compare codes (--by embedding compares "
            "vectors)"
        )
    if report.named:
        print(f"{counted(report.named, 'face')} named")
    if report.passed_over:
        print(f"passed over: {report.passed_over}", file=sys.stderr)
    if not report.files:
        print("no photos in this folder", file=sys.stderr)
    for text, paths, what in (
        ("in the list of names, but no such face: {}", report.unnamed, "of the list"),
        ("symbolic link, not followed: {}", report.links, "links"),
        ("not read: the folder {} cannot be listed", report.closed, "folders"),
    ):
        _list([text.format(printable(path)) for path in paths], what)
    _list([f"not read: {describe_unread(file)}" for file in report.unread], "files", _UNREAD_SHOWN)
    if report.unread:
        kinds = (f"{number:,} {in_words(reason)}" for reason, number in report.failed.items())
        print(
            f"not read: {counted(len(report.unread), 'file')} ({', '.join(sorted(kinds))}); "
            f"facehash stats --without-faces --library {quoted(library)} lists them",
            file=sys.stderr,
        )


def _list(lines: Sequence[str], what: str, most: int = 5) -> None:
    """Print some lines on stderr, and how many more there are."""
    for line in lines[:most]:
        print(line, file=sys.stderr)
    if len(lines) > most:
        print(f"... and {len(lines) - most:,} more {what}", file=sys.stderr)
