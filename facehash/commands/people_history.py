"""``facehash people undo`` and ``purge``: take back what was said, and delete parked names."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND
from facehash.commands.arguments import LibraryOption
from facehash.commands.engines import writing
from facehash.files import FileInUseError
from facehash.printing import counted, printable

if TYPE_CHECKING:
    from facehash.library.people.journal import Statement


def undo(
    library: LibraryOption,
    steps: int = typer.Option(1, min=1, help="Number of commands to undo, the newest first."),
    list_only: bool = typer.Option(False, "--list", help="List what can be undone instead."),
) -> int:
    """Undo the last command about names: name, unname, split, merge, rename, a list, restore.

    Faces that were named in another way since keep that name. What was forgotten stays forgotten.

    Example: facehash people undo --library lib
    """
    from facehash.library.ingest.added import restore_added
    from facehash.library.people import journal
    from facehash.library.storage.store import Store
    from facehash.pipeline import pipelines

    if list_only:
        with Store.open(library) as store:
            statements = journal.list_statements(store)
        for number, one in enumerate(statements, start=1):
            print(f"{number:>3}  {_describe(one)}")
        if not statements:
            print("nothing to undo")
        return DONE if statements else NOTHING_FOUND
    with writing(library, "people") as store:
        undone = journal.undo(store, steps)
        restore_added(store, undone, pipelines())
    for taken_back in undone:
        print(f"undone: {_describe(taken_back.statement)}")
        if taken_back.parked:
            print(f"{counted(taken_back.parked, 'name')} parked until the photo is back")
        if taken_back.kept:
            print(f"not undone for {counted(taken_back.kept, 'face')}, gone or changed since")
    if not undone:
        print("nothing to undo")
    return DONE if undone else NOTHING_FOUND


def purge(
    library: LibraryOption,
    person: str | None = typer.Option(None, help="Only the parked names of this person."),
    history: bool = typer.Option(
        False, "--history", help="Also delete what facehash people undo could undo."
    ),
) -> int:
    """Delete what you said about photos that are gone: parked names and corrections.

    This cannot be undone.

    Example: facehash people purge --library lib
    """
    from facehash.library.people import journal, parked

    with writing(library, "people") as store:
        deleted = parked.purge(store, person)
        statements = journal.erase_all(store) if history else 0
        with contextlib.suppress(FileInUseError):  # a search is running; the next run does it
            store.database.empty_log()
    print(f"{counted(deleted.names, 'parked name')} deleted")
    if deleted.corrections:
        print(f"{counted(deleted.corrections, 'correction')} of photos that are gone deleted")
    if statements:
        print(f"{counted(statements, 'statement')} deleted from the history")
    return DONE if deleted.names or deleted.corrections or statements else NOTHING_FOUND


def _describe(statement: Statement) -> str:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(statement.made))
    parts = [f"{old} -> {new}" for old, new in statement.renamed]
    parts += [
        f"{counted(faces, 'face')}: {before or 'no name'} -> {after or 'no name'}"
        for before, after, faces in statement.people
    ]
    parts += [f"{counted(faces, 'face')} {words}" for words, faces in statement.said]
    shown = "; ".join(parts[:_MOST]) + (f"; and {len(parts) - _MOST} more" * (len(parts) > _MOST))
    return printable(f"{made}  {statement.kind}  {shown}")


_MOST = 5
