"""The seam between a library and the rooms that find, crop and embed faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.faces.detection import Detector, Face
from facehash.faces.embedding import Embedder

Image = NDArray[np.uint8]
CropFace = Callable[[Image, Face, Any, int], Image]
"""(photo, face, a `facehash.faces.embedding.Crop`, side) -> uint8 (side, side, 3) RGB."""


@dataclass(frozen=True)
class Pipeline:
    """From a photo to rows: what a user chose, and how it is made.

    Worker processes are started afresh and get the functions by name, so these must be importable,
    not lambdas.

    Attributes:
        detector: What the user called the detector, for example ``"yunet"``.
        embedder: What the user called the embedder, for example ``"keras:FILE,size=160"``.
        make_detector: Makes a detector of its name.
        make_embedder: Makes an embedder of its name.
        crop_face: Cuts a face out of a photo as an embedder wants it.
    """

    detector: str
    embedder: str
    make_detector: Callable[[str], Detector]
    make_embedder: Callable[[str], Embedder]
    crop_face: CropFace


def default_pipeline(detector: str, embedder: str) -> Pipeline:
    """Return the pipeline of the detectors and embedders that facehash comes with."""
    # Here and not above: embedders bring Keras or OpenCV, which most commands do without.
    from facehash.library.makers import crop_face, make_detector, make_embedder

    return Pipeline(detector, embedder, make_detector, make_embedder, crop_face)
