"""Folders and files that only their owner can read: faces are biometric data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from facehash.files import replacing

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
        OSError: It cannot be made.
    """
    # With the mode at once: between making and closing a file somebody could open it.
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE_MODE))


@contextlib.contextmanager
def replacing_privately(path: Path) -> Iterator[Path]:
    """Do as `facehash.files.replacing`, and leave a file that only its owner can read."""
    # The folder of the temporary file is closed to others, so it was never open to them.
    with replacing(path) as temporary:
        yield temporary
        temporary.chmod(FILE_MODE)


def open_to_others(folder: Path) -> list[Path]:
    """List the folder and what is in it, at any depth, that others than the owner can reach."""
    inside = sorted(folder.rglob("*"))
    return [path for path in (folder, *inside) if path.lstat().st_mode & 0o077]
