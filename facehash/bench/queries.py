"""Who asks, who can be found, and what does not count: leave-one-out on a library's named faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Column, Store
from facehash.retrieval.vectors import CELLS
from facehash.vectors import Ids, Rows, Space, unit_rows

# What a product of float32 vectors is off by.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Faces:
    """The named faces of a library, whose truth is known; n of them, by increasing id.

    Attributes:
        ids: int64 (n,), their ids in the library.
        photos: int64 (n,), which photo each is on; copies of a file are one photo.
        people: int64 (n,), who each is.
        rows: (n, width), their vectors, scaled to length 1 where they are compared by cosine, or
            their codes.
        every: The same of all faces, named or not: what codes are fitted to.
        space: Where these live.
    """

    ids: Ids
    photos: Ids
    people: Ids
    rows: Rows
    every: Rows
    space: Space

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unnamed(self) -> int:
        """Faces without a name among `every`: they neither ask nor can be found."""
        return len(self.every) - len(self)


class Pairs(NamedTuple):
    """Pairs of a query and a face: number of the query, position of the face; int64 (p,) each."""

    query: NDArray[np.int64]
    face: NDArray[np.int64]

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """Return some of them."""
        return Pairs(self.query[kept], self.face[kept])


@dataclass(frozen=True)
class Trials:
    """What is asked of the faces, q queries.

    Attributes:
        faces: Who can be found.
        asked: int64 (q,), positions of the faces that ask.
        left_out: What a query does not find: itself, what is on its photo, near duplicates.
        same_photo: Pairs left out because both are on one photo, without a face and itself.
        near_duplicates: Pairs of one person left out because their vectors are nearly equal.
        as_near: Pairs of two people that are as near; they count, as wrong answers.
        without_match: Faces of people with two photos that were not asked, because they had no
            face left to be found.
    """

    faces: Faces
    asked: NDArray[np.int64]
    left_out: Pairs
    same_photo: int
    near_duplicates: int
    as_near: int
    without_match: int = 0

    @property
    def people(self) -> NDArray[np.int64]:
        """int64 (q,), who asks."""
        return self.faces.people[self.asked]

    def findable(self) -> NDArray[np.int64]:
        """Count for each query, int64 (q,), the faces of its person that it can find."""
        _, group, size = np.unique(self.faces.people, return_inverse=True, return_counts=True)
        found = size[group][self.asked].astype(np.int64)
        same = self.faces.people[self.left_out.face] == self.people[self.left_out.query]
        np.subtract.at(found, self.left_out.query[same], 1)
        return found


def read_faces(
    store: Store, column: Column, space: Space, leave_out: Collection[str] = ()
) -> Faces:
    """Read the named faces of a library.

    Args:
        store: The library.
        column: What its rows are.
        space: Where they live.
        leave_out: Names of people to be treated as if they were not in the library.

    Raises:
        LibraryError: Nobody has a name, or nobody is on two photos.
    """
    query = (
        "SELECT faces.id, photo_id, person_id, name FROM faces LEFT JOIN people "  # noqa: S608
        f"ON people.id = person_id WHERE {column} IS NOT NULL ORDER BY faces.id"
    )
    there = [row[:3] for row in store.database.rows(query) if row[3] not in leave_out]
    known = [row for row in there if row[2] is not None]
    parts = list(store.rows(column, space))
    if not known:
        raise LibraryError(
            f"{store.directory}: no face has a name, so no answer can be right or wrong; facehash "
            "people name, or facehash index --names folders, says who is who"
        )
    ids, photos, people = np.array(known, np.int64).T
    _check_repeated(store, photos, people)
    stored, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    rows = unit_rows(rows) if space.metric == "cosine" else rows
    every = rows[np.isin(stored, [face for face, _, _ in there])]
    return Faces(ids, photos, people, rows[np.isin(stored, ids)], every, space)


def _check_repeated(store: Store, photos: Ids, people: Ids) -> None:
    """Refuse labels of which none repeats, as file names do."""
    on_photos = np.unique(np.stack([people, photos], axis=1), axis=0)
    _, counts = np.unique(on_photos[:, 0], return_counts=True)
    if counts.max() < 2:
        raise LibraryError(
            f"{store.directory}: nobody is on two photos ({len(counts)} names, {len(people)} "
            "faces), so nobody can be found: with names that never repeat, such as file names, "
            "a score would be noise; name faces by person"
        )


def draw_trials(faces: Faces, near_duplicate: float, most: int, seed: int) -> Trials:
    """Choose the queries, and find what each does not count.

    Args:
        faces: Named faces.
        near_duplicate: Vectors of one person count as pictures of one moment from this cosine on,
            -1 to 1, once the mean of all vectors is taken off: some embedders put every face near
            the same one. Codes do not tell, and of them nothing is left out as such.
        most: Queries at most; of more, so many are drawn at random.
        seed: Of the draw.

    Raises:
        LibraryError: Nothing is left that could be found.
    """
    pairs = np.unique(np.stack([faces.people, faces.photos], axis=1), axis=0)
    repeated, counts = np.unique(pairs[:, 0], return_counts=True)
    candidates = np.flatnonzero(np.isin(faces.people, repeated[counts > 1]))
    order = np.random.default_rng(seed).permutation(candidates)
    centred = None if faces.space.metric == "hamming" else _centred(faces)
    kept, without, step = order[:0], 0, max(1, CELLS // len(faces))
    for start in range(0, len(order), step):
        drawn = order[start : start + step]
        matched = _ask(faces, drawn, centred, near_duplicate).findable() > 0
        kept = np.concatenate([kept, drawn[matched]])
        without += int((~matched).sum())
        if len(kept) >= most:
            break
    if not len(kept):
        raise LibraryError(
            "nobody is left to be found: all photos of one person are near duplicates of each "
            "other (--near-duplicate says from which cosine on)"
        )
    trials = _ask(faces, np.sort(kept[:most]), centred, near_duplicate)
    return dataclasses.replace(trials, without_match=without)


def _ask(
    faces: Faces, asked: NDArray[np.int64], centred: Rows | None, near_duplicate: float
) -> Trials:
    """Find what so many queries do not count."""
    same = _same_photo(faces.photos, asked)
    near = _near_duplicates(asked, centred, near_duplicate)
    near = near.where(faces.photos[asked[near.query]] != faces.photos[near.face])
    of_one = faces.people[asked[near.query]] == faces.people[near.face]
    left_out = Pairs(*map(np.concatenate, zip(same, near.where(of_one), strict=True)))
    return Trials(
        faces,
        asked,
        left_out,
        same_photo=len(same.query) - len(asked),
        near_duplicates=int(of_one.sum()),
        as_near=int((~of_one).sum()),
    )


def _same_photo(photos: Ids, asked: NDArray[np.int64]) -> Pairs:
    """Pair every query with the faces on its photo, itself among them."""
    order = np.argsort(photos, kind="stable")
    start, end = (np.searchsorted(photos[order], photos[asked], side) for side in ("left", "right"))
    size = end - start
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    query = np.repeat(np.arange(len(asked)), size)
    return Pairs(query, order[np.repeat(start, size) + offset])


def _centred(faces: Faces) -> Rows:
    """Take the mean of all vectors off, and scale to length 1."""
    return unit_rows(faces.rows - faces.every.mean(axis=0, dtype=np.float64).astype(np.float32))


def _near_duplicates(asked: NDArray[np.int64], centred: Rows | None, limit: float) -> Pairs:
    """Pair every query with the other faces whose vectors have at least a cosine with its own."""
    if centred is None:
        nothing = np.zeros(0, np.int64)
        return Pairs(nothing, nothing)
    found, step = [], max(1, CELLS // len(centred))
    for start in range(0, len(asked), step):
        cosines = centred[asked[start : start + step]] @ centred.T
        query, face = np.nonzero(cosines >= limit - _ROUNDING)
        found.append(np.stack([query + start, face]))
    query, face = np.concatenate(found, axis=1)
    return Pairs(query, face).where(asked[query] != face)
