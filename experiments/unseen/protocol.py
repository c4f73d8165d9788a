"""Held-out queries among people nobody trained on, in galleries of several sizes.

One photo of each person with two or more is a query, and nothing is fitted to it; the other photos
are the gallery, to which distractors, photos of further people, may be added. The queries of a
draw are those of `facehash.bench.queries.hold_out`, whatever the distractors.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.arrays import read_vectors_file
from facehash.bench.queries import NamedFaces, QuerySet, hold_out
from facehash.bench.queries import leave_one_out as queries_of_all
from facehash.errors import InputError
from facehash.vectors import Rows, unit_rows


class LabeledVectors(NamedTuple):
    """Face embeddings and the name of the person of each."""

    rows: Rows  # float32 (n, d), of length 1
    names: NDArray[np.str_]  # (n,)

    def people(self) -> set[str]:
        """Return the names, case-folded."""
        return {name.casefold() for name in self.names.tolist()}

    def without(self, people: Collection[str]) -> "LabeledVectors":
        """Return the faces of all other people; `people` are case-folded names."""
        kept = [name.casefold() not in people for name in self.names.tolist()]
        return LabeledVectors(self.rows[kept], self.names[kept])


def read_vectors(path: Path) -> LabeledVectors:
    """Read labeled vectors, see `data.arrays`, and scale them to length 1.

    Raises:
        FacesFileError: An unreadable file, or arrays of another shape or type.
    """
    faces = read_vectors_file(path)
    names = np.array(faces.identities)[faces.labels]
    return LabeledVectors(unit_rows(np.asarray(faces.vectors)), names)


def leave_one_out(judged: LabeledVectors) -> QuerySet:
    """Make every face of a person with two or more a query among all other faces."""
    _, people = np.unique(judged.names, return_inverse=True)
    return queries_of_all(NamedFaces.of_vectors(judged.rows, people.astype(np.int64)))


def with_distractors(
    queries: QuerySet, others: LabeledVectors, size: int, seed: int = 0
) -> QuerySet:
    """Add distractors, so that `size` faces remain when one query of each person is held out.

    Args:
        queries: As from `leave_one_out`.
        others: Faces of people who are not among those of `queries`.
        size: Number of faces.
        seed: Seed of the draw of distractors.

    Raises:
        InputError: There are too few faces, or `size` is smaller than the gallery.
    """
    faces = queries.faces
    missing = size - (len(faces) - len(np.unique(queries.people)))
    if not 0 <= missing <= len(others.rows):
        raise InputError(
            f"a gallery of {size:,} faces needs {missing:,} distractors, there are "
            f"{len(others.rows):,}"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(len(others.rows))[:missing])
    _, person = np.unique(others.names, return_inverse=True)
    rows = np.concatenate([faces.rows, others.rows[chosen]])
    people = np.concatenate([faces.people, faces.people.max() + 1 + person[chosen]])
    return replace(queries, faces=NamedFaces.of_vectors(rows, people))


def draws(queries: QuerySet, count: int) -> list[QuerySet]:
    """Return `count` draws of held-out queries, one face of each person, by the seeds 0, 1, ...

    Example:
        >>> names = np.array(["ann", "ann", "bob", "bob", "bob", "cid"])
        >>> rows = np.eye(6, 8, dtype=np.float32)
        >>> [drawn] = draws(leave_one_out(LabeledVectors(rows, names)), 1)
        >>> len(drawn.rows), len(drawn.faces)  # queries, gallery
        (2, 4)
    """
    return [hold_out(queries, draw) for draw in range(count)]


def draw_some(queries: QuerySet, most: int, seed: int = 0) -> QuerySet:
    """Draw at most so many leave-one-out queries; each ignores itself."""
    count = len(queries.query_indices)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:most])
    number = np.full(count, -1)
    number[chosen] = np.arange(len(chosen))
    pairs = queries.excluded.where(number[queries.excluded.query] >= 0)
    return replace(
        queries,
        query_indices=queries.query_indices[chosen],
        excluded=pairs._replace(query=number[pairs.query]),
    )
