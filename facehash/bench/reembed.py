"""Re-embeds the faces of a library with another embedder."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facehash.bench.queries import QuerySet
from facehash.embedders.base import Embedder, projects
from facehash.images.face import Face
from facehash.images.read import Photo, UnreadableImageError, read_photo
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import path_of
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, PipelineSpec
from facehash.printing import progress as progress_bar
from facehash.vectors import Rows, Space, unit_rows

_BATCH = 64


def reembed(
    store: Store, queries: QuerySet, spec: PipelineSpec, embedder: Embedder, progress: bool = True
) -> QuerySet:
    """Read the photos of the faces again, and embed the same faces with another embedder.

    Boxes and landmarks are those of the library; only the crop and the embedder change.

    Args:
        store: The library.
        queries: The queries, with rows of the library's embedder.
        spec: Crops the faces.
        embedder: Embeds them.
        progress: Whether to show a progress bar.

    Returns:
        The same queries and excluded pairs, with the rows of the other embedder, and with their
        projections where it has them.

    Raises:
        LibraryError: A photo is gone or has changed.
    """
    cropper = FacePipeline.create(spec, embedder).cropper
    space = Space(embedder.metric, embedder.dimension)
    faces = queries.faces
    order = np.argsort(faces.photos, kind="stable")
    photos, starts = np.unique(faces.photos[order], return_index=True)
    wanted = dict(zip(photos.tolist(), np.split(faces.ids[order], starts[1:]), strict=True))
    rows: list[Rows] = []
    projected: list[NDArray[np.float32]] = []
    crops: list[NDArray[np.uint8]] = []
    ids: list[int] = []

    def embed() -> None:
        if projects(embedder):
            codes, floats = embedder.project(np.stack(crops))
            rows.append(codes)
            projected.append(floats)
        else:
            rows.append(embedder.embed(np.stack(crops)))
        crops.clear()

    for photo in progress_bar(wanted, desc="re-embedding", unit=" photos", shown=progress):
        found = dict(_faces_of(store, photo, set(wanted[photo].tolist())))
        ids.extend(found)
        read = _read(store, photo)
        decoded = [face.scaled(1 / read.scale) for face in found.values()]
        crops.extend(cropper.crop_faces(read.pixels, decoded))
        if len(crops) >= _BATCH:
            embed()
    if crops:
        embed()
    made = space.check(np.concatenate(rows), "the embedder's rows")[np.argsort(ids)]  # (n, width)
    made = unit_rows(made) if space.metric == "cosine" else made
    places = np.arange(len(made))
    faces = dataclasses.replace(
        faces,
        rows=made,
        all_rows=made,
        space=space,
        places=places,
        projections=np.concatenate(projected)[np.argsort(ids)] if projected else None,
    )
    return dataclasses.replace(queries, faces=faces)


def _faces_of(store: Store, photo: int, wanted: set[int]) -> Iterator[tuple[int, Face]]:
    query = "SELECT id, x, y, width, height, landmarks, score FROM faces WHERE photo_id = ?"
    for face_id, x, y, width, height, landmarks, score in store.database.rows(query, (photo,)):
        if face_id in wanted:
            points = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(5, 2)
            yield face_id, Face((x, y, width, height), points, score)


def _read(store: Store, photo: int) -> Photo:
    """Read a photo from one of its files, and check that its content is unchanged."""
    digest = store.database.value("SELECT digest FROM photos WHERE id = ?", (photo,))
    query = "SELECT path FROM paths WHERE photo_id = ? ORDER BY path"
    path = None
    for (stored,) in store.database.rows(query, (photo,)):
        path = path_of(stored)
        with contextlib.suppress(UnreadableImageError):
            return read_photo(path, digest)
    raise LibraryError(
        f"{path}: gone or changed since it was indexed, so it cannot be embedded again; "
        "facehash index updates the library"
    )
