"""Writing files atomically, and locks between processes."""

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


_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class FileInUseError(InputError):
    """Another process holds a lock."""


@dataclass(frozen=True)
class FileState:
    """Size in bytes and time of change in nanoseconds; if both are unchanged, so is the file."""

    size: int
    mtime_ns: int


def is_disk_full(error: OSError) -> bool:
    """Return whether a write failed because the disk, a quota or a limit of file size is full."""
    return error.errno in _FULL


@contextlib.contextmanager
def with_filename(path: Path) -> Iterator[None]:
    """Add the name of a file to the errors of the operating system that a block raises.

    The error of a full disk does not name the file, and some libraries omit its number as well.

    Args:
        path: The file that the block writes.

    Raises:
        OSError: The error of the block, with the name of the file.
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
    """Provide a temporary path that replaces `path` if the block ends without an error.

    Readers see either the old file or the new one; a killed writer leaves the old one.

    Args:
        path: The file to write; its folder is created if it is missing.

    Yields:
        A path with the same suffix on the same disk; no such file exists yet.

    Raises:
        OSError: The file cannot be written; the error names it.
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
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, atomically; NaN raises ValueError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def file_lock(
    path: Path, subject: str, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold a lock while the block runs; it is released however the process ends.

    Where the system has no locks, as on Windows and some network drives, this does nothing.

    Args:
        path: The lock file in an existing folder; created if missing, and not deleted.
        subject: Name of the locked thing in the error message.
        on_wait: Called once before waiting for another process; None raises an error instead.

    Raises:
        FileInUseError: Another process holds the lock, and `on_wait` is None.
        OSError: The lock file cannot be created.
    """
    with path.open("a") as file:
        if fcntl:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if on_wait is None:
                    raise FileInUseError(f"{subject}: in use by another process") from error
                on_wait()
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            except OSError:
                pass  # this drive has no locks
        yield
