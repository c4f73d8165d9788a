"""One writer at a time, and its name for the next one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from facehash.files import FileInUseError, file_lock, with_filename
from facehash.library.storage.folder import make_private_file

LOCK = "lock"


@contextlib.contextmanager
def writing(directory: Path, task: str) -> Iterator[None]:
    """Hold a library for writing while the block runs.

    The operating system frees the lock however the holder ends, so a dead one is never in the way;
    the file says who holds it, for the message only.

    Args:
        directory: The library.
        task: What is being done, in a word, for example ``"index"``.

    Raises:
        FileInUseError: Another process writes; its process id and task are named.
        OSError: The library cannot be written to.
    """
    path = directory / LOCK
    make_private_file(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, str(directory)))
        except FileInUseError as error:
            holder = path.read_text(encoding="utf-8", errors="replace").strip()
            raise FileInUseError(
                f"{directory}: {holder or 'another process'} writes to it; wait until it is done"
            ) from error
        since = time.strftime("%H:%M")
        # Written into the file itself: a lock is on the file, not on its name.
        with with_filename(path):
            path.write_text(f"process {os.getpid()} (facehash {task}, since {since})\n", "utf-8")
        try:
            yield
        finally:
            path.write_text("", "utf-8")
