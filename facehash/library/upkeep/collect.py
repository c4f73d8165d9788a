"""Copy or link photos into a folder, without replacing anything there."""

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facehash.errors import InputError
from facehash.files import with_filename
from facehash.library.people.photos import FoundPhoto
from facehash.library.storage.store import Store
from facehash.library.upkeep.outputs import indexed_folder_around

How = Literal["copy", "symlink", "hardlink"]


@dataclass
class Collected:
    """What was put into a folder."""

    written: list[Path] = field(default_factory=list)  # the new files or links
    there: int = 0  # photos that the folder had
    missing: list[Path] = field(default_factory=list)  # photos of which no file is as indexed


def check_collection(store: Store, folder: Path, option: str) -> None:
    """Refuse a folder in which photos would be indexed again, or that is no folder.

    Args:
        store: The library.
        folder: The folder; it need not exist.
        option: The option of the command, for messages.

    Raises:
        InputError: In the library, among the indexed photos, or a file.
    """
    target = Path(os.path.realpath(folder))
    if target.is_relative_to(os.path.realpath(store.directory)):
        raise InputError(f"{folder}: is in the library {store.directory}; choose another {option}")
    if os.path.lexists(target) and not target.is_dir():
        raise InputError(f"{folder}: is a file; {option} needs a folder")
    around = indexed_folder_around(store, target / "photo")
    if around:
        raise InputError(
            f"{folder}: is among the indexed photos of {around}; choose a folder outside of that "
            f"one for {option}"
        )


def collect(photos: Iterable[FoundPhoto], folder: Path, how: How = "copy") -> Collected:
    """Copy photos into a folder, or link them there; nothing that is there is replaced.

    A photo keeps its name. If another file has that name, a number is added to it. A photo whose
    content the folder has under one of these names is skipped, so that a repeated call adds only
    what is new.

    Args:
        photos: The photos; of each, the first file with the indexed content is taken.
        folder: Created if it is missing.
        how: ``"copy"``, with the time of change; ``"symlink"``, by the absolute path; or
            ``"hardlink"``, on the same drive.

    Raises:
        InputError: The drive has no links of this kind.
        OSError: The folder cannot be written to, or the disk is full; what is half written is
            removed.
    """
    done = Collected()
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        source = next((path for path in photo.paths if _digest(path) == photo.digest), None)
        if source is None:
            done.missing.append(photo.paths[0])
            continue
        for target in _names(folder / source.name):
            if _is_there(target, photo.digest):
                done.there += 1
                break
            if not os.path.lexists(target) and _put(source, target, how):
                done.written.append(target)
                break
    return done


def _names(path: Path) -> Iterator[Path]:
    """Yield a path, and then the same with numbers: a.jpg, a-2.jpg, a-3.jpg."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _is_there(path: Path, digest: bytes) -> bool:
    """Return whether a file, or the target of a link, has this content."""
    return path.is_file() and _digest(path) == digest


def _digest(path: Path) -> bytes | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def _put(source: Path, target: Path, how: How) -> bool:
    """Copy or link a file; return False if another process has taken the name meanwhile."""
    try:
        if how == "copy":
            _copy(source, target)
        elif how == "symlink":
            target.symlink_to(os.path.abspath(source))
        else:
            os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except (OSError, NotImplementedError) as error:
        number = getattr(error, "errno", None)
        if how != "copy" and number in (None, errno.EXDEV, errno.EPERM, errno.ENOTSUP, 1314):
            what = "symbolic links" if how == "symlink" else "hard links to the photos"
            raise InputError(
                f"{target.parent}: this drive can have no {what}; use --copy-to"
            ) from error
        raise
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content:
        try:
            with with_filename(target), target.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except FileExistsError:
            raise
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    with contextlib.suppress(OSError):  # some drives refuse times and modes
        shutil.copystat(source, target)
