"""A library of given vectors, one face per photo, without photos."""

import hashlib
from pathlib import Path

import numpy as np

from facehash.calibration.thresholds import SFACE
from facehash.files import FileState
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.settings import Settings, write_settings

SETTINGS = Settings(
    "yunet", "yunet", "sface", f"sface:sha256={SFACE.partition('=')[2]}", "cosine", 128,
    "arcface112", 112,
)  # fmt: skip
OTHER = Settings("yunet", "yunet", "other", "other", "cosine", 128, "box", 112)


def people(count, faces, seed=0, spread=0.5, dimension=128):
    """Return vectors (count * faces, dimension) of unit length around random directions.

    The cosine distance of two faces of a person is about spread^2 / (1 + spread^2).
    """
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count, 1, dimension))
    centers /= np.linalg.norm(centers, axis=2, keepdims=True)
    noise = rng.normal(size=(count, faces, dimension)) * spread / dimension**0.5
    rows = (centers + noise).reshape(-1, dimension)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fill(store, vectors, settings=SETTINGS, quality=0.9, photos=None):
    """Add a face per vector, and return their ids; faces with the same photo share a photo."""
    with store.database.transaction():
        write_settings(store.database, settings)
    start = store.database.value("SELECT count(*) FROM photos")
    photos = range(len(vectors)) if photos is None else photos
    by_photo = {}
    for vector, photo in zip(vectors, photos, strict=True):
        by_photo.setdefault(photo, []).append(vector)
    new = []
    for number, rows in enumerate(by_photo.values(), start=start):
        digest = hashlib.sha256(b"%d" % number).digest()
        faces = tuple(
            NewFace((float(9 * i), 0.0, 90.0, 99.0), None, 0.9, quality, b"jpeg", row, None)
            for i, row in enumerate(rows)
        )
        path = Path(f"/photos/{number}.jpg")
        new.append(NewPhoto(path, FileState(1, number), digest, (200, 200), faces=faces))
    last = store.database.value("SELECT coalesce(max(id), 0) FROM faces")
    store.add(new)
    return [face for (face,) in store.database.rows("SELECT id FROM faces WHERE id > ?", (last,))]
