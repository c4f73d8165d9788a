"""``facehash index``: make a library of a folder of photos, or update it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED, WRONG_USE
from facehash.commands.arguments import (
    LibraryOption,
    SmallFacesOption,
    WeightsOption,
    describe_unread,
    in_words,
    print_some,
    switch,
)
from facehash.commands.engines import push_after_index
from facehash.errors import InputError
from facehash.printing import counted, printable, quoted

if TYPE_CHECKING:
    from facehash.library.ingest.machines import Machines
    from facehash.library.ingest.report import IndexReport
    from facehash.library.people.names import NamedFaces
    from facehash.library.people.sources.programs import Missed

PROGRAMS = ("xmp", "picasa", "takeout")
_UNREAD_SHOWN = 20


def index(
    library: LibraryOption,
    folder: Path = typer.Argument(help="Folder of photos, at any depth."),
    names: str = typer.Option(
        "none",
        help="Names of the faces: folders (those in FOLDER are named after people), folders:2 "
        "(those one level below) or folders:parent, csv:FILE (path,name), xmp (regions of digiKam, "
        "Lightroom and others, in photos and sidecars) or xmp:FOLDER (of sidecars), picasa or "
        "picasa:contacts.xml, takeout (Google Photos), none.",
    ),
    replace_names: bool = typer.Option(
        False,
        "--replace-names",
        help="Let csv:FILE, xmp, picasa or takeout replace names of earlier lists and programs.",
    ),
    detector: str | None = typer.Option(
        None, help="How faces are found. Default: the library's detector (yunet for a new library)."
    ),
    embedder: str | None = typer.Option(
        None,
        help="How faces are embedded. Default: the library's embedder (sface for a new library).",
    ),
    small_faces: SmallFacesOption = None,
    codes: str | None = typer.Option(
        None,
        help="Make binary codes of the vectors: lsh:BITS or itq:BITS; learned:BITS or adapted:BITS "
        "with 32, 64 or 128 bits (embedder sface only).",
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the codes."),
    workers: int | None = typer.Option(
        None,
        min=1,
        help="Processes that read photos. Default: one per processor. With --on, how many chunks "
        "of 16 photos the cluster has at a time. Default: four per thread.",
    ),
    retry: bool = typer.Option(False, "--retry", help="Retry photos that could not be read."),
    include_forgotten: bool = typer.Option(
        False, "--include-forgotten", help="Index forgotten photos again."
    ),
    allow_missing: bool = typer.Option(
        False,
        "--allow-missing",
        help="Remove photos also where a whole folder of them is gone, as if a drive were missing.",
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
    videos: bool | None = typer.Option(
        None,
        "--videos/--no-videos",
        help="Also find faces in videos. Stored in the library; off for a new one.",
    ),
    frames_per_second: float | None = typer.Option(
        None, help="Frames per second of new videos that are searched. Stored too. Default: 1."
    ),
    on: str | None = typer.Option(
        None,
        metavar="URL",
        help="Read the photos on the machines of a Dask cluster: tcp://HOST:PORT, or tls:// with "
        "certificates. They need the photos at the same path.",
    ),
    tls_ca: Path | None = typer.Option(
        None, help="For tls://: certificate of the authority. Default: as Dask is configured."
    ),
    tls_cert: Path | None = typer.Option(
        None, help="For tls://: certificate of this machine. Default: as Dask is configured."
    ),
    tls_key: Path | None = typer.Option(
        None, help="For tls://: its key. Default: as Dask is configured, or in the same file."
    ),
    insecure: bool = typer.Option(
        False,
        "--insecure",
        help="Allow --on tcp:// to other machines: not encrypted, and open to all who reach them.",
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

    if on is not None and weights_dir is not None:
        weights_dir = weights_dir.absolute()  # the workers have working folders of their own
    with _machines(on, insecure, tls_ca, tls_cert, tls_key) as machines:
        report = index_folder(
            folder,
            library,
            detector=detector,
            embedder=embedder,
            small_faces=switch("--small-faces", small_faces),
            names=names,
            replace_names=replace_names,
            codes=codes,
            seed=seed,
            workers=workers,
            retry=retry,
            include_forgotten=include_forgotten,
            allow_missing=allow_missing,
            exclude=exclude or None,
            include_skipped=include_skipped,
            videos=videos,
            frames_per_second=frames_per_second,
            machines=machines,
            make_pipeline=pipelines(weights_dir),
        )
    _print_report(report, library, names)
    push_after_index(library)
    if report.names.unmatched and not report.names.matched:
        print("facehash: no line of the list names a face of the library", file=sys.stderr)
        return WRONG_USE
    if report.failed or report.closed or report.missing_folders or report.names.problems:
        return PARTLY_FAILED
    return DONE if report.files else NOTHING_FOUND


def _machines(
    on: str | None, insecure: bool, *files: Path | None
) -> contextlib.AbstractContextManager[Machines | None]:
    """Return the connection to a cluster, or nothing if photos are read on this machine.

    Args:
        on: The address of the cluster.
        insecure: Allow a connection without encryption.
        files: The authority, the certificate and its key.
    """
    if on is None:
        for option, given in zip(
            ("--insecure", "--tls-ca", "--tls-cert", "--tls-key"), (insecure, *files), strict=True
        ):
            if given:
                raise InputError(f"{option}: is of use with --on only")
        return contextlib.nullcontext()
    from facehash.library.ingest.cluster import Certificates, connect

    certificates = Certificates(*files) if any(files) else None
    return connect(on, certificates=certificates, insecure=insecure)


def _print_report(report: IndexReport, library: Path, names: str) -> None:
    """Print what was done, and on stderr what went wrong."""
    speed = f", {report.photos / report.seconds:.1f} photos/s" if report.photos else ""
    new = counted(report.photos - report.videos, "new photo")
    if report.videos:
        new += f" and {counted(report.videos, 'new video')}"
    print(f"{new} with {counted(report.faces, 'face')} in {report.seconds:.1f} s{speed}")
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
    _print_names(report)
    if names.partition(":")[0] in PROGRAMS:
        _print_program_names(report.names, names, library)
    if report.passed_over:
        print(f"passed over: {report.passed_over}", file=sys.stderr)
    if not report.files:
        print("no photos in this folder", file=sys.stderr)
    for text, paths, what in (
        ("in the list of names, but no such face: {}", report.names.unmatched, "of the list"),
        (
            "no name, because it is in the folders of two people: {}"
            if names.startswith("folders")
            else "no name, because its copies have different ones: {}",
            report.names.contradicted,
            "of this kind",
        ),
        ("symbolic link, not followed: {}", report.links, "links"),
        ("not read: the folder {} cannot be listed", report.closed, "folders"),
    ):
        print_some([text.format(printable(path)) for path in paths], what)
    print_some(
        [
            f"kept: {counted(one.files, 'file')} of {printable(one.path)}, where none is left; "
            "is a drive missing? (--allow-missing removes them)"
            for one in report.missing_folders
        ],
        "folders",
    )
    print_some(
        [f"read in part: {describe_unread(file)}" for file in report.damaged], "damaged files"
    )
    print_some(
        [f"not read: {describe_unread(file)}" for file in report.unread], "files", _UNREAD_SHOWN
    )
    if report.unread:
        kinds = (f"{number:,} {in_words(reason)}" for reason, number in report.failed.items())
        print(
            f"not read: {counted(len(report.unread), 'file')} ({', '.join(sorted(kinds))}); "
            f"facehash stats --without-faces --library {quoted(library)} lists them",
            file=sys.stderr,
        )


def _print_names(report: IndexReport) -> None:
    """Print what became of names that a person gave, and what the source of names did."""
    kept, new = report.kept_names, report.names
    if kept.kept or kept.returned or kept.carried or kept.waiting:
        parts = [f"{kept.kept:,} kept"]
        for number, what in (
            (kept.carried, "carried over to changed photos"),
            (kept.returned, "given back"),
            (len(kept.parked), "parked until the photo is back"),
            (kept.waiting - len(kept.parked), "parked earlier"),
        ):
            if number:
                parts.append(f"{number:,} {what}")
        print(f"names given: {', '.join(parts)}")
        print_some(
            [
                f"parked: {printable(one.name)}, the photo {printable(one.path)} "
                f"{'has changed' if one.reason == 'changed' else 'is gone'}"
                for one in kept.parked
            ],
            "names (facehash people list --parked)",
        )
    for number, what in (
        (new.named, "named"),
        (new.renamed, "renamed"),
        (new.unnamed, "without a name now"),
        (new.kept, "not named anew, because of a name or a correction given before "
                   "(--replace-names replaces the names of earlier lists and programs)"),
    ):  # fmt: skip
        if number:
            print(f"{counted(number, 'face')} {what}")


def _print_program_names(found: NamedFaces, names: str, library: Path) -> None:
    """Print how many names a program has, and what could not be done with some of them.

    Args:
        found: What became of the names.
        names: The value of ``--names``.
        library: The library, for the commands that are printed.
    """
    if not found.photos and not found.problems:
        print(f"no names of people found by --names {printable(names)}", file=sys.stderr)
        return
    parts = [f"names in {counted(found.photos, 'photo')}", counted(found.regions, "region")]
    if found.missed:
        parts.append(f"{counted(len(found.missed), 'region')} without a face of the library")
    if found.unplaced:
        parts.append(f"{counted(len(found.unplaced), 'photo')} with names whose face is not clear")
    print(", ".join(parts))
    print_some(
        [
            f"{printable(one.path)}: face {one.number} stays "
            f"{printable(one.name) if one.name else 'without a name'}, "
            f"{'given by hand' if one.by_hand else 'of an earlier list or program'}; "
            f"not {printable(one.given)}"
            for one in found.conflicts
        ],
        "faces",
    )
    print_some(
        [
            f"no face found for {printable(one.name)} in {_remedy(one, library)}"
            for one in found.missed
        ],
        "regions",
        _UNREAD_SHOWN,
    )
    print_some(
        [
            f"{printable(one.path)}: {printable(', '.join(one.names))} "
            f"{'is' if len(one.names) == 1 else 'are'} in it, but not said where "
            f"({counted(one.faces, 'face')})"
            for one in found.unplaced
        ],
        "photos",
    )
    print_some([f"names not read: {describe_unread(one)}" for one in found.problems], "files", 20)


def _remedy(missed: Missed, library: Path) -> str:
    """Return where a region without a face is, with the command that adds the face."""
    x, y, width, height = (round(side) for side in missed.box)
    if not (width and height):
        return f"{printable(missed.path)} at {x},{y}"
    return (
        f"{printable(missed.path)}; to add it: facehash people add-face {quoted(missed.path)} "
        f"--box {x},{y},{width},{height} --name {quoted(missed.name)} --library {quoted(library)}"
    )
