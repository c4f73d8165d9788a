"""The detector ``whole``, for pictures that already show one face: cropped data sets."""

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Face


class FullImage:
    """Takes every picture as one face."""

    identity = "whole"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Return one face that covers the uint8 (height, width, 3) picture."""
        height, width = image.shape[:2]
        return [Face((0.0, 0.0, float(width), float(height)), None, 1.0)]
