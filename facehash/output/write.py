"""Writing a file that a user named."""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from facehash.errors import InputError
from facehash.files import atomic_write, with_filename
from facehash.output.check import descriptor_of, is_stream

PIPE_SECONDS = 10.0
"""Seconds to wait for a program that reads from a named pipe."""

_PRIVATE = 0o600


@contextlib.contextmanager
def replace_output(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Provide a temporary path whose file becomes the output if the block ends without an error.

    A file is replaced as `facehash.files.atomic_write` does; of a symbolic link the target, and the
    link stays. Standard output (``-``), pipes and devices get the bytes at the end of the block;
    until then they are in a private temporary folder.

    Args:
        path: The file as the user named it; `facehash.output.check_output` accepts it.
        private: Whether only its owner may read the file.

    Yields:
        A path with the ending of `path`; no such file exists yet.

    Raises:
        OSError: The file cannot be written; the error names it.
        InputError: A named pipe from which no program reads.

    Example:
        >>> with replace_output(Path("found.csv")) as temporary:  # doctest: +SKIP
        ...     temporary.write_text("path,name")
    """
    if not _is_written_to(path):
        with atomic_write(Path(os.path.realpath(path))) as temporary:
            yield temporary
            if private:
                temporary.chmod(_PRIVATE)
        return
    with tempfile.TemporaryDirectory(prefix="facehash-") as folder:
        temporary = Path(folder, f"output{path.suffix}")
        yield temporary
        with temporary.open("rb") as content, with_filename(path):
            _send(content, path)


def _is_written_to(path: Path) -> bool:
    if descriptor_of(path) is not None:
        return True
    try:
        return is_stream(path.stat().st_mode)
    except OSError:
        return False


def _send(content: BinaryIO, path: Path) -> None:
    """Write bytes to standard output, an open file, a pipe or a device."""
    descriptor = descriptor_of(path)
    if descriptor == 1:
        _print(content)
        return
    opened = os.dup(descriptor) if descriptor is not None else _open_stream(path)
    with os.fdopen(opened, "wb") as target:
        shutil.copyfileobj(content, target)


def _print(content: BinaryIO) -> None:
    """Write bytes to standard output, after the text that waits there."""
    sys.stdout.flush()
    target = getattr(sys.stdout, "buffer", None)
    if target is None:  # replaced by a stream of text
        sys.stdout.write(content.read().decode("utf-8", "backslashreplace"))
        return
    shutil.copyfileobj(content, target)
    target.flush()


def _open_stream(path: Path) -> int:
    """Open a pipe or device for writing; wait a little for a program that reads from the pipe."""
    # Opened in the usual way, a pipe from which no program reads would block forever.
    end = time.monotonic() + PIPE_SECONDS
    while True:
        try:
            opened = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end:
                raise InputError(f"{path}: no program reads from this pipe") from error
            time.sleep(0.05)
            continue
        os.set_blocking(opened, True)
        return opened
