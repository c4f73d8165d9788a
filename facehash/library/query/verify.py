"""Two photos: do they show one person?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facehash.calibration.thresholds import MEASURED_WITH, Threshold, threshold_of
from facehash.images.read import read_image
from facehash.index.exact import ExactIndex
from facehash.pipeline import FacePipeline, PipelineSpec
from facehash.specification import split_specification
from facehash.vectors import Space


@dataclass(frozen=True)
class Verdict:
    """How far two faces are from each other, and what that means.

    Attributes:
        distance: In the unit of `metric`.
        metric: ``"cosine"``, ``"euclidean"`` or ``"hamming"``.
        threshold: Distance beyond which they count as two people; None where none is known.
        source: Where the threshold comes from.
        faces: How many faces each photo has; the largest of each was compared.
    """

    distance: float
    metric: str
    threshold: float | None
    source: str | None
    faces: tuple[int, int]

    @property
    def same(self) -> bool | None:
        """Whether both are one person, None without a threshold."""
        return None if self.threshold is None else self.distance <= self.threshold


def verify(
    first: Path, second: Path, spec: PipelineSpec, threshold: float | None = None
) -> Verdict:
    """Compare the largest face of each of two photos.

    Args:
        first: A picture file.
        second: Another one.
        spec: How faces are found and embedded.
        threshold: Distance beyond which they count as two people; by default the embedder's.

    Raises:
        NoFaceError: No face in one of them.
        InputError: A file that cannot be read, or no such detector or embedder.
    """
    pipeline = FacePipeline.create(spec)
    photos = [pipeline.embed(read_image(path), path) for path in (first, second)]
    space = Space(pipeline.embedder.metric, pipeline.embedder.dimension)
    index = ExactIndex.build(photos[0].rows[:1], np.zeros(1, np.int64), space)
    distance = float(index.search(photos[1].rows[:1], 1).distances[0, 0])
    known = threshold_of(pipeline.embedder.identity)
    limit = threshold if threshold is not None else known.distance if known else None
    source = None if known is None else _source(known, spec.detector)
    source = source if threshold is None else "given"
    faces = (len(photos[0].boxes), len(photos[1].boxes))
    return Verdict(distance, space.metric, limit, source, faces)


def _source(known: Threshold, detector: str) -> str:
    """Say where a threshold comes from, and whether it was measured as it is used."""
    finder, _ = split_specification(detector)
    if finder == MEASURED_WITH:
        return known.source
    return f"measured with the detector {MEASURED_WITH}; how often it errs with {finder} is unknown"
