"""The faces of a video: one row for each face that stays at nearly the same place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.thresholds import threshold_of
from facehash.images.face import Face
from facehash.images.quality import quality
from facehash.index.exact import ExactIndex
from facehash.vectors import Space

MOST_TRACKS = 5000
"""Rows that a video may have; the rest of it is not read."""

_GAP = 2.5
"""Periods without the face after which it counts as another appearance: one may be missed."""
_SHIFT = 1.0
"""Largest shift of a face's center from frame to frame, in sides of its box."""
_STRETCH = 2.0
"""Largest change of its size."""
_UNKNOWN = {"cosine": 0.3, "euclidean": 0.3, "hamming": 0.2}
"""Distances of an embedder without a threshold: for Euclidean vectors by their length, for codes by
their number of bits. Half of the pairs of one person are within the cosine distance."""


@dataclass(frozen=True)
class Track:
    """A face that was seen in consecutive frames."""

    face: Face  # in the best frame
    crop: NDArray[np.uint8]  # (side, side, 3)
    row: NDArray[Any]  # (width,), of the crop
    quality: float
    seconds: float  # of the best frame
    first: float  # when it was seen first
    last: float  # and last
    end: Face  # in the last frame
    end_row: NDArray[Any]


class Tracker:
    """Collapses the faces of consecutive frames into tracks.

    A face continues a track if it was seen in one of the two periods before, at nearly the same
    place, with a vector that is within the threshold of the embedder from that of the last or of
    the best frame. Place alone would make one person of two who follow each other in an interview,
    and vectors alone would miss where someone is; only both collapse rows.

    Args:
        space: The space of the embedder's rows.
        identity: See `facehash.embedders.base.Embedder`.
        period: Seconds between two frames.
    """

    def __init__(self, space: Space, identity: str, period: float) -> None:
        self._space, self._gap = space, _GAP * period
        known = threshold_of(identity)
        self._limit = None if known is None else known.distance
        self._open: list[Track] = []
        self._closed: list[Track] = []

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def add(
        self,
        seconds: float,
        faces: Sequence[Face],
        crops: NDArray[np.uint8],
        rows: NDArray[Any],
    ) -> None:
        """Add the faces of the next frame: crops (n, side, side, 3), rows (n, width)."""
        self._closed += [one for one in self._open if seconds - one.last > self._gap]
        self._open = [one for one in self._open if seconds - one.last <= self._gap]
        pairs = []
        if self._open and faces:
            distances = np.minimum(
                self._distances(rows, [one.end_row for one in self._open]),
                self._distances(rows, [one.row for one in self._open]),
            )
            pairs = sorted(
                (float(distances[i, j]), i, j)
                for i, face in enumerate(faces)
                for j, track in enumerate(self._open)
                if distances[i, j] <= self._limit_of(rows[i]) and _is_near(face, track.end)
            )
        taken: dict[int, int] = {}
        for _, i, j in pairs:
            if i not in taken and j not in taken.values():
                taken[i] = j
        for i, face in enumerate(faces):
            new = Track(
                face, crops[i], rows[i], quality(face, crops[i]), seconds, seconds, seconds, face,
                rows[i],
            )  # fmt: skip
            if i in taken:
                self._open[taken[i]] = _continued(self._open[taken[i]], new)
            else:
                self._open.append(new)

    def finish(self) -> list[Track]:
        """Return all tracks, the one that was seen longest first."""
        everything = [*self._closed, *self._open]
        return sorted(everything, key=_prominence)

    def _distances(self, rows: NDArray[Any], others: list[NDArray[Any]]) -> NDArray[np.float64]:
        """Return the distances of rows (n, width) and other rows, (n, m); infinite for NaN."""
        stored = np.stack(others)
        finite = [
            np.ones(len(one), bool) if one.dtype == np.uint8 else np.isfinite(one).all(1)
            for one in (rows, stored)
        ]
        result = np.full((len(rows), len(stored)), np.inf)
        if finite[0].any() and finite[1].any():
            places = np.flatnonzero(finite[1])
            index = ExactIndex.build(stored[places], np.arange(len(places)), self._space)
            found = index.search(rows[finite[0]], len(places))
            for i, ids, values in zip(
                np.flatnonzero(finite[0]), found.ids, found.distances, strict=True
            ):
                result[i, places[ids]] = values
        return result

    def _limit_of(self, row: NDArray[Any]) -> float:
        if self._limit is not None:
            return self._limit
        share = _UNKNOWN[self._space.metric]
        if self._space.metric == "hamming":
            return share * self._space.dimension
        return share * (float(np.linalg.norm(row)) if self._space.metric == "euclidean" else 1.0)


def _prominence(track: Track) -> tuple[float, float, float]:
    width, height = track.face.box[2:]
    return round(track.first - track.last, 3), -width * height, track.first


def _continued(track: Track, new: Track) -> Track:
    if new.quality > track.quality:
        return replace(new, first=track.first)
    return replace(track, last=new.last, end=new.face, end_row=new.row)


def _is_near(face: Face, other: Face) -> bool:
    x, y, width, height = face.box
    a, b, wide, high = other.box
    side, far = max(width, height), max(wide, high)
    shift = np.hypot(x + width / 2 - a - wide / 2, y + height / 2 - b - high / 2)
    return bool(
        shift <= _SHIFT * max(side, far) and max(side, far) <= _STRETCH * max(1e-9, min(side, far))
    )
