"""Finding faces in a photo: what a face is, and what a detector offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Face:
    """A face found in a photo.

    Attributes:
        box: x, y, width, height in pixels of the upright photo; it may reach over its edges.
        landmarks: float32 (5, 2), x and y of right eye, left eye, nose, right and left corner of
            the mouth (right and left of the person); None of a detector without them.
        score: The detector's confidence, 0 to 1; 1 of a detector that gives none.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32] | None
    score: float


class Detector(Protocol):
    """Finds the faces of a photo."""

    @property
    def identity(self) -> str:
        """Name, settings that change what is found, and the SHA-256 of weights if there are any."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find faces in a uint8 (height, width, 3) RGB photo, largest first."""
