"""Batches of photos that are embedded and stored together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.embedders.base import Embedder
from facehash.hashing import LinearHash
from facehash.images.quality import quality
from facehash.library.derived.arrays import refresh_index, spaces
from facehash.library.derived.codes import encode
from facehash.library.ingest.read import ReadPhoto, encode_jpeg
from facehash.library.storage.records import NewFace, NewPhoto, UnreadFile
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

FACES = 64
PHOTOS = 64
"""A batch is stored when it has this many faces or photos; a killed run loses at most a batch."""
REFRESH_FACES = 16_384
"""After so many new faces the index files are brought up to date, so that searches during a long
run do not read all of them from the database."""


class Batch:
    """Photos that have been read but not stored, and counts of the whole run."""

    def __init__(
        self, store: Store, embedder: Embedder, settings: Settings, hasher: LinearHash | None
    ) -> None:
        self._store, self._embedder = store, embedder
        self._settings, self._hasher = settings, hasher
        self._pending: list[ReadPhoto] = []
        self.videos = 0  # new videos, which count as photos too
        # New contents so far, faces in them, contents without a face, and contents stored.
        self.photos = self.faces = self.without_faces = self.stored = 0
        self._in_index = 0  # of these faces
        self.damaged: list[UnreadFile] = []  # photos that lack their end and were read nevertheless
        self.failed: list[UnreadFile] = []  # photos that could not be embedded

    def add(self, photo: ReadPhoto) -> None:
        """Add a photo, and store the batch when it is full."""
        self._pending.append(photo)
        if photo.reason is None and not photo.known:
            self.photos += 1
            self.videos += photo.seconds is not None
            if photo.damage:
                self.damaged.append(UnreadFile(photo.path, "damaged", photo.damage))
            self.faces += len(photo.faces)
            self.without_faces += not photo.faces
        faces = sum(len(pending.faces) for pending in self._pending)
        if faces >= FACES or len(self._pending) >= PHOTOS:
            self.flush()

    def flush(self) -> None:
        """Embed and store the pending photos."""
        with_faces = [photo for photo in self._pending if photo.faces and photo.crops is not None]
        # Rows of all faces of the batch, in the order of the photos.
        vectors, codes = self._rows_of(with_faces) if with_faces else (None, None)
        new_photos, start = [], 0
        for photo in self._pending:
            part = slice(start, start + len(photo.faces))
            rows = (None if array is None else array[part] for array in (vectors, codes))
            new_photos.append(self._new_photo(photo, *rows))
            start = part.stop
        self._store.add(new_photos)
        self.stored = self.photos
        if self.faces - self._in_index >= REFRESH_FACES:
            refresh_index(self._store, spaces(self._settings, self._hasher is not None))
            self._in_index = self.faces
        self._pending.clear()

    def _rows_of(
        self, photos: list[ReadPhoto]
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.uint8] | None]:
        """Return vectors and codes of all faces; None for those that the library does not store."""
        rows = self._embed(photos)
        if self._settings.metric == "hamming":
            return None, self._settings.space.check(rows, "the embedder's codes")
        # Vectors that are not finite are reported per photo; a hasher would refuse the whole batch.
        finite = np.nan_to_num(rows, nan=0, posinf=0, neginf=0)
        self._settings.space.check(finite, "the embedder's vectors")
        if self._hasher is None:
            return rows, None
        return rows, encode(self._hasher, finite, self._settings)

    def _embed(self, photos: list[ReadPhoto]) -> NDArray[Any]:
        """Embed faces, unless the processes that read the photos have done it."""
        rows = [photo.rows for photo in photos if photo.rows is not None]
        if len(rows) == len(photos):
            return np.concatenate(rows)
        crops = [photo.crops for photo in photos if photo.crops is not None]
        return self._embedder.embed(np.concatenate(crops))

    def _new_photo(self, photo: ReadPhoto, vectors: Any, codes: Any) -> NewPhoto:
        reason, detail = photo.reason, photo.detail or photo.damage
        faces: tuple[NewFace, ...] = ()
        if vectors is not None and not np.isfinite(vectors).all():
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
                    quality(face.scaled(1 / photo.scale), photo.crops[i]),
                    encode_jpeg(photo.crops[i]),
                    None if vectors is None else vectors[i],
                    None if codes is None else codes[i],
                    photo.times[i] if photo.times else None,
                )
                for i, face in enumerate(photo.faces)
            )
        return NewPhoto(
            photo.path, photo.state, photo.digest, photo.size, reason, detail, faces,
            photo.seconds, photo.taken,
        )  # fmt: skip
