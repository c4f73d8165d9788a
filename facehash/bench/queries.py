"""The queries of a library: which named faces are queries, and what each ignores.

Leave-one-out, every query is a face of the library, to which codes are fitted. This flatters them:
a new photo, which a user searches for, is not among the faces that codes were fitted to. Held out,
one face of each person is a query, and the library is what remains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.library.storage.database import LibraryError
from facehash.library.storage.rows import read_rows
from facehash.library.storage.store import Column, Store
from facehash.retrieval.vectors import CELLS
from facehash.vectors import Ids, Rows, Space, unit_rows

# Rounding error of a dot product of float32 vectors of length 1.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class NamedFaces:
    """The named faces of a library, n of them, by increasing id: their identity is known."""

    ids: Ids  # int64 (n,), in the library
    photos: Ids  # int64 (n,), the photo of each face; copies of a file are one photo
    people: Ids  # int64 (n,), the person of each face
    rows: Rows  # (n, width), codes, or vectors, which have length 1 if compared by cosine
    all_rows: Rows  # (m, width), of all faces, named or not: codes are fitted to these
    space: Space  # of the rows
    places: Ids  # int64 (n,), of the rows in all_rows
    projections: NDArray[np.float32] | None = None  # (n, bits), of rows that are codes of a network

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> NamedFaces:
        """Return some of the named faces, by position or by a mask, with the same `all_rows`."""
        names = ["ids", "photos", "people", "rows", "places"]
        names += [] if self.projections is None else ["projections"]
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in names})

    @classmethod
    def of_vectors(cls, rows: NDArray[np.float32], people: Ids) -> NamedFaces:
        """Return faces without a library, compared by cosine, each on a photo of its own.

        Args:
            rows: float32 (n, d), of length 1.
            people: int64 (n,), the person of each.
        """
        order = np.arange(len(rows), dtype=np.int64)
        return cls(order, order, people, rows, rows, Space("cosine", rows.shape[1]), order)

    @property
    def num_unnamed(self) -> int:
        """Number of faces without a name; they are neither queries nor candidates."""
        return len(self.all_rows) - len(self)


class Pairs(NamedTuple):
    """Pairs of a query (its number) and a face (its position), int64 (p,) each."""

    query: NDArray[np.int64]
    face: NDArray[np.int64]

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """Return the pairs selected by a mask."""
        return Pairs(self.query[kept], self.face[kept])


@dataclass(frozen=True)
class QuerySet:
    """The queries of a benchmark, q of them, and the pairs that do not count."""

    faces: NamedFaces  # the faces that are searched
    query_indices: NDArray[np.int64]  # int64 (q,), positions of the queries in `asking`
    excluded: Pairs  # what a query ignores: itself, faces on its photo, near duplicates
    same_photo: int  # excluded pairs on one photo, not counting the query itself
    near_duplicates: int  # excluded pairs of one person with nearly equal vectors
    cross_person: int  # such pairs of two people; they count, as wrong results
    without_match: int  # faces that are no queries, because all matches would be excluded
    held_out: NamedFaces | None = None  # the queries, where they are not among the faces

    @property
    def asking(self) -> NamedFaces:
        """The faces that contain the queries: those that are searched, or those held out."""
        return self.faces if self.held_out is None else self.held_out

    @property
    def people(self) -> NDArray[np.int64]:
        """int64 (q,), the person of each query."""
        return self.asking.people[self.query_indices]

    @property
    def rows(self) -> Rows:
        """(q, width), the row of each query."""
        return self.asking.rows[self.query_indices]

    def num_relevant(self) -> NDArray[np.int64]:
        """Return for each query, int64 (q,), how many faces of its person it can find."""
        return _num_relevant(self.faces.people, self.people, self.excluded)


def hold_out(queries: QuerySet, seed: int) -> QuerySet:
    """Draw one query of each person, and remove these faces from those that are searched.

    Codes are then fitted to what remains, the unnamed faces included.

    Args:
        queries: Leave-one-out queries. Each has a face to find, which is not a query of the draw.
        seed: Seed of the draw.

    Returns:
        One query per person of `queries`, in the order of the people, and what each ignores among
        the remaining faces.
    """
    faces = queries.faces
    shuffled = np.random.default_rng(seed).permutation(len(queries.query_indices))
    _, first = np.unique(queries.people[shuffled], return_index=True)
    drawn = shuffled[first]  # numbers of queries
    held = queries.query_indices[drawn]  # positions of faces
    kept = np.ones(len(faces), bool)
    kept[held] = False
    remaining = np.ones(len(faces.all_rows), bool)
    remaining[faces.places[held]] = False
    number = np.full(len(queries.query_indices), -1)
    number[drawn] = np.arange(len(drawn))
    pairs = queries.excluded
    pairs = pairs.where((number[pairs.query] >= 0) & kept[pairs.face])
    return dataclasses.replace(
        queries,
        faces=dataclasses.replace(
            faces.select(kept),
            all_rows=faces.all_rows[remaining],
            places=_positions(remaining)[faces.places[kept]],
        ),
        query_indices=np.arange(len(held)),
        excluded=Pairs(number[pairs.query], _positions(kept)[pairs.face]),
        held_out=faces.select(held),
    )


def _positions(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the position of each kept item among those kept."""
    return np.asarray(np.cumsum(kept) - 1, dtype=np.int64)


def read_faces(
    store: Store, column: Column, space: Space, exclude_people: Collection[str] = ()
) -> NamedFaces:
    """Read the named faces of a library.

    Args:
        store: The library.
        column: Which rows to read, embeddings or codes.
        space: The space of these rows.
        exclude_people: Names of people whose faces are ignored, as if they were not indexed. Faces
            in videos are ignored too: consecutive ones are too much alike.

    Raises:
        LibraryError: No face has a name, or no person is on two photos.
    """
    query = (
        "SELECT faces.id, photo_id, person_id, name FROM faces LEFT JOIN people "  # noqa: S608
        f"ON people.id = person_id WHERE {column} IS NOT NULL AND seconds IS NULL "
        "ORDER BY faces.id"
    )
    included = [row[:3] for row in store.database.rows(query) if row[3] not in exclude_people]
    named = [row for row in included if row[2] is not None]
    if not named:
        raise LibraryError(
            f"{store.directory}: no face has a name, so no result can be right or wrong; name "
            "faces with facehash people name or facehash index --names folders"
        )
    ids, photos, people = np.array(named, np.int64).T
    if not len(_repeated_people(photos, people)):
        raise LibraryError(
            f"{store.directory}: no person is on two photos ({len(np.unique(people))} names, "
            f"{len(people)} faces), so no query has a correct result: with names that never "
            "repeat, such as file names, a score would be noise; name faces by person"
        )
    stored, rows = read_rows(store, column, space)  # (m,), (m, width)
    rows = unit_rows(rows) if space.metric == "cosine" else rows
    all_ids = stored[np.isin(stored, [face for face, _, _ in included])]
    all_rows = rows[np.isin(stored, all_ids)]
    places = np.searchsorted(all_ids, ids)
    return NamedFaces(ids, photos, people, rows[np.isin(stored, ids)], all_rows, space, places)


def _repeated_people(photos: Ids, people: Ids) -> Ids:
    """Return the people who are on at least two photos."""
    pairs = np.unique(np.stack([people, photos], axis=1), axis=0)
    person, count = np.unique(pairs[:, 0], return_counts=True)
    return person[count > 1]


def draw_queries(faces: NamedFaces, near_duplicate: float, max_queries: int, seed: int) -> QuerySet:
    """Draw the queries, and find the pairs that do not count.

    Args:
        faces: Named faces.
        near_duplicate: Two faces of one person are near duplicates, pictures of one moment, if the
            cosine of their vectors is at least this, -1 to 1. The mean vector is subtracted first,
            because some embedders put every face near the same vector. For codes there are no
            near duplicates.
        max_queries: If there are more queries, this many are drawn at random.
        seed: Seed of the draw.

    Raises:
        LibraryError: No query has a face to find.
    """
    repeated = _repeated_people(faces.photos, faces.people)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(faces.people, repeated)))
    centred = None
    if faces.space.metric != "hamming":
        mean = faces.all_rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = unit_rows(faces.rows - mean)
    kept, without_match = order[:0], 0
    same, near = [_NO_PAIRS], [_NO_PAIRS]  # their queries are positions of faces
    step = max(1, CELLS // len(faces))
    for start in range(0, len(order), step):
        drawn = order[start : start + step]
        on_photo = _same_photo(faces.photos, drawn)
        close = _near_duplicates(faces, drawn, centred, near_duplicate)
        excluded = _joined([on_photo, close.where(_one_person(faces, drawn, close))])
        matched = _num_relevant(faces.people, faces.people[drawn], excluded) > 0
        kept = np.concatenate([kept, drawn[matched]])
        without_match += int((~matched).sum())
        same.append(Pairs(drawn[on_photo.query], on_photo.face))
        near.append(Pairs(drawn[close.query], close.face))
        if len(kept) >= max_queries:
            break
    if not len(kept):
        raise LibraryError(
            "no query has a face to find: all photos of each person are near duplicates of each "
            "other (--near-duplicate sets the cosine from which on they are)"
        )
    kept = np.sort(kept[:max_queries])
    on_photo, close = _of_queries(kept, _joined(same)), _of_queries(kept, _joined(near))
    one_person = _one_person(faces, kept, close)
    return QuerySet(
        faces,
        kept,
        _joined([on_photo, close.where(one_person)]),
        same_photo=len(on_photo.query) - len(kept),
        near_duplicates=int(one_person.sum()),
        cross_person=int((~one_person).sum()),
        without_match=without_match,
    )


def leave_one_out(faces: NamedFaces) -> QuerySet:
    """Make every face of a person with two or more a query among all others.

    Near duplicates count.

    Raises:
        LibraryError: No person has two faces.
    """
    # A cosine is at most 1, so no pair is a near duplicate.
    return draw_queries(faces, near_duplicate=2.0, max_queries=len(faces), seed=0)


_NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))


def _joined(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(*map(np.concatenate, zip(*parts, strict=True)))


def _of_queries(query_indices: Ids, pairs: Pairs) -> Pairs:
    """Select the pairs of some queries, and replace positions of faces by numbers of queries."""
    chosen = pairs.where(np.isin(pairs.query, query_indices))
    return Pairs(np.searchsorted(query_indices, chosen.query), chosen.face)


def _one_person(faces: NamedFaces, query_indices: Ids, pairs: Pairs) -> NDArray[np.bool_]:
    """Return for each pair, bool (p,), whether both faces are of one person."""
    same: NDArray[np.bool_] = faces.people[query_indices[pairs.query]] == faces.people[pairs.face]
    return same


def _num_relevant(people: Ids, of_query: Ids, excluded: Pairs) -> NDArray[np.int64]:
    person, size = np.unique(people, return_counts=True)
    count = size[np.searchsorted(person, of_query)].astype(np.int64)
    same = people[excluded.face] == of_query[excluded.query]
    np.subtract.at(count, excluded.query[same], 1)
    return count


def _same_photo(photos: Ids, query_indices: Ids) -> Pairs:
    """Pair every query with the faces on its photo, including itself."""
    order = np.argsort(photos, kind="stable")
    start, end = (
        np.searchsorted(photos[order], photos[query_indices], side) for side in ("left", "right")
    )
    size = end - start
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    query = np.repeat(np.arange(len(query_indices)), size)
    return Pairs(query, order[np.repeat(start, size) + offset])


def _near_duplicates(
    faces: NamedFaces, query_indices: Ids, centred: Rows | None, limit: float
) -> Pairs:
    """Pair every query with the faces on other photos whose vectors are nearly equal to its own."""
    if centred is None:
        return _NO_PAIRS
    cosines = centred[query_indices] @ centred.T  # (queries of the block, n)
    pairs = Pairs(*np.nonzero(cosines >= limit - _ROUNDING))
    return pairs.where(faces.photos[query_indices[pairs.query]] != faces.photos[pairs.face])
