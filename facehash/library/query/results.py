"""The results of a search: one `QueryResult` per face of the query, with its hits."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Box
from facehash.images.video import format_time
from facehash.vectors import CodeDistance, Metric

UNITS = {
    "cosine": "cosine distance",
    "euclidean": "Euclidean distance",
    "hamming": "bits",
    "asymmetric": "bits, weighted by the query",
    "score": "score 1 / (1 + distance)",
}
"""Label of the numbers of a result, by metric, or for scores."""


@dataclass(frozen=True)
class Hit:
    """A face of the library that is near a face of the query.

    Attributes:
        rank: 1 for the nearest face.
        distance: Cosine distance 0 to 2, Euclidean distance, number of unequal bits, or that
            number with the query's weights; see `QueryResult.metric`.
        name: Name of the person, or None for a face without a name.
        path: The photo.
        face: Number of the face in the photo, 1 for the largest.
        box: x, y, width and height in pixels of the upright photo.
        face_id: Id of the face in this library.
        named_by: Who gave the name: ``"user"`` (by hand), ``"csv"`` (a list or another
            program) or ``"folders"``.
        within_threshold: Whether the distance is at most the threshold of the embedder or of the
            codes; None if there is none, or if it does not hold for this pair.
        copies: The other files with exactly this photo.
        resized: Files with the same photo in another size or compression, if copies are collapsed.
        damage: What is missing of the photo, in words, if its file lacks its end.
        no_verdict: Why the threshold does not hold for this pair: one of the faces is too small or
            too blurred, or was added by hand where the detector finds no face; None otherwise.
        added: Whether a person has pointed the face out, as the detector missed it.
        seconds: Of a face in a video, the time of its frame; None in a photo.
        first_seconds: When it was seen there first.
        last_seconds: When it was seen there last.

    Example:
        >>> hit = library.search("aunt.png", k=1)[0].hits[0]
        >>> print(hit.rank, hit.shown_name, hit.path.name, f"{hit.score:.1f}")
        1 Ann holiday.png 1.0
    """

    rank: int
    distance: float
    name: str | None
    path: Path
    face: int
    box: Box
    face_id: int
    within_threshold: bool | None
    named_by: str | None = None
    copies: tuple[Path, ...] = ()
    resized: tuple[Path, ...] = ()
    damage: str | None = None
    no_verdict: str | None = None
    added: bool = False
    seconds: float | None = None
    first_seconds: float | None = None
    last_seconds: float | None = None

    @property
    def time(self) -> str:
        """The time in a video, such as ``00:01:23``; empty for a photo."""
        return "" if self.seconds is None else format_time(self.seconds)

    @property
    def place(self) -> str:
        """The photo, or the video with the time, such as ``clip.mp4 @ 00:01:23``."""
        return f"{self.path} @ {self.time}" if self.time else str(self.path)

    @property
    def score(self) -> float:
        """1 / (1 + distance), from 0 to 1, as older face searches show a Euclidean distance."""
        return 1 / (1 + self.distance)

    @property
    def shown_name(self) -> str:
        """The name, or ``unknown`` beyond the threshold, or empty for a face without a name.

        Without a verdict it is ``no verdict``, as the face need not be that person's. A name given
        by hand is certain, whatever the distance: it is shown in both cases too, marked.
        """
        if self.within_threshold is not False and self.no_verdict is None:
            return self.name or ""
        if self.is_named_by_hand:
            return f"{self.name} ({'no verdict' if self.no_verdict else 'beyond threshold'})"
        return "no verdict" if self.no_verdict else "unknown"

    @property
    def is_named_by_hand(self) -> bool:
        """Whether a person has named this very face."""
        return self.name is not None and self.named_by == "user"

    @property
    def known(self) -> bool | None:
        """Deprecated, removed in 0.3.0: use `within_threshold`."""
        _warn_deprecated("Hit.known", "Hit.within_threshold")
        return self.within_threshold


@dataclass(frozen=True)
class QueryResult:
    """The nearest faces of a library to one face of a query.

    Attributes:
        query: The query photo, or None for an array.
        face: Number of the face in the query, 1 for the largest.
        box: x, y, width and height of the face in pixels, or None for a vector.
        hits: The nearest faces, nearest first.
        metric: The metric of the distances: ``"cosine"``, ``"euclidean"``, ``"hamming"`` (bits) or
            ``"asymmetric"`` (bits weighted by the query, see `facehash.index.asymmetric`).
        crop: uint8 (side, side, 3), the face as it was embedded, or None for a vector.
        references: All query photos, if several were searched for as one; `query`, `face`, `box`
            and `crop` are then those of the first.

    Example:
        >>> [result] = library.search("aunt.png", k=1)
        >>> for hit in result.hits:
        ...     print(hit.shown_name, result.format_distance(hit), result.metric)
        Ann 0.000 cosine
    """

    query: Path | None
    face: int
    box: Box | None
    hits: tuple[Hit, ...]
    metric: Metric | CodeDistance
    crop: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    references: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """The name of the query photo, with the number of further references."""
        name = "in-memory image" if self.query is None else self.query.name
        more = len(self.references) - 1
        return f"{name} and {more} more" if more > 0 else name

    def format_distance(self, hit: Hit, score: bool = False) -> str:
        """Return the distance of a hit, or its score, as the command line prints it."""
        if score:
            return f"{hit.score:.3f}"
        digits = {"hamming": 0, "asymmetric": 1}.get(self.metric, 3)
        return f"{hit.distance:.{digits}f}"

    def shown_number(self, hit: Hit, score: bool = False) -> str:
        """Deprecated, removed in 0.3.0: use `format_distance`."""
        _warn_deprecated("QueryResult.shown_number", "QueryResult.format_distance")
        return self.format_distance(hit, score)


def _warn_deprecated(old: str, new: str) -> None:
    message = f"{old} is deprecated and will be removed in 0.3.0; use {new}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


def __getattr__(name: str) -> Any:
    if name == "Answer":
        _warn_deprecated("Answer", "QueryResult")
        return QueryResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
