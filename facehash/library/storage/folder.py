"""Folders and files that only their owner can read: faces are biometric data."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from facehash.files import atomic_write
from facehash.library.storage.outside import refuse_other_than

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_private_folder(path: Path) -> None:
    """Make a folder, and its parents, or close an existing one to others.

    Raises:
        OSError: It cannot be made, or is a file.
    """
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)


def make_private_file(path: Path) -> None:
    """Make an empty file, or leave the one that is there.

    Raises:
        InputError: What is there is a link, which may lead anywhere, or no file.
        OSError: It cannot be made.
    """
    refuse_other_than(stat.S_ISREG, path)
    # With the mode at once: between making and closing a file somebody could open it.
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE_MODE))


@contextlib.contextmanager
def private_atomic_write(path: Path) -> Iterator[Path]:
    """Do as `facehash.files.atomic_write`, and leave a file that only its owner can read."""
    # The folder of the temporary file is closed to others, so it was never open to them.
    with atomic_write(path) as temporary:
        yield temporary
        temporary.chmod(FILE_MODE)


def open_to_others(folder: Path) -> list[Path]:
    """List the folder and what is in it, at any depth, that others than the owner can reach.

    Links are left out: what they lead to is not the library's.
    """
    inside = [path for path in sorted(folder.rglob("*")) if not path.is_symlink()]
    return [path for path in (folder, *inside) if path.stat().st_mode & 0o077]
