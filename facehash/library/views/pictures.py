"""The pictures that go with an answer, made sure of before anybody sees them.

A library is a file that somebody else may have made. The paths in it could name any picture of
whoever looks at it, and a page with that picture on it could be sent on; so a photo is shown only
if it is the very content that was indexed. What is stored as the picture of a face is decoded like
any file from outside.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError
from facehash.images.read import decode_image, read_image
from facehash.library.query.results import Hit
from facehash.library.storage.store import Store

Picture = NDArray[np.uint8]

_DIGEST = "SELECT digest FROM photos JOIN faces ON photos.id = photo_id WHERE faces.id = ?"


def photo_of(store: Store, hit: Hit) -> Picture | None:
    """Read the photo of a hit: uint8 (height, width, 3).

    Returns:
        None where it cannot be read any more, or another one lies there now.
    """
    digest = store.database.value(_DIGEST, (hit.face_id,))
    try:
        return read_image(hit.path, digest) if isinstance(digest, bytes) else None
    except InputError:
        return None


def crop_of(store: Store, hit: Hit) -> Picture | None:
    """Return the stored picture of a face, uint8 (height, width, 3), None where there is none."""
    stored = store.crop(hit.face_id)
    try:
        return None if stored is None else decode_image(io.BytesIO(stored), f"face {hit.face_id}")
    except InputError:
        return None
