"""``facehash index``: a folder of photos becomes a library, or a library follows its folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED
from facehash.commands.arguments import LibraryOption, WeightsOption, counted, in_words, named
from facehash.printing import printable

if TYPE_CHECKING:
    from facehash.library.ingest.report import IndexReport

_UNREAD_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("index")(index)


def index(
    library: LibraryOption,
    folder: Path = typer.Argument(help="Photos, at any depth."),
    names: str = typer.Option(
        "none",
        help="Who is on them: folders (each named after a person), csv:FILE (path,name), none.",
    ),
    detector: str | None = typer.Option(
        None, help="How faces are found; by default the library's own, at first yunet."
    ),
    embedder: str | None = typer.Option(
        None, help="How faces are described; by default the library's own, at first sface."
    ),
    codes: str | None = typer.Option(
        None, help="Make binary codes of the vectors: lsh:BITS or itq:BITS."
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the codes."),
    workers: int | None = typer.Option(
        None, min=1, help="Processes that read photos; by default one a processor."
    ),
    retry: bool = typer.Option(False, "--retry", help="Try photos again that could not be read."),
    include_forgotten: bool = typer.Option(
        False, "--include-forgotten", help="Read photos again that were forgotten."
    ),
    weights_dir: WeightsOption = None,
) -> int:
    """Find the faces of a folder's photos and keep them in a library.

    Run it again after the folder has changed, or after it was interrupted: what is known is not
    read again.

    Example: facehash index DIR --library lib --names folders
    """
    # Here and not above: the help of any command would wait for what this one needs.
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
        make_pipeline=pipelines(weights_dir),
    )
    _tell(report, library)
    if report.failed or report.closed:
        return PARTLY_FAILED
    return DONE if report.files else NOTHING_FOUND


def _tell(report: IndexReport, library: Path) -> None:
    """Print what was done, and what went wrong on stderr."""
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
        (report.excluded, "kept out, as they were forgotten (--include-forgotten reads them)"),
        (report.removed, "removed, as they are not there any more"),
    ):
        if number:
            print(f"{counted(number, 'file')} {what}")
    if report.still_unread:
        print(f"{counted(report.still_unread, 'file')} could not be read before (--retry)")
    if report.codes_made:
        print(
            f"codes {report.codes_made} made: searches compare them from now on, and as no "
            "threshold is known, call nobody unknown (--by embedding compares vectors)"
        )
    if report.named:
        print(f"{counted(report.named, 'face')} named")
    if not report.files:
        print("no photos in this folder", file=sys.stderr)
    _list(
        [f"named in the list, but without such a face: {printable(one)}" for one in report.unnamed],
        "of the list",
    )
    _list([f"symbolic link, not followed: {printable(one)}" for one in report.links], "links")
    _list(
        [f"not read: the folder {printable(one)} cannot be listed" for one in report.closed],
        "folders",
    )
    _list([f"not read: {named(file)}" for file in report.unread], "files", _UNREAD_SHOWN)
    if report.unread:
        kinds = (f"{number:,} {in_words(reason)}" for reason, number in report.failed.items())
        print(
            f"not read: {counted(len(report.unread), 'file')} ({', '.join(sorted(kinds))}); "
            f"facehash stats --without-faces --library {printable(library)} lists them again",
            file=sys.stderr,
        )


def _list(lines: Sequence[str], what: str, most: int = 5) -> None:
    """Print some lines on stderr, and how many more there are."""
    for line in lines[:most]:
        print(line, file=sys.stderr)
    if len(lines) > most:
        print(f"... and {len(lines) - most:,} more {what}", file=sys.stderr)
