"""The detectors, the cropping and the embedders that facehash comes with, by name.

The one place where a library meets them: everything else in this package is handed a `Pipeline`.
Workers get these functions by their names, so what is heavy is imported inside.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facehash.detectors.base import Detector, Face
from facehash.embedders.base import Embedder


def make_detector(name: str, weights_dir: Path | None = None) -> Detector:
    """Make a detector of what a user called it.

    Raises:
        InputError: No such detector, or its weights are missing.
    """
    from facehash.detectors.registry import make_detector

    return make_detector(name, weights_dir)


def make_embedder(name: str, weights_dir: Path | None = None) -> Embedder:
    """Make an embedder of what a user called it.

    Raises:
        InputError: No such embedder, or its weights are missing.
    """
    from facehash.embedders.registry import make_embedder

    embedder: Embedder = make_embedder(name, weights_dir)
    return embedder


def absolute(name: str) -> str:
    """Return the name of an embedder that means the same in every folder."""
    from facehash.embedders.registry import absolute

    made: str = absolute(name)
    return made


def crop_face(image: NDArray[np.uint8], face: Face, crop: str, side: int) -> NDArray[np.uint8]:
    """Cut a face out of a photo as an embedder wants it: uint8 (side, side, 3)."""
    from facehash.images.alignment import crop_face

    return crop_face(image, face, crop, side)
