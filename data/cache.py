"""Sources are converted once, to one HDF5 file in the user's cache folder.

The file stores a key: a digest of the names, sizes and modification times of the source files and
of how they are converted. As long as the key matches, the file is opened without reading the
source. It is written under a temporary name, renamed when complete, and never changed.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from data.conversion import Conversion, collect
from data.hdf5 import ImageSpool, read_faces, write_faces
from data.labeled_images import LabeledImages
from facehash.errors import InputError
from facehash.files import file_lock, is_disk_full
from facehash.hdf5_matlab import create_hdf5, open_hdf5
from facehash.images.read import RESIZE_FILTER

SCHEMA = 3  # increased whenever the layout of the file or the meaning of its content changes

log = logging.getLogger(__name__)


class CacheError(InputError):
    """A folder in which no cache can be stored."""


def cache_path(folder: Path | None, name: str, side: int, source: Path) -> Path:
    """Return where the cache of a source is stored; nothing is created.

    Args:
        folder: Folder of caches; None for the environment variable ``FACEHASH_CACHE``, or else
            the user's cache folder.
        name: The data set's name.
        side: Side of its images in pixels.
        source: Folder or file; two sources never share a cache.

    Returns:
        A path ending in ``.h5``.
    """
    if folder is None:
        chosen = os.environ.get("FACEHASH_CACHE")
        folder = Path(chosen) if chosen else platformdirs.user_cache_path("facehash") / "datasets"
    digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:12]
    return folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{side}-{digest}.h5"


def open_or_build(conversion: Conversion, path: Path) -> LabeledImages:
    """Open the cache at `path`; convert the source first if the cache is missing or outdated.

    Args:
        conversion: The source and how to convert it.
        path: From `cache_path`.

    Returns:
        The faces; their images are read from disk on access.

    Raises:
        CacheError: The cache's folder cannot be written, or its disk is full.
        InputError: What the conversion finds wrong with the source.
    """
    key = _key(conversion)
    if faces := _open_valid(path, key):
        return faces
    with _lock(path):
        # Another process may have built it in the meantime.
        if faces := _open_valid(path, key):
            return faces
        # No process uses what killed conversions left behind: this one holds the lock.
        for leftover in path.parent.glob(f"{_prefix(path)}*.tmp"):
            leftover.unlink(missing_ok=True)
        _build(conversion, key, path)
    return read_faces(path)


def _key(conversion: Conversion) -> str:
    made_by = [SCHEMA, conversion.loader, conversion.side, RESIZE_FILTER.name]
    found = hashlib.sha256(json.dumps(made_by).encode())
    for file in conversion.files:
        name = os.fsencode(os.path.relpath(file, conversion.root))
        found.update(b"\0%s\0%d %d" % (name, *_size_and_time(file)))
    return found.hexdigest()


def _size_and_time(file: Path) -> tuple[int, int]:
    for status in (file.stat, file.lstat):  # lstat for a link to what does not exist
        with contextlib.suppress(OSError):
            found = status()
            return found.st_size, found.st_mtime_ns
    return -1, -1  # a listed file that does not exist


def _open_valid(path: Path, key: str) -> LabeledImages | None:
    if not path.exists():
        return None
    try:
        with open_hdf5(path) as file:
            stored = file.attrs.get("key")
        if stored == key:
            return read_faces(path)
        log.info("%s: the source or its conversion has changed: converting it again", path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        log.warning("%s is damaged (%s): converting its source again", path, error)
    return None


def _build(conversion: Conversion, key: str, path: Path) -> None:
    unfinished = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex}.tmp")
    try:
        with (
            contextlib.closing(ImageSpool(conversion.side, path.parent)) as spool,
            create_hdf5(unfinished) as file,
        ):
            write_faces(file, spool, **collect(conversion, spool.append))
            file.attrs["key"] = key
        os.replace(unfinished, path)
        log.info("converted %d files of %s to %s", len(conversion.files), conversion.root, path)
    except OSError as error:
        if not is_disk_full(error):
            raise
        reason = os.strerror(error.errno or 0)
        raise CacheError(
            f"{path.parent}: no space left for the converted images of {conversion.root} "
            f"({reason}); free some, or name a folder on another disk in the "
            "environment variable FACEHASH_CACHE"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name}."


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep two processes from converting the same source at the same time.

    Without locks, as on Windows and some network drives, both convert, each under its own name,
    and the second file replaces an equal first one: slower, but correct.
    """
    lock = path.with_name(f"{_prefix(path)}lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise CacheError(
            f"{path.parent}: the cache of converted images cannot be stored here: "
            f"{error.strerror}; name another folder in the environment variable FACEHASH_CACHE"
        ) from error
    message = "waiting for another process that converts the same source"
    with file_lock(lock, str(path), on_wait=lambda: log.info(message)):
        yield
