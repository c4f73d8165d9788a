"""The files that a cache was made from, and whether they are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from data.hdf5 import read_text, write_text
from facehash.errors import InputError

HASHING_THREADS = 2


class SourceError(InputError):
    """A folder or file that cannot serve as the source of a data set."""


@dataclass(frozen=True)
class Listing:
    """Source files as a directory listing tells of them, without reading them.

    Attributes:
        names: Paths relative to the source folder, with forward slashes.
        sizes: int64 (n,), bytes.
        mtimes: int64 (n,), time of last change in nanoseconds.
    """

    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]

    def same_files(self, other: Listing) -> bool:
        """Whether names and sizes agree, so that the content may."""
        return self.names == other.names and np.array_equal(self.sizes, other.sizes)


def list_files(root: Path, files: Sequence[Path]) -> Listing:
    """Look up size and time of `files`, which lie under `root`."""
    stats = [file.stat() for file in files]
    return Listing(
        names=tuple(Path(os.path.relpath(file, root)).as_posix() for file in files),
        sizes=np.array([stat.st_size for stat in stats], np.int64),
        mtimes=np.array([stat.st_mtime_ns for stat in stats], np.int64),
    )


def hash_files(files: Sequence[Path]) -> NDArray[np.uint8]:
    """Hash the content of files.

    Returns:
        uint8 (n, 32), the SHA-256 of each; zeros for a file that cannot be read, which the
        conversion then leaves out and counts, or refuses.
    """
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        digests = list(pool.map(_sha256, files))
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), 32)


def _sha256(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return bytes(32)


def write_sources(file: h5py.File, listing: Listing, hashes: NDArray[np.uint8]) -> None:
    """Store what a cache was made from, in its group ``sources``."""
    group = file.create_group("sources")
    write_text(group, "names", listing.names)
    group["sizes"] = listing.sizes
    group["mtimes"] = listing.mtimes
    group["sha256"] = hashes


def read_sources(file: h5py.File) -> tuple[Listing, NDArray[np.uint8]]:
    """Read what `write_sources` stored."""
    group = file["sources"]
    listing = Listing(
        read_text(Path(file.filename), group["names"]), group["sizes"][...], group["mtimes"][...]
    )
    return listing, group["sha256"][...]
