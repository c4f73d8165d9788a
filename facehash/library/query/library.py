"""Asking a library: whose face is this, and on which photos?"""

from __future__ import annotations

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
    """A library that can be asked.

    Detector and embedder are made at the first photo that is asked for; arrays are mapped into
    memory at the first question, and again when the library has changed.

    Attributes:
        settings: What the library was made with.
        by: What is compared: ``"code"`` in a library with codes, else ``"embedding"``.
    """

    def __init__(
        self,
        store: Store,
        by: Column | None = None,
        make_pipeline: MakePipeline = default_pipeline,
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
        """Return the number of faces that can be found."""
        return len(self._current_index())

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    @property
    def metric(self) -> Metric:
        """What the distances are."""
        return "hamming" if self.by == "code" else self.settings.metric

    @property
    def threshold(self) -> float | None:
        """Distance beyond which a face is another person's, None where none is known."""
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
            k: How many to find, at least 1; a smaller library is returned whole.
            face: Ask for this face of the photo only, 1 the largest.
            max_distance: Leave out what is farther.

        Returns:
            One answer a face of the photo, largest first.

        Raises:
            NoFaceError: No face in the photo.
            InputError: k below 1, no such face, or a file that cannot be read.
            LibraryError: The library is damaged, or its embedder is not what it was made with.
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
        """Find the k nearest faces of the library for rows of its embedder.

        Args:
            vectors: float32 (n, dimension), or packed codes uint8 (n, bytes) in a library searched
                by codes, whose vectors are taken as well and hashed.
            k: How many to find, at least 1; a smaller library is returned whole.
            max_distance: Leave out what is farther.

        Returns:
            One answer a row.

        Raises:
            InputError: k below 1, or rows of another dtype or shape.
        """
        check_k(k)
        found = self._find(self._searchable(np.asarray(vectors)), k, max_distance)
        return tuple(
            QueryResult(None, i, None, hits, self.metric) for i, hits in enumerate(found, start=1)
        )

    def _searchable(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows as they are, and vectors as codes in a library searched by codes."""
        if self._hasher is None or self.by != "code" or rows.dtype == np.uint8:
            return rows
        return encode(self._hasher, self.settings.space.check(rows, "queries"), self.settings)

    def _find(
        self, rows: NDArray[Any], k: int, max_distance: float | None
    ) -> list[tuple[Hit, ...]]:
        """Turn what the index finds into hits."""
        limit = np.inf if max_distance is None else max_distance
        # Of one moment, or a face could be forgotten between being found and being told of.
        with self.store.database.snapshot():
            found: Found = self._current_index().search(rows, k)
            wanted = np.unique(found.ids[found.distances <= limit])
            faces = {face.id: face for face in self.store.faces(wanted.tolist())}
        threshold = self.threshold
        answers = []
        for distances, ids in zip(found.distances.tolist(), found.ids.tolist(), strict=True):
            near = [pair for pair in zip(distances, ids, strict=True) if pair[0] <= limit]
            answers.append(
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
        return answers

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
        by: ``"embedding"`` or ``"code"``; by default codes where there are any.
        make_pipeline: Makes detector and embedder of their names.

    Raises:
        LibraryError: No library, an empty or damaged one, or one without what `by` names.
    """
    store = Store.open(Path(directory))
    try:
        return Library(store, by, make_pipeline)
    except BaseException:
        store.close()
        raise


def _choose(count: int, number: int | None, name: object) -> Sequence[int]:
    """Return the indices of the faces asked for."""
    if number is None:
        return range(count)
    if not 1 <= number <= count:
        has = "1 face" if count == 1 else f"{count} faces"
        raise InputError(f"{name}: has {has}, there is no face {number}")
    return [number - 1]
