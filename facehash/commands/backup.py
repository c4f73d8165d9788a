"""``facehash backup`` and ``facehash restore``: what a person said, as a file."""

import sys
from pathlib import Path

import typer

from facehash.command_line import DONE, PARTLY_FAILED
from facehash.commands.arguments import ForceOption, LibraryOption
from facehash.commands.engines import settle_engines
from facehash.library.storage.folder import write_lock
from facehash.output import writes_to_stdout
from facehash.printing import counted, printable

_SHOWN = 20


def backup(
    library: LibraryOption,
    file: Path = typer.Argument(help="File to write, ending in .json; - is standard output."),
    force: ForceOption = False,
) -> int:
    """Write everything you said to a file: names, corrections, ignored faces, forgotten photos.

    Faces are identified by the content of their photo and their place in it. The file contains no
    picture and no vector. Names of folders are not in it.

    Example: facehash backup names.json --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import backup as backups
    from facehash.library.upkeep import backup_file
    from facehash.library.upkeep.outputs import check_library_output

    with Store.open(library) as store:
        check_library_output(store, file, backup_file.FORMAT, "backup", force=force)
        content = backups.backup(store, file)
    where = sys.stderr if writes_to_stdout(file) else sys.stdout
    people = {one.name for one in content.names} | {one.name for one in content.people}
    print(
        f"{counted(len(content.names), 'name')} of {counted(len(people), 'person')}, "
        f"{counted(len(content.rejections), 'correction')}, "
        f"{counted(len(content.ignored), 'ignored face')}, "
        f"{counted(len(content.added), 'added face')} and "
        f"{counted(len(content.forgotten), 'forgotten photo')} in {printable(file)}",
        file=where,
    )
    return DONE


def restore(
    library: LibraryOption,
    file: Path = typer.Argument(help="A file that facehash backup wrote."),
    replace: bool = typer.Option(
        False, "--replace", help="Let the backup replace names and corrections that differ."
    ),
) -> int:
    """Give a library, or a new one, the names of a backup; facehash people undo takes them back.

    Names of photos that are not in the library wait until facehash index finds the photos. Exit
    code 3 if something differs and stays as it is.

    Example: facehash restore names.json --library lib
    """
    from facehash.library.storage.store import Store
    from facehash.library.upkeep import backup as backups
    from facehash.library.upkeep import backup_file

    content = backup_file.read_backup(file)
    with Store.create(library) as store, write_lock(library, "restore"):
        done = backups.restore(store, content, replace)
    settle_engines(library, quiet=True)
    print(f"{counted(done.named, 'face')} named")
    for number, what in (
        (done.parked, "parked until the photo is indexed"),
        (done.unchanged, "unchanged"),
        (done.forgotten, "not restored, because the photo was forgotten here"),
    ):
        if number:
            print(f"{counted(number, 'name')} {what}")
    if done.corrections:
        print(f"{counted(done.corrections, 'correction')} restored")
    for conflict in done.conflicts[:_SHOWN]:
        print(f"differs: {printable(conflict)}", file=sys.stderr)
    if len(done.conflicts) > _SHOWN:
        print(f"... and {len(done.conflicts) - _SHOWN:,} more differences", file=sys.stderr)
    return PARTLY_FAILED if done.conflicts else DONE
