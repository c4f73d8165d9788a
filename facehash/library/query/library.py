"""Searching a library for the faces of a photo."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.calibration.thresholds import threshold_of
from facehash.errors import InputError
from facehash.images.read import read_image
from facehash.index.base import Found, check_k
from facehash.index.exact import ExactIndex
from facehash.library.derived.arrays import open_index, spaces
from facehash.library.derived.codes import encode, read_hasher
from facehash.library.query.encoder import make_matching
from facehash.library.query.results import Hit, QueryResult
from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column, Store
from facehash.pipeline import FacePipeline, MakePipeline, default_pipeline
from facehash.vectors import Metric


class Library:
    """An open library; made by `facehash.open`.

    The first search loads the detector and the embedder and maps the index arrays into memory;
    they are mapped again when the library has changed.

    Attributes:
        settings: Detector, embedder and codes of the library.
        by: What is compared: ``"code"`` or ``"embedding"``.

    Example:
        >>> with facehash.open("lib") as library:
        ...     print(f"{len(library)} faces, compared by {library.by}: {library.metric}")
        3 faces, compared by embedding: cosine
    """

    def __init__(
        self, store: Store, by: Column | None = None, make_pipeline: MakePipeline = default_pipeline
    ) -> None:
        self.store = store
        self.settings: Settings = store.settings()
        self._make_pipeline = make_pipeline
        self._hasher = read_hasher(store.database, self.settings)
        self._spaces = spaces(self.settings, self._hasher is not None)
        self.by: Column = by or ("code" if "code" in self._spaces else "embedding")
        if self.by not in self._spaces:
            raise LibraryError(
                f"{store.directory}: cannot be searched by {self.by}, only by "
                f"{' or '.join(self._spaces)}"
            )
        self._pipeline: FacePipeline | None = None
        self._index: tuple[int, ExactIndex] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of searchable faces."""
        return len(self._current_index())

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    @property
    def metric(self) -> Metric:
        """The metric of the distances: ``"cosine"``, ``"euclidean"`` or ``"hamming"``."""
        return "hamming" if self.by == "code" else self.settings.metric

    @property
    def threshold(self) -> float | None:
        """Distance beyond which faces count as different people, or None if there is none."""
        if self.by == "code":
            return None
        found = threshold_of(self.settings.embedder_identity)
        return found.distance if found else None

    def search(
        self,
        query: str | os.PathLike[str] | NDArray[np.uint8],
        k: int = 10,
        *,
        face: int | None = None,
        max_distance: float | None = None,
    ) -> tuple[QueryResult, ...]:
        """Find the k nearest faces of the library for each face of a photo.

        Args:
            query: A picture file, or uint8 (height, width, 3) RGB.
            k: Number of faces to find, at least 1; at most all faces are returned.
            face: Search for this face of the photo only; 1 is the largest.
            max_distance: Exclude faces that are farther.

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
        image = query if isinstance(query, np.ndarray) else read_image(Path(query))
        name = path or "the query"
        if self._pipeline is None:
            self._pipeline = make_matching(self.settings, self._make_pipeline, self.store.directory)
        photo = self._pipeline.embed(image, name)
        chosen = _choose(len(photo.boxes), face, name)
        found = self._find(self._searchable(photo.rows[chosen]), k, max_distance)
        return tuple(
            QueryResult(path, i + 1, photo.boxes[i], hits, self.metric, photo.crops[i])
            for i, hits in zip(chosen, found, strict=True)
        )

    def search_vectors(
        self, vectors: ArrayLike, k: int = 10, *, max_distance: float | None = None
    ) -> tuple[QueryResult, ...]:
        """Find the k nearest faces of the library for vectors or codes.

        Args:
            vectors: Vectors of the library's embedder, float32 (n, dimension). A library that is
                searched by codes also takes packed codes, uint8 (n, ceil(bits / 8)).
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
        found = self._find(self._searchable(np.asarray(vectors)), k, max_distance)
        return tuple(
            QueryResult(None, i, None, hits, self.metric) for i, hits in enumerate(found, start=1)
        )

    def _searchable(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Hash vectors if the library is searched by codes; return other rows unchanged."""
        if self._hasher is None or self.by != "code" or rows.dtype == np.uint8:
            return rows
        return encode(self._hasher, self.settings.space.check(rows, "queries"), self.settings)

    def _find(
        self, rows: NDArray[Any], k: int, max_distance: float | None
    ) -> list[tuple[Hit, ...]]:
        limit = np.inf if max_distance is None else max_distance
        # In one snapshot, or a face could be forgotten between the search and the look-up.
        with self.store.database.snapshot():
            found: Found = self._current_index().search(rows, k)
            wanted = np.unique(found.ids[found.distances <= limit])
            faces = {face.id: face for face in self.store.faces(wanted.tolist())}
        threshold = self.threshold
        results = []
        for distances, ids in zip(found.distances.tolist(), found.ids.tolist(), strict=True):
            near = [pair for pair in zip(distances, ids, strict=True) if pair[0] <= limit]
            results.append(
                tuple(
                    Hit(
                        rank,
                        distance,
                        faces[i].name,
                        faces[i].path,
                        faces[i].number,
                        faces[i].box,
                        i,
                        None if threshold is None else distance <= threshold,
                    )
                    for rank, (distance, i) in enumerate(near, start=1)
                )
            )
        return results

    def _current_index(self) -> ExactIndex:
        generation = self.store.generation()
        if self._index is None or self._index[0] != generation:
            index = open_index(self.store, self.by, self._spaces[self.by])
            self._index = (generation, index)
        return self._index[1]


def open_library(
    directory: str | os.PathLike[str],
    *,
    by: Column | None = None,
    make_pipeline: MakePipeline = default_pipeline,
) -> Library:
    """Open a library that `facehash index` made.

    Args:
        directory: The library.
        by: What to compare: ``"embedding"`` or ``"code"``. Default: codes if the library has any.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Raises:
        LibraryError: The directory is not a library, is empty or damaged, or has no such rows.
    """
    store = Store.open(Path(directory))
    try:
        return Library(store, by, make_pipeline)
    except BaseException:
        store.close()
        raise


def _choose(count: int, number: int | None, name: object) -> Sequence[int]:
    """Return the indices of all faces, or of the face with a number."""
    if number is None:
        return range(count)
    if not 1 <= number <= count:
        faces = "1 face" if count == 1 else f"{count} faces"
        raise InputError(f"{name}: has {faces}, there is no face {number}")
    return [number - 1]
