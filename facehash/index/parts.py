"""An index in parts: arrays that are searched one by one, as if they were one array."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facehash.hamming.words import CodeWords
from facehash.vectors import Ids, IndexRowsError, Rows, Space

# Rows that are found beyond k at first, as rows that no longer count may be among them.
_SPARE = 64

Find = Callable[[Any, int], tuple[NDArray[Any], Ids]]
"""Called with the rows of a part and k: scores (q, k), lowest first, and positions (q, k)."""


def _none() -> Ids:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of an index."""

    rows: Rows | CodeWords  # (n, width), or the words of n codes
    ids: Ids  # int64 (n,), increasing
    removed: Ids = field(default_factory=_none)  # positions of rows that do not count, increasing

    def __len__(self) -> int:
        """Return the number of rows that count."""
        return len(self.ids) - len(self.removed)


def check_part(part: Part, space: Space) -> None:
    """Refuse arrays of another dtype or shape; the values are not checked.

    Raises:
        IndexRowsError: They do not fit the space, or each other.
    """
    rows, ids = part.rows, part.ids
    if isinstance(rows, CodeWords):
        fits = space.metric == "hamming" and rows.bits == space.dimension
    else:
        fits = space.metric != "hamming" and rows.dtype == space.dtype
        fits &= rows.shape == (len(ids), space.dimension)
    if not fits or ids.dtype != np.int64 or ids.shape != (len(rows),):
        raise IndexRowsError(f"rows and ids are not prepared for {space}")


class PartsIndex:
    """What the indexes that search parts have in common.

    Args:
        rows: float32 (n, dimension), finite, and of length 1 or 0 if compared by cosine; or the
            words of codes. May be memory-mapped.
        ids: int64 (n,), increasing.
        space: The metric and dimension of the rows.

    Raises:
        IndexRowsError: Another dtype or shape; the values are not checked.
    """

    def __init__(self, rows: Rows | CodeWords, ids: Ids, space: Space) -> None:
        self._use([Part(rows, ids)], space)

    @classmethod
    def of_parts(cls, parts: Sequence[Part], space: Space) -> Self:
        """Use rows in several arrays, each as the class takes them, and with ids of its own.

        Raises:
            IndexRowsError: Another dtype or shape.
        """
        index = cls.__new__(cls)
        index._use(parts, space)
        return index

    def _use(self, parts: Sequence[Part], space: Space) -> None:
        for part in parts:
            check_part(part, space)
        self.space, self._parts = space, tuple(parts)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self._parts))


def search_parts(parts: Sequence[Part], k: int, find: Find) -> tuple[NDArray[Any], Ids]:
    """Find the k nearest rows to each query in all parts.

    The result is that of one array with the rows of all parts, sorted by id.

    Args:
        parts: At least one; no id may count in two parts.
        k: Number of rows, at most as many as count.
        find: The search of one array. A row must have the same score in any array; equal scores
            are sorted by position.

    Returns:
        Scores (q, k), lowest first, and ids int64 (q, k); ties are sorted by id.
    """
    found = [_search_part(part, min(k, len(part)), find) for part in parts]
    if len(parts) == 1:
        [(scores, positions)] = found
        return scores, parts[0].ids[positions]
    scores = np.concatenate([one for one, _ in found], axis=1)
    ids = np.concatenate([part.ids[at] for part, (_, at) in zip(parts, found, strict=True)], axis=1)
    order = np.lexsort((ids, scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def _search_part(part: Part, k: int, find: Find) -> tuple[NDArray[Any], Ids]:
    """Find the k nearest rows that count."""
    removed = part.removed
    if not len(removed):
        return find(part.rows, k)
    spare = min(len(removed), max(k, _SPARE))
    while True:
        scores, positions = find(part.rows, k + spare)
        place = np.minimum(np.searchsorted(removed, positions), len(removed) - 1)
        # A blank row is never found; there is -1 in its place.
        gone = (removed[place] == positions) | (positions < 0)
        if spare == len(removed) or (gone.sum(axis=1) <= spare).all():
            break
        spare = min(len(removed), 8 * spare)
    order = np.argsort(gone, axis=1, kind="stable")[:, :k]  # keeps the order of the others
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)
