"""The pictures of a search result.

A library may come from somebody else, and its paths could name any picture of the user who opens
it; a page with that picture could then be passed on. So a photo is shown only if its content is
what was indexed, and the stored picture of a face is decoded like any untrusted file.
"""

import io

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.images.read import decode_image, read_image
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.store import Store

Picture = NDArray[np.uint8]

_DIGEST = "SELECT digest FROM photos JOIN faces ON photos.id = photo_id WHERE faces.id = ?"


def photo_of(store: Store, hit: Hit) -> Picture | None:
    """Return the photo of a hit, uint8 (height, width, 3), or None if it is missing or changed."""
    digest = store.database.value(_DIGEST, (hit.face_id,))
    try:
        return read_image(hit.path, digest) if isinstance(digest, bytes) else None
    except InputError:
        return None


def crop_of(store: Store, hit: Hit) -> Picture | None:
    """Return the stored crop of a face, uint8 (height, width, 3), or None if there is none."""
    stored = store.crop(hit.face_id)
    try:
        return None if stored is None else decode_image(io.BytesIO(stored), f"face {hit.face_id}")
    except InputError:
        return None


def query_photo(result: QueryResult) -> Picture | None:
    """Return the photo of a query, or None if it is missing or came from memory."""
    try:
        return None if result.query is None else read_image(result.query)
    except InputError:  # deleted since the search
        return None
