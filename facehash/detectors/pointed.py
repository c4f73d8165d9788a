"""Finding the landmarks of a face that a person has pointed out."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Box, Face, overlap

SAME_PLACE = 0.3
"""Overlap (intersection over union) from which a drawn box and a detected one frame one face."""

UNSURE = 0.1
"""The score of a face in which the detector finds no face at any scale."""

_AROUND = 2.0
"""Side of the searched part of the photo, relative to the box."""
_SIDES = (24, 48, 96, 192)
"""Sizes in pixels of the box at which the detector is tried."""
_MOST_ENLARGED = 4.0

Image = NDArray[np.uint8]


def find_at(image: Image, box: Box, detect: Callable[[Image], Sequence[Face]]) -> Face:
    """Return the face in a box that a person drew.

    The detector searches twice the width and height of the box, at several sizes. Of the faces
    that overlap with the box, the one with the highest score gives the landmarks and the score.

    Args:
        image: uint8 (height, width, 3), RGB.
        box: Where the face is; its center is in the photo.
        detect: Finds faces in a picture, also uncertain ones.

    Returns:
        A face with this box. Without landmarks, and with the score `UNSURE`, if the detector finds
        no face there.

    Example:
        >>> find_at(np.zeros((80, 80, 3), np.uint8), (20, 20, 30, 40), lambda image: [])
        Face(box=(20, 20, 30, 40), landmarks=None, score=0.1)
    """
    left, top, right, bottom = _around(image, box)
    window = image[top:bottom, left:right]
    best = Face(box, None, UNSURE)
    for side in _SIDES:
        scale = side / max(box[2:])
        if scale > _MOST_ENLARGED:
            continue
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = np.asarray(cv2.resize(window, size, interpolation=method), np.uint8)
        stretch = np.array([(right - left) / size[0], (bottom - top) / size[1]])
        for face in detect(resized):
            x, y, width, height = (np.array(face.box).reshape(2, 2) * stretch).ravel().tolist()
            if overlap((x + left, y + top, width, height), box) < SAME_PLACE:
                continue
            if face.score > best.score or (best.landmarks is None and face.landmarks is not None):
                points = face.landmarks
                if points is not None:
                    points = (points * stretch + [left, top]).astype(np.float32)
                best = Face(box, points, max(face.score, UNSURE))
    return best


def _around(image: Image, box: Box) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of the photo that is searched."""
    height, width = image.shape[:2]
    x, y, w, h = box
    side = _AROUND * max(w, h)
    left, top = x + (w - side) / 2, y + (h - side) / 2
    return (
        max(0, int(left)), max(0, int(top)),
        min(width, int(left + side) + 1), min(height, int(top + side) + 1),
    )  # fmt: skip
