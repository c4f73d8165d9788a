"""Commands that maintain a library: forget, check, rebuild, export, stats."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED
from facehash.commands.arguments import (
    ForceOption,
    JsonOption,
    LibraryOption,
    describe_unread,
    in_words,
    print_json,
    print_some,
)
from facehash.commands.engines import settle_engines
from facehash.errors import InputError
from facehash.library.storage.folder import write_lock
from facehash.printing import counted, printable, quoted

if TYPE_CHECKING:
    from facehash.library.storage.records import UnreadFile


def forget(
    library: LibraryOption,
    person: str | None = typer.Option(None, help="Forget all faces of this person."),
    photo: Path | None = typer.Option(None, help="Forget a photo, or all photos in a folder."),
    face: list[int] = typer.Option(
        [], help="Forget a face, by the number after # in a search; may be repeated."
    ),
    allow_reindex: bool = typer.Option(
        False, "--allow-reindex", help="Let the next facehash index add the photos again."
    ),
) -> int:
    """Delete faces, names and pictures from a library so that no byte of them is left in it.

    The photos themselves are not changed. Earlier versions of the library may remain in backups
    and in unused blocks of the disk. Servers with an index of the library erase the faces too; exit
    code 3 names one that has not done so yet, and later commands try again.

    Example: facehash forget --person "Aunt May" --library lib
    """
    from facehash.library.people.forget import (
        PendingEraseError,
        forget_faces,
        forget_person,
        forget_photo,
    )
    from facehash.library.storage.store import Store

    if (person is not None) + (photo is not None) + bool(face) != 1:
        raise InputError("give one of --person, --photo and --face")
    try:
        with Store.open(library) as store, write_lock(library, "forget"):
            if person is not None:
                gone = forget_person(store, person, allow_reindex)
            elif photo is not None:
                gone = forget_photo(store, photo, allow_reindex)
            else:
                gone = forget_faces(store, face, allow_reindex)
    except PendingEraseError:
        # A reader on this machine delays the erasure here, not on the servers.
        settle_engines(library)
        raise
    print(f"forgotten: {counted(gone.faces, 'face')}, {counted(gone.photos, 'photo')}")
    if gone.left:
        print(
            f"the record of {counted(gone.left, 'photo')} remains, for its other faces "
            "(facehash forget --photo deletes it)"
            if gone.left == 1
            else f"the records of {counted(gone.left, 'photo')} remain, for their other faces "
            "(facehash forget --photo deletes them)"
        )
    return settle_engines(library)


def check(library: LibraryOption, as_json: JsonOption = False) -> int:
    """Look for damage and print what repairs it. Exit code 0 if there is none, else 3.

    Example: facehash check --library lib
    """
    from facehash.library.upkeep import check as checking

    problems = checking.check(library)
    if as_json:
        found = [{"what": one.what, "fix": one.fix} for one in problems]
        print_json({"library": str(library), "problems": found})
        return PARTLY_FAILED if problems else DONE
    for problem in problems:
        print(f"{printable(problem.what)}: {checking.FIXES[problem.fix]}")
    if problems:
        print(counted(len(problems), "problem"))
        return PARTLY_FAILED
    print("no problems")
    return DONE


def rebuild(library: LibraryOption) -> int:
    """Rebuild index files and codes from the database, and overwrite its unused space.

    Example: facehash rebuild --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import check as checking

    if not library.is_dir():
        Store.open(library).close()  # raises an error that names what is missing
    with write_lock(library, "rebuild"):
        checking.rebuild(library)
    print("rebuilt")
    return settle_engines(library)


def export(
    library: LibraryOption,
    file: Path | None = typer.Argument(
        None,
        help="File to write, ending in .csv, .json, .h5 or .hdf5; - writes CSV to standard output.",
    ),
    xmp: Path | None = typer.Option(
        None,
        metavar="DIR|beside",
        help="Write the names as XMP sidecars for digiKam, Lightroom and others instead: into DIR, "
        "or beside the photos. Sidecars of other programs stay as they are.",
    ),
    force: ForceOption = False,
) -> int:
    """Write all faces to a file; JSON and HDF5 include vectors and codes. Or write sidecars.

    Photos are never changed.

    Example: facehash export faces.h5 --library lib

    Example: facehash export --xmp sidecars --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import export as exporting
    from facehash.library.upkeep.outputs import check_library_output
    from facehash.output import writes_to_stdout

    if xmp is not None and (file is not None or force):
        raise InputError(f"--xmp {xmp}: give neither another file nor --force with it")
    if xmp is not None:
        return _export_sidecars(library, xmp)
    if file is None:
        raise InputError("give a file to write, or --xmp DIR")
    with Store.open(library) as store:
        check_library_output(store, file, exporting.FORMATS, "export", force=force)
        written = exporting.export(store, file)
    where = sys.stderr if writes_to_stdout(file) else sys.stdout
    print(f"{counted(written, 'face')} in {printable(file)}", file=where)
    return DONE


def _export_sidecars(library: Path, where: Path) -> int:
    from facehash.library.storage.store import Store
    from facehash.library.upkeep.sidecars import export_sidecars

    beside = str(where) == "beside"
    with Store.open(library) as store:
        done = export_sidecars(store, None if beside else where)
    place = "beside the photos" if beside else f"in {printable(where)}"
    print(f"{counted(done.written, 'sidecar')} with {counted(done.faces, 'name')} written {place}")
    for number, what in (
        (done.unchanged, "unchanged"),
        (done.removed, "removed, as the photo has no names any more"),
    ):
        if number:
            print(f"{counted(number, 'sidecar')} {what}")
    if done.folder is not None and done.written:
        print(
            f"{printable(where)} mirrors {printable(done.folder)}; to read it: facehash index "
            f"{quoted(done.folder)} --library LIBRARY --names {quoted(f'xmp:{where}')}"
        )
    lines = [f"no sidecar: {describe_unread(one)}" for one in done.problems]
    print_some(lines, "photos", 20)
    if not done.written + done.unchanged + done.removed + len(lines):
        print("no photo of the library has names", file=sys.stderr)
        return NOTHING_FOUND
    return PARTLY_FAILED if lines else DONE


def stats(
    library: LibraryOption,
    without_faces: bool = typer.Option(
        False, "--without-faces", help="List the files without a searchable face, and the reason."
    ),
    damaged: bool = typer.Option(
        False, "--damaged", help="List the photos that lack their end, and what is missing."
    ),
    as_json: JsonOption = False,
) -> int:
    """Print how many photos, faces and people a library has, and its settings.

    Example: facehash stats --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep.stats import count, list_damaged, list_without_faces

    with Store.open(library) as store:
        if without_faces or damaged:
            listed = {
                key: list(files(store))
                for key, files, wanted in (
                    ("without_faces", list_without_faces, without_faces),
                    ("damaged", list_damaged, damaged),
                )
                if wanted
            }
            _print_files(library, listed, as_json)
            return DONE
        found = count(store)
    if as_json:
        print_json({"library": str(library), **dataclasses.asdict(found)})
        return DONE
    settings = found.settings
    print(f"photos      {found.photos:,} in {counted(found.files, 'file')}")
    print(f"faces       {found.faces:,}; {counted(found.without_faces, 'photo')} without any")
    print(f"people      {found.people:,}, with {counted(found.named, 'face')}")
    if found.parked:
        print(f"parked      {counted(found.parked, 'name')} until the photo is back")
    if found.damaged:
        print(f"damaged     {counted(found.damaged, 'photo')}, read as far as possible (--damaged)")
    for reason, number in found.unreadable.items():
        print(f"not read    {number:,}, {printable(in_words(reason))}")
    if found.excluded:
        print(f"forgotten   {counted(found.excluded, 'photo')} that index skips")
    embedder = printable(settings.embedder_identity)
    print(f"detector    {printable(settings.detector_identity)}")
    print(f"embedder    {embedder}, {settings.metric} {settings.dimension}")
    print(f"codes       {printable(settings.codes or 'none made of vectors')}")
    for pattern in (settings.exclude or "").splitlines():
        print(f"excluded    {printable(pattern)}")
    if settings.include_skipped:
        print("included    hidden files, folders of previews and deleted files")
    for engine in found.engines:
        print(f"engine      {engine.name}: {printable(engine.url)}, by {engine.by}")
    print(f"on disk     {found.bytes / 1e6:,.1f} MB")
    return DONE


def _print_files(library: Path, listed: Mapping[str, Sequence[UnreadFile]], as_json: bool) -> None:
    """Print lists of files, as lines or as JSON."""
    if not as_json:
        for files in listed.values():
            for file in files:
                print(describe_unread(file))
        return
    plain = {
        key: [{"path": str(one.path), "reason": one.reason, "why": one.why} for one in files]
        for key, files in listed.items()
    }
    print_json({"library": str(library), **plain})
