"""Plain values that go into the database and come out of it."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.files import FileState
from facehash.images.face import Box
from facehash.library.storage.database import DamagedLibraryError, Row
from facehash.printing import quoted
from facehash.vectors import Ids, Rows, Space


@dataclass(frozen=True)
class NewFace:
    """A face to be stored."""

    box: Box  # x, y, width, height in pixels of the upright photo
    landmarks: NDArray[np.float32] | None  # (5, 2)
    score: float  # the detector's confidence, 0 to 1
    quality: float  # 0 to 1, see `facehash.images.quality.quality`
    jpeg: bytes  # the encoded crop
    embedding: NDArray[np.float32] | None  # (dimension,), None if the embedder produces codes
    code: NDArray[np.uint8] | None  # (bytes per code,)
    # In a video: when the face was seen, and when it was seen first and last at this place.
    times: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class NewPhoto:
    """A photo to be stored, read from a file."""

    path: Path  # absolute
    state: FileState  # size and modification time of the file
    digest: bytes | None  # SHA-256 of the content, None if the file could not be opened
    size: tuple[int, int] | None = None  # width and height in pixels of the upright photo
    reason: str | None = None  # a short code if the photo could not be read
    # The reason in words, without the path; without a reason, what is missing of a damaged photo.
    detail: str | None = None
    faces: tuple[NewFace, ...] = ()  # largest first
    seconds: float | None = None  # length of a video; None for a photo
    taken: datetime | None = None  # when, in the time of the camera; None if the file does not say


@dataclass(frozen=True)
class UnreadFile:
    """A picture file without a searchable face."""

    path: Path
    reason: str  # a short code: why it could not be read, or "no_face"
    why: str  # the reason in words, one line, or empty


@dataclass(frozen=True)
class StoredFace:
    """A stored face."""

    id: int  # never used again in this library
    path: Path  # a file with its photo, the first by name
    number: int  # of the face in the photo, 1 for the largest
    box: Box  # x, y, width, height in pixels of the upright photo
    name: str | None
    score: float  # the detector's confidence, 0 to 1
    quality: float  # 0 to 1
    named_by: str | None = None  # "folders", "csv" or "user" (by hand)
    damage: str | None = None  # what is missing of the photo, in words
    copies: tuple[Path, ...] = ()  # the other files with its photo, by name
    added: bool = False  # whether a person has pointed it out, as the detector missed it
    aligned: bool = True  # whether its landmarks are known
    # In a video: the time in seconds of the frame with the box, and when the face was seen there
    # first and last.
    seconds: float | None = None
    first_seconds: float | None = None
    last_seconds: float | None = None


_START = datetime(1970, 1, 1)
"""Stored dates count the seconds from here on, both in the time of the camera."""


def seconds_of(taken: datetime | None) -> int | None:
    """Return a date as it is stored, without fractions of a second.

    Example:
        >>> seconds_of(datetime(1970, 1, 2, 0, 0, 5))
        86405
    """
    return None if taken is None else (taken - _START) // timedelta(seconds=1)


def date_of_seconds(stored: object) -> datetime | None:
    """Return a stored date, which no zone belongs to; None if there is none.

    Raises:
        DamagedLibraryError: The value is not a date.
    """
    if stored is None:
        return None
    try:
        if not isinstance(stored, int):
            raise ValueError("not a whole number")
        return _START + timedelta(seconds=stored)
    except (ValueError, OverflowError) as error:
        raise DamagedLibraryError(f"a stored date is not a date: {stored!r:.60}") from error


def bytes_of(path: Path) -> bytes:
    """Return a path as stored bytes; a file name need not be text."""
    return os.fsencode(path)


def path_of(stored: object) -> Path:
    """Return a stored path.

    Raises:
        DamagedLibraryError: The value is not a path.
    """
    if not isinstance(stored, bytes):
        raise DamagedLibraryError(f"a stored path is not a path: {stored!r:.60}")
    return Path(os.fsdecode(stored))


def stored_face(row: Row, directory: Path) -> StoredFace:
    """Return the face in a row of `facehash.library.storage.store`.

    Its columns: id, path, number, box, name, score, quality, named_by, damage, added,
    aligned, the three times of a face in a video, and the height of the photo.

    Raises:
        DamagedLibraryError: A value has the wrong type.
    """
    face_id, path, number, x, y, width, height, name, score, quality, named_by, damage = row[:12]
    added, aligned, *times, photo_height = row[12:]
    box = (x, y, width, height)
    path = b"" if path is None else path
    numbers = (*box, score, quality)
    if not (
        isinstance(path, bytes)
        and b"\0" not in path
        and isinstance(number, int)
        and all(one is None or isinstance(one, str) for one in (name, named_by, damage))
        and all(isinstance(one, float) and math.isfinite(one) for one in numbers)
        and all(one is None or (isinstance(one, float) and 0 <= one < 1e9) for one in times)
        and (times[0] is None or isinstance(photo_height, int))
    ):
        raise DamagedLibraryError(
            f"{directory}: the record of face {face_id} is damaged; for details run: "
            f"facehash check --library {quoted(directory)}"
        )
    if times[0] is not None:
        y -= strip_offset(times[0], photo_height)
    return StoredFace(
        face_id,
        path_of(path),
        number,
        (x, y, width, height),
        name,
        score,
        quality,
        named_by,
        damage,
        added=bool(added),
        aligned=bool(aligned),
        seconds=times[0],
        first_seconds=times[1],
        last_seconds=times[2],
    )


def strip_offset(seconds: float, height: int) -> float:
    """Return what is added to y of a box in a video when it is stored.

    A video is stored like a strip of all milliseconds, one frame below the other. So the boxes of
    two frames are never equal and never overlap, and whatever means a face by its photo and its
    box, such as names, parked names and rejections, means it in one frame.

    Args:
        seconds: The time of the frame.
        height: Height of the frames, in pixels.

    Example:
        >>> strip_offset(1.5, 480)
        720000.0
    """
    return float(round(seconds * 1000) * height)


def stored_rows(
    batch: Sequence[Row], column: str, space: Space, directory: Path
) -> tuple[Ids, Rows]:
    """Convert tuples of id and bytes to ids int64 (n,) and rows (n, width) of the space's dtype.

    Raises:
        DamagedLibraryError: A value has the wrong length; names the column and the directory.
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
"""SQL condition for a file, or the files in a folder, with the values of `under`."""


def under(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Return the values for `UNDER`: the path itself, and the bounds of the paths below it."""
    separator = os.sep.encode()
    name = bytes_of(folder)
    start = name.rstrip(separator) + separator
    return name, start, start[:-1] + bytes([start[-1] + 1])


def blob(row: NDArray[Any] | None) -> bytes | None:
    """Return the values of an array in order, little endian, as they are stored."""
    if row is None:
        return None
    return np.ascontiguousarray(row, row.dtype.newbyteorder("<")).tobytes()
