"""Photos on their way into a library: embedded and stored some dozens of faces at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.embedders.base import Embedder
from facehash.hashing import LinearHash
from facehash.library.derived.codes import encode
from facehash.library.ingest.read import ReadPhoto, encode_jpeg, quality
from facehash.library.storage.records import NewFace, NewPhoto, UnreadFile
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

FACES = 64
PHOTOS = 64
"""A batch is stored when it has so many faces or photos: what a kill may cost."""


class Batch:
    """Photos that were read and are not yet stored.

    Attributes:
        photos: New contents that could be read, so far.
        faces: Faces in them.
        stored: How many of the photos are in the library already.
        without_faces: Photos without any, so far.
        failed: Photos that could not be embedded.
    """

    def __init__(
        self, store: Store, embedder: Embedder, settings: Settings, hasher: LinearHash | None
    ) -> None:
        self._store, self._embedder = store, embedder
        self._settings, self._hasher = settings, hasher
        self._waiting: list[ReadPhoto] = []
        self.photos = self.faces = self.without_faces = self.stored = 0
        self.failed: list[UnreadFile] = []

    def add(self, photo: ReadPhoto) -> None:
        """Take a photo, and store the batch when it is full."""
        self._waiting.append(photo)
        if photo.reason is None and not photo.known:
            self.photos += 1
            self.faces += len(photo.faces)
            self.without_faces += not photo.faces
        faces = sum(len(one.faces) for one in self._waiting)
        if faces >= FACES or len(self._waiting) >= PHOTOS:
            self.flush()

    def flush(self) -> None:
        """Embed and store what is waiting."""
        shown = [photo for photo in self._waiting if photo.faces and photo.crops is not None]
        rows, codes = self._rows_of(shown) if shown else (None, None)
        ready, start = [], 0
        for photo in self._waiting:
            own = slice(start, start + len(photo.faces))
            ready.append(
                self._make(
                    photo,
                    None if rows is None else rows[own],
                    None if codes is None else codes[own],
                )
            )
            start = own.stop
        self._store.add(ready)
        self.stored = self.photos
        self._waiting.clear()

    def _rows_of(
        self, photos: list[ReadPhoto]
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.uint8] | None]:
        """Return vectors and codes of all faces, whichever the library keeps."""
        rows = self._embed(photos)
        if self._settings.metric == "hamming":
            return None, self._settings.space.check(rows, "the embedder's codes")
        # What is not finite is told photo by photo; a hasher would refuse the whole batch.
        sound = np.nan_to_num(rows, nan=0, posinf=0, neginf=0)
        self._settings.space.check(sound, "the embedder's vectors")
        if self._hasher is None:
            return rows, None
        return rows, encode(self._hasher, sound, self._settings)

    def _embed(self, photos: list[ReadPhoto]) -> NDArray[Any]:
        """Embed what was not embedded where it was read."""
        found = [photo.rows for photo in photos if photo.rows is not None]
        if len(found) == len(photos):
            return np.concatenate(found)
        crops = [photo.crops for photo in photos if photo.crops is not None]
        return self._embedder.embed(np.concatenate(crops))

    def _make(self, photo: ReadPhoto, rows: Any, codes: Any) -> NewPhoto:
        reason, detail = photo.reason, photo.detail
        faces: tuple[NewFace, ...] = ()
        if rows is not None and not np.isfinite(rows).all():
            reason, detail = "embedder", "the embedder's vector is not finite"
            self.failed.append(UnreadFile(photo.path, reason, detail))
            self.photos -= 1
            self.faces -= len(photo.faces)
        elif photo.crops is not None:
            faces = tuple(
                NewFace(
                    face.box,
                    face.landmarks,
                    face.score,
                    quality(face, self._settings.side),
                    encode_jpeg(photo.crops[i]),
                    None if rows is None else rows[i],
                    None if codes is None else codes[i],
                )
                for i, face in enumerate(photo.faces)
            )
        return NewPhoto(photo.path, photo.state, photo.digest, photo.size, reason, detail, faces)
