"""Finding the picture files in a folder, without following links out of it."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from facehash.errors import InputError, did_you_mean
from facehash.files import FileState
from facehash.images.passed_over import Kind, PassedOver
from facehash.images.selection import Selection

UNKNOWN_STATE = FileState(-1, -1)
"""The state of a file that the operating system does not tell; no file has it."""


@dataclass(frozen=True)
class Scan:
    """The contents of a folder: absolute paths, sorted."""

    # Files with the name of a picture; may include pipes and devices, which reading refuses. A
    # file that cannot be examined has the `UNKNOWN_STATE`.
    files: dict[Path, FileState] = field(default_factory=dict)
    # Skipped links to folders or pictures, and to what does not exist.
    links: list[Path] = field(default_factory=list)
    # Folders that could not be listed, and what may be a folder; their contents are unknown.
    closed: list[Path] = field(default_factory=list)
    passed_over: PassedOver = field(default_factory=PassedOver)  # everything else
    # Files and folders that the selection skips or excludes; those in them are not listed.
    skipped: list[Path] = field(default_factory=list)


def scan(folder: Path, without: Path | None = None, selection: Selection | None = None) -> Scan:
    """List the picture files in a folder and its subfolders.

    Names that begin with a dot and folders of previews and deleted files are skipped, see
    `Selection`. Symbolic links are skipped too: their targets inside the folder are found anyway,
    and files outside are not read. Whatever else is not a picture by its name is counted.

    What the operating system refuses to examine, as network drives sometimes do, is reported and
    does not stop the search.

    Args:
        folder: The folder, or a symbolic link to it.
        without: A subfolder to exclude: the library's own.
        selection: What is read. Default: neither hidden files nor previews, and all the rest.

    Returns:
        Absolute paths without symbolic links.

    Raises:
        InputError: No such folder, or it cannot be listed.
    """
    root = Path(os.path.realpath(folder))
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise InputError(f"{folder}: is a file; a folder of photos is expected")
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = f"no such folder{did_you_mean(root.name, _names_in(root.parent))}"
        raise InputError(f"{folder}: {problem}; a folder of photos is expected") from error
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
    excluded = Path(os.path.realpath(without)) if without else None
    walk = _Walk(root, selection or Selection())
    pending = [root]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if current == root:
                raise InputError(f"{folder}: {error.strerror or error}") from error
            walk.closed.append(current)
            continue
        for entry in listed:
            path = Path(entry.path)
            if path != excluded and walk.is_searched(entry, path, current):
                pending.append(path)
    files = dict(sorted(walk.files.items()))
    return Scan(files, sorted(walk.links), walk.closed, walk.passed_over, walk.skipped)


class _Walk:
    """What a walk through a folder has found so far."""

    def __init__(self, root: Path, selection: Selection) -> None:
        self._selection = selection
        self._start = len(os.path.join(root, ""))
        self.files: dict[Path, FileState] = {}
        self.links: list[Path] = []
        self.closed: list[Path] = []
        self.skipped: list[Path] = []
        self.passed_over = PassedOver()

    def is_searched(self, entry: os.DirEntry[str], path: Path, parent: Path) -> bool:
        """Note a file or folder, and return whether it is a folder to be searched."""
        is_picture = self._selection.reads(path.suffix.lower())
        if self._selection.skips_name(entry.name):
            self._skip(path, Kind.HIDDEN)
            return False
        if self._selection.excludes(entry.name, entry.path[self._start :].replace(os.sep, "/")):
            self._skip(path, Kind.EXCLUDED)
            return False
        # Where the listing does not tell what an entry is, each of these methods asks for it.
        try:
            if entry.is_symlink():
                # Unlike Path.is_dir, os.path.isdir returns False for a link to itself.
                if is_picture or os.path.isdir(path) or not os.path.exists(path):
                    self.links.append(path)
                else:
                    self.passed_over.add_file(path)
            elif entry.is_dir():
                if not self._selection.skips_folder(entry.name, parent.name):
                    return True
                self._skip(path, Kind.CLUTTER)
            elif not entry.is_file() and not is_picture:
                self.passed_over.add(Kind.SPECIAL)
            elif not is_picture:
                self.passed_over.add_file(path)
            else:
                found = entry.stat(follow_symlinks=False)
                self.files[path] = FileState(found.st_size, found.st_mtime_ns)
        except FileNotFoundError:  # deleted since it was listed
            pass
        except OSError:
            if is_picture:
                self.files[path] = UNKNOWN_STATE
            else:
                self.closed.append(path)
        return False

    def _skip(self, path: Path, kind: Kind) -> None:
        self.passed_over.add(kind)
        self.skipped.append(path)


def _names_in(folder: Path) -> Iterator[str]:
    """Yield the names in a folder, none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except OSError:
        return
