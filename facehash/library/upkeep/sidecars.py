"""Write the names of a library as XMP sidecars: ``facehash export --xmp``.

Photos are never changed, and neither are sidecars of other programs.
"""

import functools
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facehash import __version__
from facehash.errors import InputError
from facehash.files import FileState
from facehash.images.face import Box
from facehash.images.metadata.packets import SUFFIX, read_header
from facehash.images.metadata.regions import Region, clipped, turn_back
from facehash.images.metadata.sidecar import XMP, is_ours, write_sidecar
from facehash.library.storage.records import UnreadFile, path_of
from facehash.library.storage.settings import read_settings
from facehash.library.storage.store import Store
from facehash.library.upkeep.outputs import indexed_folder_around
from facehash.output import check_output, replace_output
from facehash.printing import progress as progress_bar

OPTION = "--xmp"


@dataclass(frozen=True)
class WrittenSidecars:
    """What an export of sidecars did."""

    written: int  # new or changed sidecars
    faces: int  # names in them
    unchanged: int  # sidecars that were up to date
    removed: int  # earlier ones of this project, of photos without names now
    folder: Path | None  # the folder that the tree of sidecars mirrors; None beside the photos
    problems: tuple[UnreadFile, ...]  # photos with names that got no sidecar


@dataclass(frozen=True)
class _Photo:
    path: Path
    state: FileState  # when it was indexed
    size: tuple[int, int]  # upright, in pixels
    faces: list[tuple[str, Box]]  # with a name, by their numbers


def export_sidecars(
    store: Store, folder: Path | None = None, *, progress: bool = True
) -> WrittenSidecars:
    """Write a sidecar ``photo.jpg.xmp`` for each file of a photo on which somebody has a name.

    A sidecar that another program wrote or changed stays, and the photo is reported; so is a photo
    that has changed since it was indexed, as its faces may be elsewhere. Sidecars of this project
    are replaced, and removed where the photo has no names any more.

    Args:
        store: The library.
        folder: Where to write a tree of sidecars that mirrors the folder of all photos; for its
            owner only. Default: beside the photos, with their permissions.
        progress: Show a progress bar.

    Raises:
        InputError: The folder is in the library or among the photos, or cannot be written to.

    Example:
        >>> export_sidecars(store, Path("sidecars")).written  # doctest: +SKIP
        120
    """
    if folder is not None:
        _check_folder(store, folder)
    photos = _photos(store)
    root = _common_folder(store, photos)
    # Photos come folder by folder.
    list_folder = functools.lru_cache(maxsize=1)(lambda inside: tuple(sorted(os.listdir(inside))))
    count: Counter[str] = Counter()
    problems = []
    for photo in progress_bar(photos, desc="sidecars", unit=" photos", delay=1, shown=progress):
        target = _beside(photo.path)
        if folder is not None:
            target = folder / target.relative_to(root)
        try:
            if folder is None and photo.faces:
                _check_others(photo.path, target, list_folder(photo.path.parent))
            done = _write(store, photo, target, beside=folder is None)
        except OSError as error:
            problems.append(UnreadFile(photo.path, "metadata", error.strerror or str(error)))
            continue
        except InputError as error:
            why = str(error).removeprefix(f"{photo.path}: ")
            problems.append(UnreadFile(photo.path, "metadata", why))
            continue
        count[done] += 1
        if done == "written":
            count["faces"] += len(photo.faces)
    return WrittenSidecars(
        count["written"],
        count["faces"],
        count["unchanged"],
        count["removed"],
        None if folder is None else root,
        tuple(problems),
    )


def _photos(store: Store) -> list[_Photo]:
    """Return all files of photos, without videos, in the order of their paths."""
    rows = store.database.rows(
        "SELECT paths.path, size, mtime_ns, photos.width, photos.height, people.name, x, y, "
        "faces.width, faces.height FROM paths JOIN photos ON photos.id = paths.photo_id "
        "LEFT JOIN faces ON faces.photo_id = photos.id AND person_id IS NOT NULL "
        "LEFT JOIN people ON people.id = person_id "
        "WHERE photos.width > 0 AND photos.height > 0 AND photos.seconds IS NULL "
        "ORDER BY paths.path, number"
    )
    found: dict[bytes, _Photo] = {}
    for path, size, changed, width, height, name, x, y, across, down in rows:
        if path not in found:
            state = FileState(size, changed)
            found[path] = _Photo(path_of(path), state, (width, height), [])
        if name is not None:
            found[path].faces.append((name, (x, y, across, down)))
    return list(found.values())


def _check_folder(store: Store, folder: Path) -> None:
    """Refuse a file, and a folder in the library or among the photos."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder for {OPTION}, or beside")
    name = folder / f"any{SUFFIX}"
    check_output(name, XMP, OPTION, outside=[store.directory])
    if indexed := indexed_folder_around(store, name):
        raise InputError(
            f"{folder}: is in {indexed}, a folder with indexed photos; choose a folder outside of "
            f"it for {OPTION}, or beside, which writes sidecars beside the photos"
        )


def _common_folder(store: Store, photos: list[_Photo]) -> Path:
    """Return the indexed folder that has all photos, or the deepest folder that has them."""
    folders = {str(photo.path.parent) for photo in photos}
    common = Path(os.path.commonpath(folders)) if folders else Path(os.sep)
    settings = read_settings(store.database)
    indexed = [Path(one) for one in (settings and settings.folders or "").splitlines()]
    around = [one for one in indexed if common.is_relative_to(one)]
    return max(around, key=lambda one: len(one.parts), default=common)


def _beside(photo: Path) -> Path:
    return photo.with_name(f"{photo.name}{SUFFIX}")


def _write(store: Store, photo: _Photo, target: Path, *, beside: bool) -> str:
    """Write, replace or remove one sidecar, and return what was done.

    Raises:
        InputError: It must not be written.
        OSError: It cannot be written.
    """
    if not photo.faces:
        if target.is_file() and is_ours(target):
            target.unlink()
            return "removed"
        return "none"
    content = write_sidecar(_regions(photo), __version__)
    if target.is_file() and not is_ours(target):
        raise InputError(f"{photo.path}: {target.name} is of another program, and stays as it is")
    check_output(target, XMP, OPTION, outside=[store.directory])
    if target.is_file() and target.read_bytes() == content:
        return "unchanged"
    with replace_output(target, private=not beside) as temporary:
        temporary.write_bytes(content)
        if beside:
            temporary.chmod(photo.path.stat().st_mode & 0o666 | 0o600)
    return "written"


def _check_others(photo: Path, target: Path, listed: Iterable[str]) -> None:
    """Refuse a sidecar where the photo has one of another name, which the new one would hide."""
    names = {f"{name}{SUFFIX}".casefold() for name in (photo.name, photo.stem)}
    others = [name for name in listed if name != target.name and name.casefold() in names]
    if others:
        raise InputError(
            f"{photo}: {others[0]} beside it is of another program, which a second one would hide"
        )


def _regions(photo: _Photo) -> list[Region]:
    """Return the faces as shares of the stored picture.

    Raises:
        InputError: The file is gone, unreadable, or has changed since it was indexed.
    """
    stat = photo.path.stat()
    if FileState(stat.st_size, stat.st_mtime_ns) != photo.state:
        raise InputError(f"{photo.path}: it has changed since it was indexed; run facehash index")
    header = read_header(photo.path)
    width, height = photo.size
    regions = []
    for name, (x, y, across, down) in photo.faces:
        box = clipped(x / width, y / height, across / width, down / height)
        if box is not None:
            box = turn_back(box, header.orientation)
            regions.append(Region(name, box, header.size))
    return regions
