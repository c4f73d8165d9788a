"""Commands that look after a library: forget, check, rebuild, export, stats."""

from __future__ import annotations

import logging
from pathlib import Path

import typer

from facehash.command_line import DONE, PARTLY_FAILED
from facehash.commands.arguments import LibraryOption, counted, in_words, named
from facehash.errors import InputError
from facehash.library.storage.folder import write_lock
from facehash.printing import printable

log = logging.getLogger(__name__)


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in (forget, check, rebuild, export, stats):
        app.command(command.__name__)(command)


def forget(
    library: LibraryOption,
    person: str | None = typer.Option(None, help="Everything about somebody of this name."),
    photo: Path | None = typer.Option(None, help="A photo, or all photos in a folder."),
    face: list[int] = typer.Option([], help="A face, by the number after # in a search."),
    allow_reindex: bool = typer.Option(
        False,
        "--allow-reindex",
        help="Let the next index of the folder add the photos again.",
    ),
    again: bool = typer.Option(False, "--again", hidden=True),
) -> int:
    """Delete faces, names and pictures from a library so that no byte of them is left in it.

    The photos themselves are not touched. What the disk or a backup keeps of earlier versions of
    the library is out of reach.

    Example: facehash forget --person "Aunt May" --library lib
    """
    from facehash.library.people.forget import forget_faces, forget_person, forget_photo
    from facehash.library.storage.store import Store

    if (person is not None) + (photo is not None) + bool(face) != 1:
        raise InputError("give one of --person, --photo and --face")
    if again:
        log.warning("--again is deprecated and will be removed in 0.3.0; use --allow-reindex")
        allow_reindex = True
    with Store.open(library) as store, write_lock(library, "forget"):
        if person is not None:
            gone = forget_person(store, person, allow_reindex)
        elif photo is not None:
            gone = forget_photo(store, photo, allow_reindex)
        else:
            gone = forget_faces(store, face, allow_reindex)
    print(f"forgotten: {counted(gone.faces, 'face')}, {counted(gone.photos, 'photo')}")
    if gone.left:
        print(
            f"{counted(gone.left, 'photo')} and where it lies remain, for other faces on it "
            "(facehash forget --photo deletes it)"
            if gone.left == 1
            else f"{counted(gone.left, 'photo')} and where they lie remain, for other faces on "
            "them (facehash forget --photo deletes them)"
        )
    return DONE


def check(library: LibraryOption) -> int:
    """Look for damage, and say what cures it: exit 0 without any, 3 with some.

    Example: facehash check --library lib
    """
    from facehash.library.upkeep import check as checking

    problems = checking.check(library)
    for problem in problems:
        print(f"{printable(problem.what)}: {checking.FIXES[problem.fix]}")
    if problems:
        print(counted(len(problems), "problem"))
        return PARTLY_FAILED
    print("all is well")
    return DONE


def rebuild(library: LibraryOption) -> int:
    """Make index files and codes again from what the database holds, and wipe its gaps.

    Example: facehash rebuild --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import check as checking

    if not library.is_dir():
        Store.open(library).close()  # says what is missing
    with write_lock(library, "rebuild"):
        checking.rebuild(library)
    print("rebuilt")
    return DONE


def export(
    library: LibraryOption,
    file: Path = typer.Argument(help="Where to: a file ending in .csv, .json, .h5 or .hdf5."),
) -> int:
    """Write all faces to a file, with vectors and codes unless it is a CSV.

    Example: facehash export faces.h5 --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import export as exporting

    with Store.open(library) as store:
        written = exporting.export(store, file)
    print(f"{counted(written, 'face')} in {printable(file)}")
    return DONE


def stats(
    library: LibraryOption,
    without_faces: bool = typer.Option(
        False, "--without-faces", help="List the files that no search can find, and why."
    ),
) -> int:
    """Print what a library holds, in numbers.

    Example: facehash stats --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep.stats import count, list_without_faces

    with Store.open(library) as store:
        if without_faces:
            for file in list_without_faces(store):
                print(named(file))
            return DONE
        found = count(store)
    settings = found.settings
    print(f"photos      {found.photos:,} in {counted(found.files, 'file')}")
    print(f"faces       {found.faces:,}; {counted(found.without_faces, 'photo')} without any")
    print(f"people      {found.people:,}, with {counted(found.named, 'face')}")
    for reason, number in found.unreadable.items():
        print(f"not read    {number:,}, {printable(in_words(reason))}")
    if found.excluded:
        print(f"forgotten   {counted(found.excluded, 'photo')} that do not come back")
    embedder = printable(settings.embedder_identity)
    print(f"detector    {printable(settings.detector_identity)}")
    print(f"embedder    {embedder}, {settings.metric} {settings.dimension}")
    print(f"codes       {printable(settings.codes or 'none made of vectors')}")
    print(f"on disk     {found.bytes / 1e6:,.1f} MB")
    return DONE
