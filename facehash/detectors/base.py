"""The interface of a detector."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Face


class Detector(Protocol):
    """Finds the faces of a photo."""

    @property
    def identity(self) -> str:
        """Name, every setting that changes the result, and the SHA-256 of any weights."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find the faces of a uint8 (height, width, 3) RGB photo, largest first."""
