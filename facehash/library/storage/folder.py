"""The folder of a library: private to its owner, without links that lead out, one writer at a time.

Faces are biometric data, so folders get mode 0700 and files 0600. A library may come from somebody
else, so symbolic links, pipes and devices in place of its own files are refused.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from facehash.errors import InputError
from facehash.files import FileInUseError, atomic_write, file_lock, with_filename

DATABASE = "library.db"
INDEX = "index"
THUMBNAILS = "thumbnails"
LOCK = "lock"
FOLDER_MODE = 0o700
FILE_MODE = 0o600

_JOURNAL = f"{DATABASE}-journal"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", _JOURNAL)
# A SQLite journal with this ending names another file, which SQLite deletes when it reads it.
_NAMES_ANOTHER_FILE = bytes.fromhex("d9d505f920a163d7")


def make_private_folder(path: Path) -> None:
    """Create a folder and its parents, or close an existing folder to other users."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)


def make_private_file(path: Path) -> None:
    """Create an empty file, or keep an existing one; anything else is an `InputError`."""
    check_file(path)
    # The mode is given at creation: before a later chmod somebody could open the file.
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE_MODE))


@contextlib.contextmanager
def private_atomic_write(path: Path) -> Iterator[Path]:
    """Write like `facehash.files.atomic_write`, and leave a file that only its owner can read."""
    # The folder of the temporary file is private, so the file is never readable by others.
    with atomic_write(path) as temporary:
        yield temporary
        temporary.chmod(FILE_MODE)


def open_to_others(folder: Path) -> list[Path]:
    """List the folder and everything in it that users other than the owner can access.

    Links are omitted: what they point to does not belong to the library.
    """
    inside = [path for path in sorted(folder.rglob("*")) if not path.is_symlink()]
    return [path for path in (folder, *inside) if path.stat().st_mode & 0o077]


def check_file(path: Path) -> None:
    """Refuse a path that exists and is not itself a regular file.

    Raises:
        InputError: It is a link, a pipe, a device or a folder.
    """
    _check_mode(path, stat.S_IFREG)


def check_no_symlinks(directory: Path) -> None:
    """Refuse a library in which one of its own names leads elsewhere.

    Raises:
        InputError: A link, pipe or device in place of its database, log, index folder or folder of
            thumbnails, or a journal that names another file.
    """
    for name in (INDEX, THUMBNAILS):
        _check_mode(directory / name, stat.S_IFDIR)
    for name in _DATABASE_FILES:
        check_file(directory / name)
    journal = directory / _JOURNAL
    if not journal.exists():
        return
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - len(_NAMES_ANOTHER_FILE)))
        if file.read() == _NAMES_ANOTHER_FILE:
            raise InputError(
                f"{journal}: names another file, which the journal of a library never does; "
                "delete it, or use another library"
            )


def _check_mode(path: Path, wanted: int) -> None:
    try:
        found = stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if found != wanted:
        kind = "file" if wanted == stat.S_IFREG else "folder"
        what = "a symbolic link" if found == stat.S_IFLNK else f"not a regular {kind}"
        raise InputError(
            f"{path}: {what}, where a library has a {kind} of its own (delete it, or use another "
            "library)"
        )


@contextlib.contextmanager
def write_lock(directory: Path, task: str) -> Iterator[None]:
    """Hold the write lock of a library while the block runs.

    The operating system releases the lock however the process ends, so a dead process never blocks
    others. The file names the holder, for error messages only.

    Args:
        directory: The library.
        task: The command that writes, for example ``"index"``.

    Raises:
        FileInUseError: Another process holds the lock; the message has its process id and task.
        OSError: The library is not writable.
    """
    path = directory / LOCK
    make_private_file(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, str(directory)))
        except FileInUseError as error:
            holder = path.read_text(encoding="utf-8", errors="replace").strip()
            raise FileInUseError(
                f"{directory}: {holder or 'another process'} is writing to it; wait until it is "
                "done"
            ) from error
        since = time.strftime("%H:%M")
        # Written in place: the lock belongs to the file, not to its name.
        with with_filename(path):
            path.write_text(f"process {os.getpid()} (facehash {task}, since {since})\n", "utf-8")
        try:
            yield
        finally:
            path.write_text("", "utf-8")
