"""The pipeline from a photo to rows: find faces, crop them, embed them.

Index, search, verify, encode, bench and the benchmarks all use this file::

    photo -> faces -> crops uint8 (n, side, side, 3) -> rows (n, width)
"""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from facehash.detectors.base import Detector
from facehash.detectors.registry import make_detector
from facehash.embedders.base import Embedder, projects
from facehash.embedders.registry import absolute, make_embedder
from facehash.errors import InputError
from facehash.images.alignment import crop_face
from facehash.images.face import Box, Face
from facehash.images.quality import effective_width

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
CropFace = Callable[[Image, Face, Any, int], Image]
"""(photo, face, a `facehash.images.alignment.Crop`, side) -> uint8 (side, side, 3) RGB."""


class NoFaceError(ValueError):
    """No face was found in a photo. Not a user error: commands exit with 1."""


@dataclass(frozen=True)
class PipelineSpec:
    """The names of a detector and an embedder, and the functions that make them.

    Worker processes start from scratch and receive the functions by name, so these must be
    importable, not lambdas. Detector and embedder are spelled as on the command line, for example
    ``"yunet"`` and ``"keras:FILE,size=160"``.
    """

    detector: str
    embedder: str
    make_detector: Callable[[str], Detector]
    make_embedder: Callable[[str], Embedder]
    crop_face: CropFace


MakePipeline = Callable[[str, str], PipelineSpec]
"""(detector, embedder), as spelled on the command line -> how to make them."""


def default_pipeline(detector: str, embedder: str, weights_dir: Path | None = None) -> PipelineSpec:
    """Return the pipeline of a detector and an embedder that ship with facehash.

    Args:
        detector: Name of the detector, see `facehash.detectors.registry.make_detector`.
        embedder: Name of the embedder, see `facehash.embedders.registry.make_embedder`. The path
            of a model or run becomes absolute, so that a library can be searched from any folder.
        weights_dir: Folder searched first for pretrained weights.

    Example:
        >>> spec = default_pipeline("yunet", "sface")
        >>> pipeline = FacePipeline.create(spec)  # doctest: +SKIP
    """
    options: dict[str, Any] = {"weights_dir": weights_dir} if weights_dir else {}
    return PipelineSpec(
        detector,
        absolute(embedder),
        functools.partial(make_detector, **options),
        functools.partial(make_embedder, **options),
        crop_face,
    )


def pipelines(weights_dir: Path | None = None) -> MakePipeline:
    """Return `default_pipeline` bound to a folder of weights."""
    return functools.partial(default_pipeline, weights_dir=weights_dir)


@dataclass(frozen=True)
class FaceCropper:
    """Finds the faces of a photo and crops them as one embedder expects."""

    detector: Detector
    crop_face: CropFace
    crop: str
    side: int

    def find(self, image: Image) -> list[Face]:
        """Find the faces of a uint8 (height, width, 3) RGB photo, largest first."""
        return self.detector.detect(image)

    def crop_faces(self, image: Image, faces: Sequence[Face]) -> Image:
        """Crop faces from a photo: uint8 (faces, side, side, 3)."""
        crops = np.empty((len(faces), self.side, self.side, 3), np.uint8)
        for row, face in zip(crops, faces, strict=True):
            row[:] = self.crop_face(image, face, self.crop, self.side)
        return crops


class EmbeddedFaces(NamedTuple):
    """The faces of one photo, largest first."""

    boxes: list[Box]
    crops: NDArray[np.uint8]  # (n, side, side, 3), RGB
    rows: NDArray[Any]  # float32 (n, dimension), or packed codes uint8 (n, ceil(bits / 8))
    widths: list[float]  # effective widths, see `facehash.images.quality.effective_width`


@dataclass(frozen=True)
class FacePipeline:
    """A detector and an embedder, ready to turn photos into rows."""

    cropper: FaceCropper
    embedder: Embedder

    @classmethod
    def create(cls, spec: PipelineSpec, embedder: Embedder | None = None) -> Self:
        """Make the detector and, unless it is given, the embedder.

        Logs a warning if the detector's faces do not suit the embedder.

        Raises:
            InputError: An unknown detector or embedder, or missing weights.
        """
        embedder = embedder or spec.make_embedder(spec.embedder)
        detector = spec.make_detector(spec.detector)
        if warning := crop_warning(detector, embedder):
            log.warning(warning)
        cropper = FaceCropper(detector, spec.crop_face, embedder.crop, embedder.side)
        return cls(cropper, embedder)

    @property
    def detector(self) -> Detector:
        """The detector that finds the faces."""
        return self.cropper.detector

    def project(self, image: Image, name: object) -> EmbeddedFaces:
        """Do as `embed` with the projections of the codes as rows, float32 (n, dimension).

        Raises:
            NoFaceError: No face was found.
            InputError: The embedder has no projections.
        """
        embedder = self.embedder
        if not projects(embedder):
            raise InputError(f"{embedder.identity}: has no projections of its codes")
        return self._embed(image, name, lambda crops: embedder.project(crops)[1])

    def embed(self, image: Image, name: object) -> EmbeddedFaces:
        """Find, crop and embed the faces of a photo.

        Args:
            image: uint8 (height, width, 3) RGB.
            name: Name of the photo in error messages.

        Raises:
            NoFaceError: No face was found.

        Example:
            >>> image = read_image(Path("family.jpg"))  # doctest: +SKIP
            >>> pipeline.embed(image, "family.jpg").rows.shape  # doctest: +SKIP
            (3, 128)
        """
        return self._embed(image, name, self.embedder.embed)

    def _embed(
        self, image: Image, name: object, embed: Callable[[Image], NDArray[Any]]
    ) -> EmbeddedFaces:
        faces = self.cropper.find(image)
        if not faces:
            raise NoFaceError(f"{name}: no face found")
        crops = self.cropper.crop_faces(image, faces)
        widths = [effective_width(*one) for one in zip(faces, crops, strict=True)]
        return EmbeddedFaces([face.box for face in faces], crops, embed(crops), widths)


def crop_warning(detector: Detector, embedder: Embedder) -> str | None:
    """Return a warning if a detector's faces are not cropped the way an embedder expects.

    Returns:
        A sentence, or None if the two suit each other. ``whole``, which takes each picture as one
        face, is trusted to receive pictures that are already cropped.
    """
    name = detector.identity.partition(":")[0]
    if embedder.crop == "none" and name != "whole":
        return (
            f"this embedder was trained on uncropped pictures, but {name} crops faces from them: "
            "expect worse results, or use --detector whole, which takes each picture as it is"
        )
    if embedder.crop not in ("box", "none") and name == "haar":
        return (
            f"this embedder expects faces aligned by landmarks ({embedder.crop}), but haar finds "
            "no landmarks: faces are cropped by their boxes, expect worse results"
        )
    return None
