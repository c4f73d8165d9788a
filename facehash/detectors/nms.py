"""Non-maximum suppression: one box per face when a detector finds the same face repeatedly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Face

_SAME_FACE = 0.3
_INSIDE = 0.7


def non_max_suppression(faces: Sequence[Face]) -> list[Face]:
    """Of overlapping faces keep the one with the highest score.

    Two boxes show the same face if their intersection is more than 0.3 of their union, or more
    than 0.7 of the smaller box. The second rule is for a face that fills a large photo: at a fine
    scale, parts of it are detected as faces, but no face lies inside another.

    Args:
        faces: Faces in any order.

    Returns:
        The faces kept, largest box first.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not kept or not _same_face(face.box, np.array([other.box for other in kept])).any():
            kept.append(face)
    return largest_first(kept)


def largest_first(faces: Sequence[Face]) -> list[Face]:
    """Sort faces by descending area of their boxes, then by descending score."""
    return sorted(faces, key=lambda face: (-face.box[2] * face.box[3], -face.score))


def _same_face(
    box: tuple[float, float, float, float], others: NDArray[np.float64]
) -> NDArray[np.bool_]:
    x, y, width, height = box
    left, top = np.maximum(x, others[:, 0]), np.maximum(y, others[:, 1])
    right = np.minimum(x + width, others[:, 0] + others[:, 2])
    bottom = np.minimum(y + height, others[:, 1] + others[:, 3])
    shared = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    own, theirs = width * height, others[:, 2] * others[:, 3]
    same = shared > _SAME_FACE * (own + theirs - shared)
    inside = shared > _INSIDE * np.minimum(own, theirs)
    return np.asarray(same | inside)
