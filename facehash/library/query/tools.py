"""A detector and an embedder at work on one photo at a time, as queries need them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from facehash.detectors.base import Detector
from facehash.detectors.registry import crop_warning
from facehash.embedders.base import Embedder
from facehash.library.ingest.read import Recipe, crop_all
from facehash.library.query.results import NoFaceError
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import Box
from facehash.library.storage.settings import Settings
from facehash.pipeline import Pipeline

log = logging.getLogger(__name__)


class Embedded(NamedTuple):
    """The faces of a photo.

    Attributes:
        boxes: x, y, width, height in pixels, largest first.
        crops: uint8 (n, side, side, 3), RGB.
        rows: float32 (n, dimension), or packed codes uint8 (n, bytes).
    """

    boxes: list[Box]
    crops: NDArray[np.uint8]
    rows: NDArray[Any]


@dataclass(frozen=True)
class Tools:
    """A detector and an embedder that belong together.

    Attributes:
        detector: Finds faces.
        embedder: Turns them into rows.
        recipe: How they are cropped for it.
    """

    detector: Detector
    embedder: Embedder
    recipe: Recipe

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Make what a user chose.

        Raises:
            InputError: No such detector or embedder, or weights are missing.
        """
        embedder = pipeline.make_embedder(pipeline.embedder)
        recipe = Recipe(pipeline, embedder.crop, embedder.side)
        detector = pipeline.make_detector(pipeline.detector)
        if warning := crop_warning(detector, embedder):
            log.warning(warning)
        return cls(detector, embedder, recipe)

    def check(self, settings: Settings, library: object) -> None:
        """Refuse tools other than a library was made with.

        Raises:
            LibraryError: Other weights or settings hide behind the same name; both are told.
        """
        for what, now, then in (
            ("detector", self.detector.identity, settings.detector_identity),
            ("embedder", self.embedder.identity, settings.embedder_identity),
        ):
            if now != then:
                raise LibraryError(
                    f"{library}: made with the {what} {then}, which is now {now}; "
                    "index the photos into a new library"
                )

    def embed(self, image: NDArray[np.uint8], name: object) -> Embedded:
        """Find, crop and embed the faces of a photo.

        Args:
            image: uint8 (height, width, 3) RGB.
            name: What errors call it.

        Raises:
            NoFaceError: There is no face.
        """
        faces = self.detector.detect(image)
        if not faces:
            raise NoFaceError(f"{name}: no face found")
        crops = crop_all(image, faces, self.recipe)
        return Embedded([face.box for face in faces], crops, self.embedder.embed(crops))
