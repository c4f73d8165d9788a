"""The faces of a library as another embedder sees them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facehash.bench.queries import Faces, Trials
from facehash.embedders.base import Embedder
from facehash.images.face import Face
from facehash.images.read import UnreadableImageError, read_image
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import path_of
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, PipelineSpec
from facehash.vectors import Rows, Space, unit_rows

_BATCH = 64


def embed_again(
    store: Store, trials: Trials, spec: PipelineSpec, embedder: Embedder, progress: bool = True
) -> Trials:
    """Read the photos of the faces once more, and embed the very same faces by another embedder.

    Boxes and landmarks are the library's; only crop and embedder are others.

    Args:
        store: The library.
        trials: What is asked.
        spec: Crops the faces.
        embedder: Embeds them.
        progress: Whether to show a bar on a terminal.

    Returns:
        The trials with its rows: queries and what is left out stay as they are.

    Raises:
        LibraryError: A photo is gone or has changed.
    """
    cropper = FacePipeline.create(spec, embedder).cropper
    space = Space(embedder.metric, embedder.dimension)
    faces = trials.faces
    order = np.argsort(faces.photos, kind="stable")
    photos, starts = np.unique(faces.photos[order], return_index=True)
    wanted = dict(zip(photos.tolist(), np.split(faces.ids[order], starts[1:]), strict=True))
    rows: list[Rows] = []
    waiting: list[NDArray[np.uint8]] = []
    ids: list[int] = []
    bar = tqdm(wanted, desc="embedding again", unit=" photos", disable=None if progress else True)
    for photo in bar:
        found = dict(_faces_of(store, photo, set(wanted[photo].tolist())))
        ids.extend(found)
        waiting.extend(cropper.crop_faces(_read(store, photo), list(found.values())))
        if len(waiting) >= _BATCH:
            rows.append(embedder.embed(np.stack(waiting)))
            waiting.clear()
    if waiting:
        rows.append(embedder.embed(np.stack(waiting)))
    made = space.check(np.concatenate(rows), "the embedder's rows")[np.argsort(ids)]
    made = unit_rows(made) if space.metric == "cosine" else made
    again: Faces = dataclasses.replace(faces, rows=made, every=made, space=space)
    return dataclasses.replace(trials, faces=again)


def _faces_of(store: Store, photo: int, wanted: set[int]) -> Iterator[tuple[int, Face]]:
    query = "SELECT id, x, y, width, height, landmarks, score FROM faces WHERE photo_id = ?"
    for face_id, x, y, width, height, landmarks, score in store.database.rows(query, (photo,)):
        if face_id in wanted:
            points = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(5, 2)
            yield face_id, Face((x, y, width, height), points, score)


def _read(store: Store, photo: int) -> NDArray[np.uint8]:
    """Read a photo from one of the files that show it, and see that it is the same."""
    digest = store.database.value("SELECT digest FROM photos WHERE id = ?", (photo,))
    query = "SELECT path FROM paths WHERE photo_id = ? ORDER BY path"
    path = None
    for (stored,) in store.database.rows(query, (photo,)):
        path = path_of(stored)
        with contextlib.suppress(UnreadableImageError):
            return read_image(path, digest)
    raise LibraryError(
        f"{path}: gone or changed since it was indexed, and another embedder needs it; "
        "facehash index brings the library up to date"
    )
