"""A face in a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x, y, width and height in pixels of the upright photo."""


@dataclass(frozen=True)
class Face:
    """A face found in a photo.

    Attributes:
        box: x, y, width, height in pixels of the upright photo; may extend past its edges.
        landmarks: float32 (5, 2), x and y of the right eye, left eye, nose, and right and left
            corner of the mouth (the person's right and left). None if the detector has none.
        score: The detector's confidence, 0 to 1; 1 if the detector gives none.
    """

    box: Box
    landmarks: NDArray[np.float32] | None
    score: float
