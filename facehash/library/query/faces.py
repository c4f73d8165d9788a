"""The faces that a search looks for: of a photo, or of the library itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import no_verdict
from facehash.errors import InputError
from facehash.images.face import Box, Face
from facehash.images.quality import effective_width, stored_width
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store


@dataclass(frozen=True)
class QueryFace:
    """A face to search for.

    Attributes:
        face: Number of the face in its photo, 1 for the largest.
        box: x, y, width and height in pixels of the photo.
        row: A vector float32 (dimension,), projections float32 (bits,), or a packed code uint8.
        crop: uint8 (side, side, 3), the face as it was embedded, or None for a stored face.
        no_verdict: Why no threshold holds for the face, or None.
    """

    face: int
    box: Box
    row: NDArray[Any] = field(repr=False, compare=False)
    crop: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    no_verdict: str | None = None


def prepare(
    faces: Sequence[Face], crops: NDArray[np.uint8], rows: NDArray[Any], scale: float
) -> tuple[QueryFace, ...]:
    """Return the faces of a photo as queries.

    Args:
        faces: The faces, largest first, in decoded pixels.
        crops: uint8 (n, side, side, 3).
        rows: What the embedder made of the crops, (n, width).
        scale: Pixels of the photo per decoded one.
    """
    found = []
    for number, (face, crop, row) in enumerate(zip(faces, crops, rows, strict=True), start=1):
        width = effective_width(face, crop)
        reason = no_verdict("the query's face", min(face.box[2:]), width)
        found.append(QueryFace(number, face.scaled(scale).box, row, crop, reason))
    return tuple(found)


def stored_query_face(store: Store, face_id: int, settings: Settings) -> QueryFace:
    """Return a face of a library as a query: its vector, or its code if it has no vector.

    Raises:
        LibraryError: There is no such face, or its record is damaged.
    """
    [face] = store.faces([face_id])
    space = settings.space
    column = "code" if space.metric == "hamming" else "embedding"
    stored = store.database.value(f"SELECT {column} FROM faces WHERE id = ?", (face_id,))  # noqa: S608
    if not isinstance(stored, bytes) or len(stored) != space.width * space.dtype.itemsize:
        raise DamagedLibraryError(f"{store.directory}: the {column} of face {face_id} is damaged")
    width = stored_width(face.quality, face.score, settings.side)
    reason = no_verdict("the query's face", min(face.box[2:]), width)
    return QueryFace(face.number, face.box, np.frombuffer(stored, space.dtype), None, reason)


def choose(count: int, number: int | None, name: object) -> Sequence[int]:
    """Return the indices of all faces, or of the face with a number.

    Raises:
        InputError: There is no such face.
    """
    if number is None:
        return range(count)
    if not 1 <= number <= count:
        faces = "1 face" if count == 1 else f"{count} faces"
        raise InputError(f"{name}: has {faces}, there is no face {number}")
    return [number - 1]
