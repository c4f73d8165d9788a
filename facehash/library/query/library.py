"""Searching a library for the faces of a photo."""

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.calibration.thresholds import threshold_of
from facehash.detectors.registry import Switch
from facehash.embedders.base import projects
from facehash.images.face import Face
from facehash.images.read import read_photo
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.base import Found, check_k
from facehash.index.exact import ExactIndex
from facehash.library.derived.arrays import spaces
from facehash.library.derived.codes import encode, project, read_hasher, read_thresholds
from facehash.library.derived.opened import OldSnapshotError, OpenedParts, open_parts
from facehash.library.query.copies import find_collapsed
from facehash.library.query.encoder import make_query_pipeline
from facehash.library.query.faces import QueryFace, choose, prepare, stored_query_face
from facehash.library.query.hits import make_hit
from facehash.library.query.metric import choose_metric
from facehash.library.query.remote import EngineSearch
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column, Store
from facehash.pipeline import FacePipeline, MakePipeline, NoFaceError, default_pipeline
from facehash.vectors import CodeDistance, Metric

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # to find a snapshot and index files of the same moment


class Library:
    """An open library; made by `facehash.open`.

    The first search loads the detector and the embedder and maps the index files into memory. When
    the library has changed since they were written, the next search reads the changed faces from
    the database. With an engine, a server proposes the faces and the library measures them; the
    index files are needed only if the server fails.

    Attributes:
        settings: Detector, embedder and codes of the library.
        by: What is compared: ``"code"`` or ``"embedding"``.
        metric: The metric of the distances: ``"cosine"``, ``"euclidean"``, ``"hamming"`` or
            ``"asymmetric"``. Codes are compared by the asymmetric distance by default, unless a
            model of version 0.1.0 made them, or facehash 0.1.0 made them of vectors.

    Example:
        >>> with facehash.open("lib") as library:
        ...     print(f"{len(library)} faces, compared by {library.by}: {library.metric}")
        3 faces, compared by embedding: cosine
    """

    def __init__(
        self,
        store: Store,
        by: Column | None = None,
        make_pipeline: MakePipeline = default_pipeline,
        distance: CodeDistance | None = None,
        engine: str | None = None,
        small_faces: Switch | None = None,
    ) -> None:
        self.store, self._small_faces = store, small_faces
        self._remote = None if engine is None else EngineSearch(store, engine)
        self.settings: Settings = store.settings()
        self._make_pipeline = make_pipeline
        self._hasher = read_hasher(store.database, self.settings)
        self._spaces = spaces(self.settings, self._hasher is not None)
        self.by: Column = by or ("code" if "code" in self._spaces else "embedding")
        if self._remote is not None:
            if by not in (None, self._remote.by):
                raise LibraryError(
                    f"{store.directory}: the engine {engine} compares by {self._remote.by}, not "
                    f"by {by}"
                )
            self.by = self._remote.by
        if self.by not in self._spaces:
            raise LibraryError(
                f"{store.directory}: cannot be searched by {self.by}, only by "
                f"{' or '.join(self._spaces)}"
            )
        self.metric: Metric | CodeDistance = choose_metric(
            store.directory, self.by, self.settings, self._hasher, distance
        )
        self._thresholds = read_thresholds(store.database) if self._hasher else None
        self._pipeline: FacePipeline | None = None
        self._opened: OpenedParts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of searchable faces."""
        if self._remote is not None:  # all faces have a row, except in a damaged library
            return int(self.store.database.value("SELECT count(*) FROM faces"))
        with contextlib.ExitStack() as stack:
            return len(self._current_index(self.metric, stack))

    def close(self) -> None:
        """Close the database, and the connection to a server."""
        if self._remote is not None:
            self._remote.close()
        self.store.close()

    @property
    def threshold(self) -> float | None:
        """Distance beyond which faces count as different people, or None if there is none."""
        return self._threshold(self.metric)

    def _threshold(self, metric: Metric | CodeDistance) -> float | None:
        if self.by == "embedding":
            found = threshold_of(self.settings.embedder_identity)
            return found.distance if found else None
        if self._thresholds is None:
            return None
        return self._thresholds.asymmetric if metric == "asymmetric" else self._thresholds.hamming

    def search(
        self,
        query: str | os.PathLike[str] | NDArray[np.uint8],
        k: int = 10,
        *,
        face: int | None = None,
        max_distance: float | None = None,
        collapse_copies: bool = False,
    ) -> tuple[QueryResult, ...]:
        """Find the k nearest faces of the library for each face of a photo.

        Args:
            query: A picture file, or uint8 (height, width, 3) RGB.
            k: Number of faces to find, at least 1; at most all faces are returned.
            face: Search for this face of the photo only; 1 is the largest.
            max_distance: Exclude faces that are farther.
            collapse_copies: Show the copies of a photo in other sizes as one hit, see
                `facehash.library.query.copies`. The photos must be readable.

        Returns:
            One result per face of the photo, largest first.

        Raises:
            NoFaceError: The photo has no face.
            InputError: k is below 1, the photo has no such face, or it cannot be read.
            LibraryError: The library is damaged, or its detector or embedder has changed.

        Example:
            >>> [result] = library.search("aunt.png", k=2)
            >>> [hit.rank for hit in result.hits]
            [1, 2]
            >>> result.hits[0].name
            'Ann'
        """
        check_k(k)
        path = None if isinstance(query, np.ndarray) else Path(query)
        image, scale = (query, 1.0) if isinstance(query, np.ndarray) else _read(Path(query))
        name = path or "the query"
        cropper = self.query_pipeline().cropper
        found = cropper.find(image)
        if not found:
            raise NoFaceError(f"{name}: no face found")
        faces = self.prepare(found, cropper.crop_faces(image, found), scale)
        return self.search_faces(
            [faces[i] for i in choose(len(faces), face, name)],
            k,
            max_distance=max_distance,
            collapse_copies=collapse_copies,
            query=path,
        )

    def prepare(
        self, faces: Sequence[Face], crops: NDArray[np.uint8], scale: float = 1.0
    ) -> tuple[QueryFace, ...]:
        """Embed faces that were found and cropped elsewhere, for `search_faces`.

        Args:
            faces: The faces of one photo, largest first, in decoded pixels.
            crops: uint8 (n, side, side, 3), cropped as the library's embedder expects.
            scale: Pixels of the photo per decoded one, see `facehash.images.read.Photo.scale`.

        Raises:
            LibraryError: The library's detector or embedder has changed.
        """
        embedder = self.query_pipeline().embedder
        by_projections = self._hasher is None and self.metric == "asymmetric"
        if by_projections and projects(embedder):
            return prepare(faces, crops, embedder.project(crops)[1], scale)
        return prepare(faces, crops, embedder.embed(crops), scale)

    def stored_face(self, face_id: int) -> QueryFace:
        """Return a face of the library as a query, for `search_faces`.

        Raises:
            LibraryError: There is no such face, or its record is damaged.

        Example:
            >>> [result] = library.search_faces([library.stored_face(1)], k=2)
            >>> result.hits[0].face_id
            1
        """
        return stored_query_face(self.store, face_id, self.settings)

    def search_faces(
        self,
        faces: Sequence[QueryFace],
        k: int = 10,
        *,
        max_distance: float | None = None,
        collapse_copies: bool = False,
        query: Path | None = None,
    ) -> tuple[QueryResult, ...]:
        """Find the k nearest faces of the library for faces from `prepare` or `stored_face`.

        The photo that the results name is `query`; other arguments and the errors are those of
        `search`.
        """
        check_k(k)
        if not faces:
            return ()
        rows, reasons = np.stack([one.row for one in faces]), [one.no_verdict for one in faces]
        if collapse_copies:
            metric, found = find_collapsed(
                self.store, k, lambda more: self._find(rows, more, max_distance, reasons)
            )
        else:
            metric, found = self._find(rows, k, max_distance, reasons)
        return tuple(
            QueryResult(query, face.face, face.box, hits, metric, face.crop)
            for face, hits in zip(faces, found, strict=True)
        )

    def query_pipeline(self) -> FacePipeline:
        """Return the detector and embedder that search the library; loaded at the first call."""
        if self._pipeline is None:
            self._pipeline = make_query_pipeline(
                self.settings, self._make_pipeline, self.store.directory, self._small_faces
            )
        return self._pipeline

    def search_vectors(
        self, vectors: ArrayLike, k: int = 10, *, max_distance: float | None = None
    ) -> tuple[QueryResult, ...]:
        """Find the k nearest faces of the library for vectors or codes.

        Args:
            vectors: Vectors of the library's embedder, float32 (n, dimension); for a library of
                the codes of a run, their projections, float32 (n, bits), see
                `facehash.learning.encoding.Projector.scaled`. A library that is searched by codes
                also takes packed codes, uint8 (n, ceil(bits / 8)), which have only the Hamming
                distance.
            k: Number of faces to find, at least 1; at most all faces are returned.
            max_distance: Exclude faces that are farther.

        Returns:
            One result per row.

        Raises:
            InputError: k is below 1, or the rows have another dtype or shape.

        Example:
            >>> vectors = np.ones((2, 12), np.float32)
            >>> [len(result.hits) for result in library.search_vectors(vectors, k=3)]
            [3, 3]
        """
        check_k(k)
        rows = np.asarray(vectors)
        metric, found = self._find(rows, k, max_distance, [None] * len(rows))
        return tuple(
            QueryResult(None, i, None, hits, metric) for i, hits in enumerate(found, start=1)
        )

    def _searchable(self, rows: NDArray[Any]) -> tuple[Metric | CodeDistance, NDArray[Any]]:
        """Hash or project vectors if codes are searched; other rows stay. Return the metric too."""
        if self.by == "code" and rows.dtype == np.uint8:
            return "hamming", rows
        if self._hasher is None or self.by != "code":
            return self.metric, rows
        rows = self.settings.space.check(rows, "queries")
        make = project if self.metric == "asymmetric" else encode
        return self.metric, make(self._hasher, rows, self.settings)

    def _find(
        self,
        rows: NDArray[Any],
        k: int,
        max_distance: float | None,
        reasons: Sequence[str | None],
    ) -> tuple[Metric | CodeDistance, list[tuple[Hit, ...]]]:
        """Search for vectors or codes; return the metric of the distances, and the hits.

        A reason says why there is no verdict on a row, whatever it is compared with.
        """
        metric, rows = self._searchable(rows)
        limit = np.inf if max_distance is None else max_distance
        # In one snapshot, or a face could be forgotten between the search and the look-up.
        with contextlib.ExitStack() as stack:
            index = self._index_for(metric, rows, k, stack)
            found: Found = index.search(rows, k)
            wanted = np.unique(found.ids[found.distances <= limit])
            faces = {face.id: face for face in self.store.faces(wanted.tolist())}
        threshold = self._threshold(metric)
        results = []
        found_rows = zip(found.distances.tolist(), found.ids.tolist(), reasons, strict=True)
        for distances, ids, reason in found_rows:
            near = [pair for pair in zip(distances, ids, strict=True) if pair[0] <= limit]
            hits = [
                make_hit(rank, distance, faces[i], threshold, self.settings.side, reason)
                for rank, (distance, i) in enumerate(near, start=1)
            ]
            results.append(tuple(hits))
        return metric, results

    def _index_for(
        self,
        metric: Metric | CodeDistance,
        rows: NDArray[Any],
        k: int,
        stack: contextlib.ExitStack,
    ) -> ExactIndex | AsymmetricIndex:
        """Return an index in which the k nearest faces of each row can be found, in a snapshot."""
        if self._remote is not None:
            if (index := self._remote.open(stack, self._spaces[self.by], rows, k)) is not None:
                return index
        return self._current_index(metric, stack)

    def refresh(self) -> None:
        """Release index arrays that are mapped into memory if the library has changed since."""
        if self._opened is not None and self.store.generation() != self._opened.generation:
            self._opened = None

    def _current_index(
        self, metric: Metric | CodeDistance, stack: contextlib.ExitStack
    ) -> ExactIndex | AsymmetricIndex:
        """Return an index of all faces, in a snapshot that the stack gets."""
        space = self._spaces[self.by]
        for retry in [True] * _ATTEMPTS + [False]:
            stack.enter_context(self.store.database.snapshot())
            try:
                opened = open_parts(self.store, self.by, space, self._opened, retry=retry)
            except OldSnapshotError:
                stack.close()
                continue
            self._opened = opened
            make = AsymmetricIndex if metric == "asymmetric" else ExactIndex
            return make.of_parts(opened.parts, space)
        raise AssertionError("unreachable")


def open_library(
    directory: str | os.PathLike[str],
    *,
    by: Column | None = None,
    distance: CodeDistance | None = None,
    engine: str | None = None,
    small_faces: Switch | None = None,
    make_pipeline: MakePipeline = default_pipeline,
) -> Library:
    """Open a library that `facehash index` made.

    Args:
        directory: The library.
        by: What to compare: ``"embedding"`` or ``"code"``. Default: codes if the library has any.
        distance: How codes are compared: ``"asymmetric"``, the query's projections with stored
            codes, or ``"hamming"``, code with code. Default: asymmetric, where the library has
            projections.
        engine: Name of an engine of the library (see ``facehash engine``), which is asked for
            candidates. If it fails, the local index is searched, with a warning. An asymmetric
            search takes its candidates by the Hamming distance.
        small_faces: Whether large queries are searched for small faces, ``"auto"`` or ``"off"``.
            Default: as in the library.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Raises:
        LibraryError: The directory is not a library, is empty or damaged, or has no such rows, no
            such distance or no such engine.
    """
    store = Store.open(Path(directory))
    try:
        return Library(store, by, make_pipeline, distance, engine, small_faces)
    except BaseException:
        store.close()
        raise


def _read(path: Path) -> tuple[NDArray[np.uint8], float]:
    """Return the pixels of a query, and the pixels of the photo per decoded one."""
    photo = read_photo(path)
    if photo.damage:
        log.warning(f"{path}: {photo.damage}; the rest is searched for")
    return photo.pixels, photo.scale
