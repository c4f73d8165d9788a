"""The picture files of a folder, at any depth, without a step outside."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from facehash.errors import InputError, did_you_mean
from facehash.images.read import IMAGE_SUFFIXES


@dataclass(frozen=True)
class FileState:
    """How a file looked when it was read: the same again, and it need not be read again.

    Attributes:
        size: Bytes.
        mtime_ns: When it was last changed, in nanoseconds.
    """

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Scan:
    """What lies in a folder.

    Attributes:
        files: What is called like a picture, absolute, in order of the names, with size and time
            of change; also pipes and devices, which reading refuses.
        links: Symbolic links that were passed by: called like a picture, or to a folder.
        closed: Folders that could not be listed; what is in them is unknown, not gone.
    """

    files: dict[Path, FileState] = field(default_factory=dict)
    links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)


def scan(folder: Path, without: Path | None = None) -> Scan:
    """List the picture files of a folder and of the folders in it.

    Names that begin with a dot are passed by, as thumbnails and waste bins are called so. So are
    symbolic links: what they lead to inside the folder is found there, and nothing outside is read.

    Args:
        folder: Where to look; may itself be a symbolic link.
        without: A folder to be left out, the library's own.

    Returns:
        Absolute paths without symbolic links.

    Raises:
        InputError: No such folder, or one that cannot be listed.
    """
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        beside = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
        what = "is a file" if root.exists() else f"no such folder{did_you_mean(root.name, beside)}"
        raise InputError(f"{folder}: {what}; a folder of photos is expected")
    left_out = Path(os.path.realpath(without)) if without else None
    files: dict[Path, FileState] = {}
    closed: list[Path] = []
    links: list[Path] = []
    waiting = [root]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if current == root:
                raise InputError(f"{folder}: {error.strerror or error}") from error
            closed.append(current)
            continue
        for entry in listed:
            path = Path(entry.path)
            if entry.name.startswith(".") or path == left_out:
                continue
            picture = path.suffix.lower() in IMAGE_SUFFIXES
            if entry.is_symlink():
                if picture or os.path.isdir(path):  # unlike pathlib's, false of a link to itself
                    links.append(path)
            elif entry.is_dir():
                waiting.append(path)
            elif picture:
                state = _state(entry)
                if state:
                    files[path] = state
    return Scan(dict(sorted(files.items())), sorted(links), closed)


def _state(entry: os.DirEntry[str]) -> FileState | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since it was listed
        return None
    return FileState(found.st_size, found.st_mtime_ns)
