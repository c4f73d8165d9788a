"""From a face in a photo to the square picture that an embedder takes."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from facehash.errors import did_you_mean
from facehash.images.face import Face
from facehash.images.read import resize

Crop = Literal["arcface112", "dlib150", "box", "none"]

ARCFACE_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where the five landmarks of `Face` come to lie in 112 x 112 pixels (x, y); InsightFace's."""

# dlib's own alignment has other landmarks. These are the medians, over photos of LFW, of where
# YuNet's fall in the pictures that dlib makes (get_face_chip, 150 pixels, padding 0.25).
DLIB_TEMPLATE = np.array([[45.1, 44.3], [100.7, 44.1], [71.0, 76.4], [49.9, 101.2], [95.2, 101.6]])
"""The same in 150 x 150 pixels for dlib's network, which sees less cheek and more chin."""

TEMPLATES = {"arcface112": (112, ARCFACE_TEMPLATE), "dlib150": (150, DLIB_TEMPLATE)}
"""Side and landmarks of the crops that follow landmarks."""

BOX_MARGIN = 1.1
"""Side of a box crop as a multiple of the box's longer side: as much as ``arcface112`` shows."""

CROPS: tuple[str, ...] = get_args(Crop)


def crop_face(image: NDArray[np.uint8], face: Face, crop: str, side: int) -> NDArray[np.uint8]:
    """Cut a face out of its photo as an embedder wants it.

    * ``arcface112``: turned, scaled and moved so that its five landmarks come as near as they can
      to the ArcFace template of 112 x 112. A smaller side is reduced from there with `resize`, as
      faces of a data set are; for a larger one the template itself is enlarged. Outside the photo
      is black, as in ArcFace's and OpenCV's own alignment. Without landmarks it is as ``box``.
    * ``dlib150``: the same by dlib's template of 150 x 150.
    * ``box``: a square around the box, its side `BOX_MARGIN` times the longer side of the box.
    * ``none``: the same without a margin, for models trained on pictures as they were.

    A square never leaves the photo: it is moved, and where it is larger than the photo also made
    smaller, until it fits. A whole picture taken as a face so stays as it is.

    Args:
        image: uint8 (height, width, 3), RGB, upright.
        face: One of its faces.
        crop: See above.
        side: Height and width wanted, in pixels.

    Returns:
        uint8 (side, side, 3).

    Raises:
        ValueError: Another crop, or a box without area.
    """
    if crop not in CROPS:
        raise ValueError(f"crop {crop!r} is unknown{did_you_mean(crop, CROPS)}")
    if crop in TEMPLATES and face.landmarks is not None:
        return align(image, face.landmarks, side, crop)
    left, top, extent = _square(image.shape, face.box, 1.0 if crop == "none" else BOX_MARGIN)
    return resize(image[top : top + extent, left : left + extent], side)


def align(
    image: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    side: int = 112,
    crop: str = "arcface112",
) -> NDArray[np.uint8]:
    """Align a face to a template by its five landmarks.

    Args:
        image: uint8 (height, width, 3).
        landmarks: (5, 2), x and y in pixels, in the order of `Face`.
        side: Height and width wanted, in pixels.
        crop: A key of `TEMPLATES`.

    Returns:
        uint8 (side, side, 3); bilinear, of a face more than twice as large as it becomes after
        averaging blocks of pixels, of which bilinear sampling alone would skip most.

    Raises:
        ValueError: The landmarks are one point.
    """
    own_side, template = TEMPLATES[crop]
    drawn = max(side, own_side)
    matrix = similarity(landmarks, template * (drawn / own_side))
    image, matrix = _reduced(image, matrix, drawn)
    aligned = cv2.warpAffine(image, matrix, (drawn, drawn), flags=cv2.INTER_LINEAR)
    return resize(np.asarray(aligned, np.uint8), side)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fit turning, scaling and moving, by least squares and without mirroring.

    Minimises ``sum |s R x + t - y|^2`` over s > 0, rotations R and t. With centred points, the
    covariance ``C = Y'X / n = U D V'`` and ``S = diag(1, sign(det U det V))``: ``R = U S V'``,
    ``s = trace(D S) / var(X)``, ``t = mean(Y) - s R mean(X)``.

    Args:
        source: (n, 2) points x.
        target: (n, 2) points y.

    Returns:
        float64 (2, 3), ``[s R | t]``.

    Raises:
        ValueError: The source points are one and the same.

    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", IEEE TPAMI 13(4), 1991, equations 40 to 42.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    x_mean, y_mean = x.mean(0), y.mean(0)
    variance = ((x - x_mean) ** 2).sum() / len(x)
    if not variance > 0:
        raise ValueError(f"landmarks that are all at {x_mean.tolist()} cannot be aligned")
    u, d, vt = np.linalg.svd((y - y_mean).T @ (x - x_mean) / len(x))
    s = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (d * s).sum() / variance * (u * s) @ vt
    return np.column_stack([linear, y_mean - linear @ x_mean])


def _reduced(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Average blocks of pixels where a transform would make more than 2 x 2 of them one."""
    block = int(1 / np.sqrt(np.linalg.det(matrix[:, :2])))
    if block < 2:
        return image, matrix
    # Only the part that will be seen: the photo may be fifty times as large.
    inverse = np.linalg.inv(matrix[:, :2])
    corners = (np.array([[0, 0], [side, 0], [0, side], [side, side]]) - matrix[:, 2]) @ inverse.T
    limit = np.array(image.shape[1::-1])
    start = np.clip(np.floor(corners.min(0)).astype(int) - block, 0, limit - 1)
    stop = np.clip(np.ceil(corners.max(0)).astype(int) + block, start + 1, limit)
    # FullImage blocks, so that what is left over does not stretch the rest.
    size = np.maximum((stop - start) // block, 1)
    stop = np.minimum(start + size * block, limit)
    part = image[start[1] : stop[1], start[0] : stop[0]]
    small = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    # The centre of the first block lies at start + (block - 1) / 2.
    linear, offset = matrix[:, :2], matrix[:, 2]
    moved = offset + linear @ (start + (block - 1) / 2)
    return np.asarray(small, np.uint8), np.column_stack([linear * block, moved])


def _square(
    shape: tuple[int, ...], box: tuple[float, float, float, float], margin: float
) -> tuple[int, int, int]:
    """Place a square around a box and within the photo: left, top, side."""
    x, y, width, height = box
    if not (width > 0 and height > 0):
        raise ValueError(f"a face's box must have an area, got {width} x {height}")
    side = min(max(1, round(margin * max(width, height))), *shape[:2])
    left, top = int((x + width / 2) - side / 2), int((y + height / 2) - side / 2)
    return max(0, min(left, shape[1] - side)), max(0, min(top, shape[0] - side)), side
