"""Sources converted once to one HDF5 file, and that file found again.

A cache is valid while its source files have the names, sizes and times of change it was made from;
where only times differ the content's hashes decide. Files that could not be read are tried again
whenever it is opened. It is written under a temporary name and renamed when whole, and never
changed afterwards but for those times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import platformdirs
from numpy.typing import NDArray

from data.faces import LabeledImages
from data.hdf5 import ImageSpool, read_faces, write_faces
from data.sources import Listing, hash_files, list_files, read_sources, write_sources
from facehash.array_files import open_hdf5
from facehash.errors import InputError
from facehash.files import file_lock

SCHEMA = 2
"""Raised whenever the file's layout or the meaning of its content changes: old caches rebuild."""

log = logging.getLogger(__name__)


class CacheError(InputError):
    """A place where no cache can be kept."""


@dataclass(frozen=True)
class Block:
    """Some converted images.

    Attributes:
        images: uint8 (k, side, side, 3).
        labels: k integers or texts that tell people apart; their order is the identities' order.
        is_query: Whether they belong to the test part of a data set that comes split.
        unreadable: What was left out beside them, one line each.
    """

    images: NDArray[np.uint8]
    labels: Sequence[int] | Sequence[str]
    is_query: bool | None = None
    unreadable: Sequence[str] = ()


class Conversion(Protocol):
    """How one kind of source becomes faces; every loader that caches has one."""

    @property
    def root(self) -> Path:
        """The source: the folder that `files` lie under."""

    @property
    def files(self) -> Sequence[Path]:
        """Every file that the result depends on, sorted."""

    @property
    def side(self) -> int:
        """Height and width of the images made, in pixels."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What else the result depends on, as JSON values."""

    def blocks(self) -> Iterator[Block]:
        """Convert, a bounded number of images at a time."""


def cache_path(folder: Path | None, name: str, side: int, source: Path) -> Path:
    """Name the cache of a source.

    Args:
        folder: Where caches are kept; None for the environment variable ``FACEHASH_CACHE``, or else
            the user's cache folder.
        name: The data set's name.
        side: Side of its images in pixels.
        source: What it is made from; two sources never share a cache.

    Returns:
        A path ending in ``.h5``; nothing is created.
    """
    if folder is None:
        chosen = os.environ.get("FACEHASH_CACHE")
        folder = Path(chosen) if chosen else platformdirs.user_cache_path("facehash") / "datasets"
    digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:12]
    return folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{side}-{digest}.h5"


def open_or_build(conversion: Conversion, path: Path) -> LabeledImages:
    """Open the cache at `path`, converting the source first where it is missing or outdated.

    Args:
        conversion: The source and its way.
        path: From `cache_path`.

    Returns:
        The faces, their images read when asked for.

    Raises:
        CacheError: The cache's folder cannot be written.
        InputError: What the conversion finds wrong with the source.
    """
    listing = list_files(conversion.root, conversion.files)
    if faces := _open_valid(conversion, listing, path):
        return faces
    with _lock(path):
        # Another process may have built it while this one waited.
        if faces := _open_valid(conversion, listing, path):
            return faces
        _remove_leftovers(path)
        _build(conversion, listing, path)
    return read_faces(path)


def _open_valid(conversion: Conversion, listing: Listing, path: Path) -> LabeledImages | None:
    """Open a cache made from these very files in this very way, or say why there is none."""
    if not path.exists():
        return None
    try:
        with open_hdf5(path) as file:
            if file.attrs["made_by"] != _made_by(conversion):
                log.info("%s was made in another way: converting anew", path)
                return None
            stored, hashes = read_sources(file)
        if not stored.same_files(listing):
            log.info("%s: the source has changed: converting anew", path)
            return None
        if not np.array_equal(stored.mtimes, listing.mtimes):
            if not np.array_equal(hashes, hash_files(conversion.files)):
                log.info("%s: the source has changed: converting anew", path)
                return None
            _store_times(path, listing)
        unread = np.flatnonzero(~hashes.any(axis=1)).tolist()
        missed = [conversion.files[row] for row in unread]
        if missed and hash_files(missed).any():
            log.info("%s: what was unreadable can now be read: converting anew", path)
            return None
        return read_faces(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        log.warning("%s is damaged (%s): converting anew", path, error)
        return None


def _store_times(path: Path, listing: Listing) -> None:
    """Spare the next opening the hashing; where the cache is read-only it hashes again."""
    with contextlib.suppress(OSError), h5py.File(path, "r+") as file:
        file["sources/mtimes"][...] = listing.mtimes


def _made_by(conversion: Conversion) -> str:
    made_by = {"schema": SCHEMA, "side": conversion.side, **conversion.parameters}
    return json.dumps(made_by, sort_keys=True)


def _build(conversion: Conversion, listing: Listing, path: Path) -> None:
    hashes = hash_files(conversion.files)
    unfinished = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex}.tmp")
    try:
        with (
            contextlib.closing(ImageSpool(conversion.side, path.parent)) as spool,
            h5py.File(unfinished, "w") as file,
        ):
            _convert(conversion, spool, file)
            write_sources(file, listing, hashes)
            file.attrs["made_by"] = _made_by(conversion)
        os.replace(unfinished, path)
        log.info("converted %d files of %s to %s", len(listing.names), conversion.root, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _convert(conversion: Conversion, spool: ImageSpool, file: h5py.File) -> None:
    write_faces(file, spool, **_spend(conversion, spool.append))


def read_into_memory(conversion: Conversion) -> LabeledImages:
    """Convert without a cache, for sources that fit into memory many times over."""
    images: list[NDArray[np.uint8]] = []
    people = _spend(conversion, images.append)
    return LabeledImages(np.concatenate(images), **people)


def _spend(conversion: Conversion, keep: Callable[[NDArray[np.uint8]], None]) -> dict[str, Any]:
    """Run a conversion, keep its images, and return everything else that `LabeledImages` holds."""
    labels: list[int | str] = []
    is_query: list[bool] = []
    unreadable: list[str] = []
    for block in conversion.blocks():
        keep(block.images)
        labels.extend(block.labels)
        unreadable.extend(block.unreadable)
        if block.is_query is not None:
            is_query.extend([block.is_query] * len(block.labels))
    identities, indices = np.unique(np.array(labels), return_inverse=True)
    return {
        "labels": indices.astype(np.int64),
        "identities": tuple(str(one) for one in identities),
        "is_query": np.array(is_query) if is_query else None,
        "unreadable": tuple(unreadable),
    }


def _prefix(path: Path) -> str:
    return f".{path.name}."


def _remove_leftovers(path: Path) -> None:
    """Delete what killed conversions left; the lock is held, so none of it is in use."""
    for leftover in path.parent.glob(f"{_prefix(path)}*.tmp"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep two processes from converting the same source twice at once.

    Without locks, as on some network drives and on Windows, both convert, each under a name of its
    own, and the later one replaces the earlier one's equal file: slower, not wrong.
    """
    lock = path.with_name(f"{_prefix(path)}lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise CacheError(
            f"{path.parent}: the cache of converted images cannot be kept here: {error.strerror}; "
            "name another folder in the environment variable FACEHASH_CACHE"
        ) from error
    message = "waiting for another process that converts the same source"
    with file_lock(lock, str(path), on_wait=lambda: log.info(message)):
        yield
