"""Files that are whole or absent, and files that one process holds at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facehash.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class FileInUseError(InputError):
    """Another process holds what this one needs."""


@dataclass(frozen=True)
class FileState:
    """Size in bytes and time of change in nanoseconds; if both are unchanged, so is the file."""

    size: int
    mtime_ns: int


@contextlib.contextmanager
def with_filename(path: Path) -> Iterator[None]:
    """Let an error of the operating system say which file it is about.

    A full disk is told by what writes, which knows no name, and by some libraries without a number.

    Args:
        path: The file that the block writes.

    Raises:
        OSError: The block's, with the name of the file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        words = " ".join((error.strerror or str(error)).split())
        raise OSError(error.errno or errno.EIO, words, str(path)) from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path that takes the place of `path` when the block ends without error.

    A reader sees the old file or the new one, never half of one; a killed writer leaves the old.

    Args:
        path: The file to be written; its folder is made when missing.

    Yields:
        A path in the same folder, with the same suffix, not yet existing.

    Raises:
        OSError: It cannot be written; names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary = folder / path.name
        with with_filename(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        for leftover in folder.iterdir():
            leftover.unlink()
        folder.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def file_lock(
    path: Path, subject: str, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold a lock file while the block runs; it is free again however the process ends.

    Without locks, as on Windows and some network drives, every process is let through.

    Args:
        path: The lock file; made when missing, in a folder that exists, and left behind.
        subject: What the lock stands for, to be named in the error.
        on_wait: Called before waiting for another holder; None refuses instead of waiting.

    Raises:
        FileInUseError: Another process holds it and `on_wait` is None.
        OSError: The file cannot be made.
    """
    with path.open("a") as file:
        if fcntl:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if on_wait is None:
                    raise FileInUseError(f"{subject}: another process works here") from error
                on_wait()
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            except OSError:
                pass  # no locks on this drive
        yield
