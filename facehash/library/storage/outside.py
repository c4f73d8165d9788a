"""No way out: a library that somebody else made must not lead to files that are not its own."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from facehash.errors import InputError

DATABASE = "library.db"
INDEX = "index"

_LOG_FILES = (f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
# Ends a journal of SQLite's that names another file, which is deleted when the journal is read.
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")


def check_no_symlinks(directory: Path) -> None:
    """Refuse a library in which a name of its own leads to something outside.

    Raises:
        InputError: A link, pipe or device in the place of one of its files, or a journal that
            names another file.
    """
    refuse_other_than(stat.S_ISDIR, directory / INDEX)
    for name in (DATABASE, *_LOG_FILES):
        refuse_other_than(stat.S_ISREG, directory / name)
    journal = directory / _LOG_FILES[-1]
    if journal.exists():
        with journal.open("rb") as file:
            file.seek(max(0, journal.stat().st_size - len(_NAMES_ANOTHER)))
            if file.read() == _NAMES_ANOTHER:
                raise InputError(
                    f"{journal}: names another file, as no journal of a library does; nothing is "
                    "opened (delete it, or use another library)"
                )


def refuse_other_than(kind: Callable[[int], bool], path: Path) -> None:
    """Refuse what is not of a kind itself, whatever it leads to; what is missing is let through.

    Args:
        kind: `stat.S_ISREG` or `stat.S_ISDIR`.
        path: Where a library keeps something of its own.

    Raises:
        InputError: A link, pipe or device, or a folder in the place of a file.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not kind(mode):
        found = "a link" if stat.S_ISLNK(mode) else "something else"
        wanted = "file" if kind is stat.S_ISREG else "folder"
        raise InputError(
            f"{path}: {found}, where a library has a {wanted} of its own; nothing is read from "
            "there or written to it (delete it, or use another library)"
        )
