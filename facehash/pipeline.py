"""The seam between a library and the rooms that find, crop and embed faces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.detectors.base import Detector, Face
from facehash.embedders.base import Embedder

Image = NDArray[np.uint8]
CropFace = Callable[[Image, Face, Any, int], Image]
"""(photo, face, a `facehash.embedders.base.Crop`, side) -> uint8 (side, side, 3) RGB."""


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


MakePipeline = Callable[[str, str], Pipeline]
"""(detector, embedder), as a user calls them -> how they are made."""


def default_pipeline(detector: str, embedder: str, weights_dir: Path | None = None) -> Pipeline:
    """Return the pipeline of the detectors and embedders that facehash comes with.

    Args:
        detector: As a user calls it.
        embedder: As a user calls it; the path of a model or run becomes absolute, so that a
            library that remembers it can be asked from any folder.
        weights_dir: Where pretrained weights are looked for first.
    """
    # Here and not above: embedders bring Keras or OpenCV, which most commands do without.
    from facehash.library.query.makers import absolute, crop_face, make_detector, make_embedder

    of_folder: dict[str, Any] = {"weights_dir": weights_dir} if weights_dir else {}
    return Pipeline(
        detector,
        absolute(embedder),
        functools.partial(make_detector, **of_folder),
        functools.partial(make_embedder, **of_folder),
        crop_face,
    )


def pipelines(weights_dir: Path | None = None) -> MakePipeline:
    """Return `default_pipeline` for weights in a folder."""
    return functools.partial(default_pipeline, weights_dir=weights_dir)
