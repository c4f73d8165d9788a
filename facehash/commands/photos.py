"""``facehash photos``: list, copy or link the photos of people."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, PARTLY_FAILED
from facehash.commands.arguments import ForceOption, JsonOption, LibraryOption, print_json
from facehash.errors import InputError
from facehash.printing import counted, printable

if TYPE_CHECKING:
    from facehash.library.people.photos import FoundPhoto, Order
    from facehash.library.upkeep.collect import How

COLUMNS = ("taken", "path", "people", "copies")


def photos(
    library: LibraryOption,
    person: list[str] = typer.Option(
        None, help="Who is on the photos; may be repeated, then all of them are."
    ),
    with_: list[str] = typer.Option(
        None, "--with", help="Who else is on them; the same as another --person."
    ),
    without: list[str] = typer.Option(None, help="Who is not on them; may be repeated."),
    from_: str | None = typer.Option(
        None, "--from", help="Taken on this day or later: 2019, 2019-07 or 2019-07-14."
    ),
    to: str | None = typer.Option(None, "--to", help="Taken on this day or earlier."),
    sort: str = typer.Option("date", help="Order: date (when taken) or path."),
    copy_to: Path | None = typer.Option(
        None, metavar="DIR", help="Copy the photos to this folder; nothing there is replaced."
    ),
    link_to: Path | None = typer.Option(
        None, metavar="DIR", help="Make symbolic links to the photos in this folder."
    ),
    hard_links: bool = typer.Option(
        False, "--hard-links", help="Make hard links instead of symbolic ones."
    ),
    as_json: JsonOption = False,
    csv: Path | None = typer.Option(
        None, help="Write the list to this CSV file; - is standard output."
    ),
    print0: bool = typer.Option(
        False, "--print0", "-0", help="Print one path per photo, each ended by NUL, for xargs -0."
    ),
    force: ForceOption = False,
) -> int:
    """List the photos on which people are, with all their copies; or copy or link them.

    Faces count by their names, as facehash people list shows them.

    Example: facehash photos --library lib --person Ann --with Bo --copy-to Ann-and-Bo
    """
    from facehash.images.dates import parse_day
    from facehash.library.people.photos import find_photos
    from facehash.library.storage.store import Store
    from facehash.output import csv_format, writes_to_stdout

    wanted = [*(person or []), *(with_ or [])]
    if not wanted:
        raise InputError("give at least one person who is on the photos: --person NAME")
    if copy_to and link_to:
        raise InputError("give --copy-to or --link-to, not both")
    if hard_links and not link_to:
        raise InputError("--hard-links needs --link-to DIR")
    if sum([as_json, print0, writes_to_stdout(csv)]) > 1:
        raise InputError("give one of --json, --csv with standard output, and --print0")
    start = None if from_ is None else parse_day(from_, "--from")
    end = None if to is None else parse_day(to, "--to", last=True)
    with Store.open(library) as store:
        if csv:
            from facehash.library.upkeep.outputs import check_library_output

            table = csv_format(",".join(COLUMNS))
            check_library_output(store, csv, table, "--csv", force=force)
        if copy_to or link_to:
            from facehash.library.upkeep.collect import check_collection

            check_collection(
                store, copy_to or link_to or Path(), "--copy-to" if copy_to else "--link-to"
            )
        found = find_photos(store, wanted, without or [], start=start, end=end, order=_order(sort))
    if as_json:
        print_json({"library": str(library), "photos": [_plain(photo) for photo in found]})
    elif print0:
        for photo in found:
            sys.stdout.buffer.write(os.fsencode(_readable(photo)) + b"\0")
        sys.stdout.flush()
    elif not writes_to_stdout(csv):
        _print(found)
    if csv:
        _write_csv(csv, found)
    if not found:
        return NOTHING_FOUND
    if copy_to:
        return _collect(found, copy_to, "copy")
    if link_to:
        return _collect(found, link_to, "hardlink" if hard_links else "symlink")
    return DONE


def _order(sort: str) -> Order:
    if sort == "date":
        return "date"
    if sort == "path":
        return "path"
    raise InputError(f"--sort {sort}: must be date or path")


def _readable(photo: FoundPhoto) -> Path:
    """Return the first file of a photo that exists, or just the first."""
    return next((path for path in photo.paths if path.exists()), photo.paths[0])


def _when(photo: FoundPhoto, unknown: str = "") -> str:
    return unknown if photo.taken is None else photo.taken.isoformat(" ", "seconds")


def _plain(photo: FoundPhoto) -> dict[str, object]:
    return {
        "paths": [str(path) for path in photo.paths],
        "taken": None if photo.taken is None else photo.taken.isoformat(),
        "people": list(photo.people),
    }


def _print(found: Sequence[FoundPhoto]) -> None:
    for photo in found:
        first, *copies = photo.paths
        people = ", ".join(map(printable, photo.people))
        print(f"{_when(photo, 'no date'):<19}  {printable(first)}  ({people})")
        for path in copies:
            print(f"{'':<19}  {printable(path)}  (copy)")
    print(counted(len(found), "photo"))


def _write_csv(path: Path, found: Sequence[FoundPhoto]) -> None:
    from facehash.library.upkeep.export import joined, write_csv
    from facehash.output import replace_output

    rows = (
        (_when(photo), str(photo.paths[0]), "|".join(photo.people), joined(photo.paths[1:]))
        for photo in found
    )
    with (
        replace_output(path, private=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        write_csv(file, COLUMNS, rows)


def _collect(found: Sequence[FoundPhoto], folder: Path, how: How) -> int:
    from facehash.library.upkeep.collect import collect

    done = collect(found, folder, how)
    verb = "copied" if how == "copy" else "linked"
    parts = [f"{counted(len(done.written), 'photo')} {verb} to {printable(folder)}"]
    if done.there:
        parts.append(f"{done.there:,} there already")
    print("; ".join(parts), file=sys.stderr)
    for path in done.missing:
        print(
            f"facehash: {printable(path)}: gone, or not as it was indexed; not {verb}",
            file=sys.stderr,
        )
    return PARTLY_FAILED if done.missing else DONE
