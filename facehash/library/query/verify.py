"""Deciding whether two photos show the same person."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facehash.calibration.thresholds import MEASURED_WITH, Threshold, no_verdict, threshold_of
from facehash.errors import InputError
from facehash.images.read import read_photo
from facehash.index.exact import ExactIndex
from facehash.library.query.faces import choose
from facehash.pipeline import FacePipeline, PipelineSpec
from facehash.specification import split_specification
from facehash.vectors import Space

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """The distance between two faces, and whether it is within the threshold."""

    distance: float
    metric: str  # "cosine", "euclidean" or "hamming"
    threshold: float | None  # distance beyond which faces count as different people
    source: str | None  # where the threshold comes from
    faces: tuple[int, int]  # number of faces in each photo
    no_verdict: str | None = None  # why the threshold does not hold for these faces
    compared: tuple[int, int] = (1, 1)  # which of them were compared; 1 is the largest

    @property
    def same(self) -> bool | None:
        """Whether both show the same person, or None without a threshold that holds for them."""
        if self.threshold is None or self.no_verdict:
            return None
        return self.distance <= self.threshold


def verify(
    first: Path,
    second: Path,
    spec: PipelineSpec,
    threshold: float | None = None,
    compared: tuple[int, int] = (1, 1),
) -> Verdict:
    """Compare a face of one photo with a face of another.

    Args:
        first: A picture file.
        second: Another picture file.
        spec: The detector and the embedder.
        threshold: Distance beyond which faces count as different people. Default: the embedder's,
            which does not hold for small and blurred faces; yours holds for all.
        compared: The number of the face in each photo; 1 is the largest.

    Raises:
        NoFaceError: A photo has no face.
        InputError: A photo has no such face, a file cannot be read, or the detector or embedder is
            unknown.

    Example:
        >>> spec = default_pipeline("yunet", "sface")  # doctest: +SKIP
        >>> verify(Path("aunt.jpg"), Path("wedding.jpg"), spec).same  # doctest: +SKIP
        True
    """
    pipeline = FacePipeline.create(spec)
    photos = []
    for path in (first, second):
        photo = read_photo(path)
        if photo.damage:
            log.warning(f"{path}: {photo.damage}; the rest is compared")
        photos.append(pipeline.embed(photo.pixels, path))
    chosen = [
        choose(len(photo.boxes), number, path)[0]
        for photo, number, path in zip(photos, compared, (first, second), strict=True)
    ]
    rows = [photo.rows[i : i + 1] for photo, i in zip(photos, chosen, strict=True)]
    space = Space(pipeline.embedder.metric, pipeline.embedder.dimension)
    index = ExactIndex.build(rows[0], np.zeros(1, np.int64), space)
    distance = float(index.search(rows[1], 1).distances[0, 0])
    known = threshold_of(pipeline.embedder.identity)
    limit = threshold if threshold is not None else known.distance if known else None
    source = None if known is None else _source(known, spec.detector)
    if threshold is not None:
        source = "given"
    faces = (len(photos[0].boxes), len(photos[1].boxes))
    reason = None
    if known is not None and threshold is None:
        reasons = [
            no_verdict(f"the face in {path}", min(photo.boxes[i][2:]), photo.widths[i])
            for path, photo, i in zip((first, second), photos, chosen, strict=True)
        ]
        reason = reasons[0] or reasons[1]
    return Verdict(distance, space.metric, limit, source, faces, reason, compared)


def parse_faces(text: str) -> tuple[int, int]:
    """Parse the numbers of two faces, ``N/M``.

    Raises:
        InputError: Anything else.

    Example:
        >>> parse_faces("2/1")
        (2, 1)
    """
    parts = text.split("/")
    if len(parts) == 2 and all(one.isascii() and one.isdecimal() and len(one) < 6 for one in parts):
        return int(parts[0]), int(parts[1])
    raise InputError(
        f"--face {text}: give the number of the face in each photo, such as 2/1; 1 is the largest"
    )


def _source(known: Threshold, detector: str) -> str:
    """Return the source of a threshold, with a warning if it was measured with another detector."""
    name, _ = split_specification(detector)
    if name == MEASURED_WITH:
        return known.source
    return f"measured with the detector {MEASURED_WITH}; its error rate with {name} is unknown"
