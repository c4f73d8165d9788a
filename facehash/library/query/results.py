"""What a library answers: plain values, one answer a face of the query."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Box
from facehash.vectors import Metric

UNITS = {
    "cosine": "cosine distance",
    "euclidean": "Euclidean distance",
    "hamming": "bits",
    "score": "score 1 / (1 + distance)",
}
"""What the numbers of an answer are, by metric, or as scores."""


@dataclass(frozen=True)
class Hit:
    """A face of the library that is near a face of the query.

    Attributes:
        rank: 1 is the nearest.
        distance: In the unit of what was searched by: cosine 0 to 2, Euclidean, or bits.
        name: The person's name, None of a face without.
        path: The photo.
        face: Which face of the photo, 1 the largest.
        box: x, y, width, height in pixels of the upright photo.
        face_id: The face's name in this library.
        within_threshold: Whether the distance is within the embedder's threshold; None if there
            is no threshold.
    """

    rank: int
    distance: float
    name: str | None
    path: Path
    face: int
    box: Box
    face_id: int
    within_threshold: bool | None

    @property
    def score(self) -> float:
        """1 / (1 + distance), from 0 to 1: an older way to show a Euclidean distance."""
        return 1 / (1 + self.distance)

    @property
    def shown_name(self) -> str:
        """The name, ``unknown`` beyond the threshold, and nothing for a face without a name."""
        return "unknown" if self.within_threshold is False else self.name or ""


@dataclass(frozen=True)
class QueryResult:
    """What was found for one face of a query.

    Attributes:
        query: What was asked, None for a picture or vector from memory.
        face: Which face of the query, 1 the largest.
        box: Where it is; None of a vector.
        hits: The nearest faces of the library, nearest first.
        metric: What a distance is: ``"cosine"``, ``"euclidean"``, or ``"hamming"``: bits.
        crop: uint8 (side, side, 3), the face as it was embedded; None of a vector.
    """

    query: Path | None
    face: int
    box: Box | None
    hits: tuple[Hit, ...]
    metric: Metric
    crop: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    def format_distance(self, hit: Hit, score: bool = False) -> str:
        """Return the distance of a hit as it is shown, or its score."""
        if score:
            return f"{hit.score:.3f}"
        return f"{hit.distance:.0f}" if self.metric == "hamming" else f"{hit.distance:.3f}"
