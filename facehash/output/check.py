"""Refusing the name of an output before the long work."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from facehash.errors import InputError
from facehash.output.formats import Format

STDOUT = Path("-")
"""The name of standard output."""

_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,6})")


def check_output(
    path: Path,
    formats: Format | Sequence[Format],
    option: str,
    *,
    force: bool = False,
    outside: Sequence[Path] = (),
) -> None:
    """Refuse to write a file where that would destroy something or do nothing good.

    Nothing is refused for standard output (``-``), pipes and character devices such as
    ``/dev/null``: these are written to, and nothing is replaced.

    Args:
        path: The file as the user named it. Of a symbolic link, the target is meant.
        formats: What will be written; with several formats, the ending selects one.
        option: The option or argument of the command, for messages: ``"--csv"``.
        force: Also replace a file that is not an earlier output of this project.
        outside: Folders that the file must not be in: those of a library.

    Raises:
        InputError: A folder, block device or socket; another ending; a file in one of the folders,
            or in no folder that can be written to; without `force`, a file that is not empty and
            not an earlier output.

    Example:
        >>> from facehash.output import csv_format
        >>> check_output(Path("photo.jpg"), csv_format("path,name"), "--csv")
        Traceback (most recent call last):
            ...
        facehash.errors.InputError: photo.jpg: --csv writes a CSV file; its name must end in .csv
    """
    if descriptor_of(path) is not None:
        return
    mode = _mode(path)
    if mode is not None and is_stream(mode):
        return
    known = [formats] if isinstance(formats, Format) else formats
    chosen = [one for one in known if path.suffix.lower() in one.suffixes]
    if not chosen:
        _refuse_suffix(path, known, option)
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or socket"
        raise InputError(f"{path}: is {kind}; {option} writes {chosen[0].what}")
    target = Path(os.path.realpath(path))
    for folder in outside:
        if target.is_relative_to(os.path.realpath(folder)):
            raise InputError(
                f"{path}: is in the library {folder}; choose a name outside of it for {option}"
            )
    _check_folder(target, path)
    if mode is None or force or not target.stat().st_size:
        return
    try:
        ours = any(one.is_ours(target) for one in chosen)
    except OSError:  # not ours to read
        ours = False
    if not ours:
        raise InputError(
            f"{path}: exists and is not {chosen[0].what} that facehash wrote; choose another name "
            f"for {option}, or add --force to replace it"
        )


def writes_to_stdout(path: Path | None) -> bool:
    """Return whether an output goes to standard output, as ``-`` and ``/dev/stdout`` do."""
    return path is not None and descriptor_of(path) == 1


def descriptor_of(path: Path) -> int | None:
    """Return the number of the open file that a name such as ``-`` or ``/dev/fd/3`` means.

    Example:
        >>> [descriptor_of(Path(name)) for name in ("-", "/dev/fd/63", "found.csv")]
        [1, 63, None]
    """
    if path == STDOUT:
        return 1
    if found := _DESCRIPTOR.fullmatch(str(path)):
        return int(found[1])
    return _DESCRIPTORS.get(str(path))


def is_stream(mode: int) -> bool:
    """Return whether a file with these mode bits is written to: a pipe or a character device."""
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _mode(path: Path) -> int | None:
    """Return the mode bits of a file or of the target of a link, None if there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _refuse_suffix(path: Path, formats: Sequence[Format], option: str) -> None:
    names = ", ".join(suffix for one in formats for suffix in one.suffixes)
    head, comma, last = names.rpartition(", ")
    endings = f"{head} or {last}" if comma else last
    what = formats[0].what if len(formats) == 1 else "a file"
    raise InputError(f"{path}: {option} writes {what}; its name must end in {endings}")


def _check_folder(target: Path, path: Path) -> None:
    """Refuse a file in a folder that is a file, or that cannot be written to."""
    folder = target.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{path}: {folder} is a file, not a folder")
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        raise InputError(f"{path}: the folder {folder} cannot be written to")
