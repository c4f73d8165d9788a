"""What goes into a library and comes out of it, as plain values."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.files import FileState
from facehash.images.face import Box
from facehash.library.storage.database import DamagedLibraryError, Row
from facehash.vectors import Ids, Rows, Space


@dataclass(frozen=True)
class NewFace:
    """A face as it is stored first.

    Attributes:
        box: x, y, width, height in pixels of the upright photo.
        landmarks: float32 (5, 2) or None.
        score: The detector's confidence, 0 to 1.
        quality: 0 to 1, see `facehash.library.ingest.read.quality`.
        jpeg: The crop, encoded.
        embedding: float32 (dimension,), or None of an embedder that yields codes.
        code: uint8 (bytes,), or None.
    """

    box: Box
    landmarks: NDArray[np.float32] | None
    score: float
    quality: float
    jpeg: bytes
    embedding: NDArray[np.float32] | None
    code: NDArray[np.uint8] | None


@dataclass(frozen=True)
class NewPhoto:
    """A file that was read, with what was found in it.

    Attributes:
        path: The file, absolute.
        state: Its size and time of change.
        digest: SHA-256 of its content; None of a file that could not be opened.
        size: Width and height in pixels of the upright photo, None of a bad file.
        reason: Why it could not be read, a short code; None of a good one.
        detail: The same in words, without the path.
        faces: Its faces, largest first.
    """

    path: Path
    state: FileState
    digest: bytes | None
    size: tuple[int, int] | None = None
    reason: str | None = None
    detail: str | None = None
    faces: tuple[NewFace, ...] = ()


@dataclass(frozen=True)
class UnreadFile:
    """A picture file that gave the library nothing to be found by.

    Attributes:
        path: The file.
        reason: Why it could not be read, a short code, or ``no_face``.
        why: More about it in words, one line, or nothing.
    """

    path: Path
    reason: str
    why: str


@dataclass(frozen=True)
class StoredFace:
    """A face as it is shown.

    Attributes:
        id: Its name in this library, never used again.
        path: A file that holds its photo, the first by name.
        number: Which face of the photo, 1 the largest.
        box: x, y, width, height in pixels of the upright photo.
        name: The person, or None.
        score: The detector's confidence, 0 to 1.
        quality: 0 to 1.
    """

    id: int
    path: Path
    number: int
    box: Box
    name: str | None
    score: float
    quality: float


def bytes_of(path: Path) -> bytes:
    """Return a path as it is stored; a file name need not be text."""
    return os.fsencode(path)


def path_of(stored: object) -> Path:
    """Return a stored path.

    Raises:
        DamagedLibraryError: Something else was stored.
    """
    if not isinstance(stored, bytes):
        raise DamagedLibraryError(f"a path in the library is no path but {stored!r:.60}")
    return Path(os.fsdecode(stored))


def stored_face(row: Row, directory: Path) -> StoredFace:
    """Return a face of a row of the library in that directory.

    Args:
        row: id, path, number, box, name, score and quality.
        directory: What errors call it.

    Raises:
        DamagedLibraryError: A value is of another type than was written.
    """
    face_id, path, number, *box, name, score, quality = row
    path = b"" if path is None else path
    numbers = (*box, score, quality)
    if not (
        isinstance(path, bytes)
        and b"\0" not in path
        and isinstance(number, int)
        and (name is None or isinstance(name, str))
        and all(isinstance(one, float) and math.isfinite(one) for one in numbers)
    ):
        raise DamagedLibraryError(
            f"{directory}: what is stored of face {face_id} makes no sense; "
            f"facehash check --library {directory} tells more"
        )
    x, y, width, height = box
    return StoredFace(face_id, path_of(path), number, (x, y, width, height), name, score, quality)


def stored_rows(
    batch: Sequence[Row], column: str, space: Space, directory: Path
) -> tuple[Ids, Rows]:
    """Return ids and rows of stored vectors or codes.

    Args:
        batch: id and bytes of each.
        column: What errors call them.
        space: Where they live.
        directory: The library, for errors.

    Returns:
        Ids int64 (n,), and rows (n, width) of the space's dtype.

    Raises:
        DamagedLibraryError: One of another length.
    """
    length = space.width * space.dtype.itemsize
    for face_id, stored in batch:
        found = len(stored) if isinstance(stored, bytes) else "no"
        if found != length:
            raise DamagedLibraryError(
                f"{directory}: the {column} of face {face_id} is damaged "
                f"({found} bytes, not {length})"
            )
    ids = np.array([face_id for face_id, _ in batch], np.int64)
    joined = np.frombuffer(b"".join(stored for _, stored in batch), space.dtype)
    return ids, joined.reshape(len(batch), space.width)


UNDER = "path = ? OR (path >= ? AND path < ?)"
"""SQL for a file, or those in a folder, with the values that `under` gives."""


def under(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Return the values for `UNDER`: the path itself, and the bounds of what lies in it."""
    separator = os.sep.encode()
    name = bytes_of(folder)
    start = name.rstrip(separator) + separator
    return name, start, start[:-1] + bytes([start[-1] + 1])


def blob(row: NDArray[Any] | None) -> bytes | None:
    """Return an array as it is stored: its values in order, little endian."""
    if row is None:
        return None
    return np.ascontiguousarray(row, row.dtype.newbyteorder("<")).tobytes()
