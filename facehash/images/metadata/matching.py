"""Which face a region of another program means.

Programs draw regions of very different sizes around the same face: a detector's box from the
eyebrows to the chin, or a whole head. So a region means a face if each contains the middle of the
other, or if they overlap by half; of several possible assignments the one with the largest overlap
counts, and a face gets one region only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Box

_OVERLAP = 0.5
"""Intersection over union from which a region means a face, wherever their middles are."""
_SMALLEST = 0.01
"""Added to every possible overlap: a point has none, and still means the face around it."""


def match_regions(regions: Sequence[Box], faces: Sequence[Box]) -> dict[int, int]:
    """Return which face each region means, by their positions in the two lists.

    Args:
        regions: x, y, width and height in pixels; 0 by 0 for a point.
        faces: Boxes of the detector in the same pixels.

    Example:
        >>> match_regions([(0, 0, 50, 60), (90, 0, 9, 9)], [(10, 10, 30, 40)])
        {0: 0}
    """
    if not regions or not faces:
        return {}
    # Imported here: it takes a while, and most runs have no regions.
    from scipy.optimize import linear_sum_assignment

    scores = _scores(np.array(regions, np.float64), np.array(faces, np.float64))
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if scores[row, column] > 0
    }


def _scores(regions: NDArray[np.float64], faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the overlap of each region with each face, 0 where the region cannot mean it."""
    first, second = regions[:, None], faces[None]  # (regions, 1, 4) and (1, faces, 4)
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    union = first[..., 2:].prod(axis=-1) + second[..., 2:].prod(axis=-1) - common
    overlap = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    is_point = (regions[:, 2:] == 0).all(axis=1)[:, None]
    mutual = _contains_middle(second, first) & (_contains_middle(first, second) | is_point)
    return np.where(mutual | (overlap >= _OVERLAP), overlap + _SMALLEST, 0)


def _contains_middle(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.bool_]:
    middle = inner[..., :2] + inner[..., 2:] / 2
    inside = (middle >= outer[..., :2]) & (middle <= outer[..., :2] + outer[..., 2:])
    return np.asarray(inside.all(axis=-1))
