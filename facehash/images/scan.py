"""Finding the picture files in a folder, without following links out of it."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from facehash.errors import InputError, did_you_mean
from facehash.files import FileState
from facehash.images.passed_over import Kind, PassedOver
from facehash.images.read import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Scan:
    """The contents of a folder: absolute paths, sorted."""

    # Files with the name of a picture; may include pipes and devices, which reading refuses.
    files: dict[Path, FileState] = field(default_factory=dict)
    # Skipped links to folders or pictures, and to what does not exist.
    links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)  # could not be listed; contents unknown
    passed_over: PassedOver = field(default_factory=PassedOver)  # everything else


def scan(folder: Path, without: Path | None = None) -> Scan:
    """List the picture files in a folder and its subfolders.

    Names that begin with a dot are skipped: thumbnails and trash folders have such names. Symbolic
    links are skipped too: their targets inside the folder are found anyway, and files outside are
    not read. Whatever else is not a picture by its name is counted.

    Args:
        folder: The folder, or a symbolic link to it.
        without: A subfolder to exclude: the library's own.

    Returns:
        Absolute paths without symbolic links.

    Raises:
        InputError: No such folder, or it cannot be listed.
    """
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
        problem = f"no such folder{did_you_mean(root.name, siblings)}"
        what = "is a file" if root.exists() else problem
        raise InputError(f"{folder}: {what}; a folder of photos is expected")
    excluded = Path(os.path.realpath(without)) if without else None
    files: dict[Path, FileState] = {}
    closed: list[Path] = []
    links: list[Path] = []
    passed_over = PassedOver()
    pending = [root]
    while pending:
        current = pending.pop()
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
            if path == excluded:
                continue
            is_picture = path.suffix.lower() in IMAGE_SUFFIXES
            if entry.name.startswith("."):
                passed_over.add(Kind.HIDDEN)
            elif entry.is_symlink():
                # Unlike Path.is_dir, os.path.isdir returns False for a link to itself.
                if is_picture or os.path.isdir(path) or not os.path.exists(path):
                    links.append(path)
                else:
                    passed_over.add_file(path)
            elif entry.is_dir():
                pending.append(path)
            elif not entry.is_file() and not is_picture:
                passed_over.add(Kind.SPECIAL)
            elif not is_picture:
                passed_over.add_file(path)
            elif state := _state(entry):
                files[path] = state
    return Scan(dict(sorted(files.items())), sorted(links), closed, passed_over)


def _state(entry: os.DirEntry[str]) -> FileState | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since it was listed
        return None
    return FileState(found.st_size, found.st_mtime_ns)
