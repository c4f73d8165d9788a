"""The pictures of a search result.

A library may come from somebody else, and its paths could name any picture of the user who opens
it; a page with that picture could then be passed on. So a photo is shown only if its content is
what was indexed, and the stored picture of a face is decoded like any untrusted file.
"""

import contextlib
import io

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.images.read import Photo, decode_image, read_photo
from facehash.images.video import read_frame
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.store import Store

Picture = NDArray[np.uint8]

_DIGEST = "SELECT digest FROM photos JOIN faces ON photos.id = photo_id WHERE faces.id = ?"


def photo_of(store: Store, hit: Hit) -> Photo | None:
    """Return the photo or frame of a hit, or None if it is missing or changed in all its files."""
    digest = store.database.value(_DIGEST, (hit.face_id,))
    for path in (hit.path, *hit.copies):
        with contextlib.suppress(InputError):
            if not isinstance(digest, bytes):
                return None
            if hit.seconds is not None:
                return read_frame(path, hit.seconds, digest)
            return read_photo(path, digest)
    return None


def crop_of(store: Store, hit: Hit) -> Picture | None:
    """Return the stored crop of a face, uint8 (height, width, 3), or None if there is none."""
    return stored_crop(store, hit.face_id)


def stored_crop(store: Store, face_id: int) -> Picture | None:
    """Return the stored crop of a face by its id, see `crop_of`."""
    stored = store.crop(face_id)
    try:
        return None if stored is None else decode_image(io.BytesIO(stored), f"face {face_id}")
    except InputError:
        return None


def query_photo(result: QueryResult) -> Photo | None:
    """Return the photo of a query, or None if it is missing or came from memory."""
    try:
        return None if result.query is None else read_photo(result.query)
    except InputError:  # deleted since the search
        return None
