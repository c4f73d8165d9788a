"""A face in a photo."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x, y, width and height in pixels of the upright photo."""


@dataclass(frozen=True)
class Face:
    """A face found in a photo.

    The landmarks are x and y of the right eye, left eye, nose, and right and left corner of the
    mouth, where right and left are the person's.
    """

    box: Box  # may extend past the edges of the photo
    landmarks: NDArray[np.float32] | None  # (5, 2); None if the detector finds none
    score: float  # the detector's confidence, 0 to 1; 1 if the detector returns none
