"""A face in a photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

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

    def scaled(self, factor: float) -> Self:
        """Return the face in the same photo with other pixels, for example of twice as many.

        Example:
            >>> Face((1.0, 2.0, 3.0, 4.0), None, 1.0).scaled(2).box
            (2.0, 4.0, 6.0, 8.0)
        """
        if factor == 1:
            return self
        x, y, width, height = (value * factor for value in self.box)
        points = None if self.landmarks is None else self.landmarks * np.float32(factor)
        return replace(self, box=(x, y, width, height), landmarks=points)


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the intersection over the union of two boxes (x, y, width, height).

    Example:
        >>> overlap((0, 0, 10, 10), (5, 0, 10, 10))
        0.3333333333333333
    """
    sides = [
        max(0.0, min(a + c, b + d) - max(a, b))
        for a, c, b, d in (
            (first[0], first[2], second[0], second[2]),
            (first[1], first[3], second[1], second[3]),
        )
    ]
    common = sides[0] * sides[1]
    union = first[2] * first[3] + second[2] * second[3] - common
    return common / union if union > 0 else 0.0
