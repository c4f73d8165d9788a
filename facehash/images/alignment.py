"""Cropping a face from a photo to the square picture that an embedder expects."""

from typing import Literal, get_args

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
"""Target (x, y) of the five landmarks of `Face` in 112 x 112 pixels, as in InsightFace."""

# dlib's own alignment uses other landmarks. These are the median positions, over photos of LFW, of
# YuNet's landmarks in dlib's crops (get_face_chip, 150 pixels, padding 0.25).
DLIB_TEMPLATE = np.array([[45.1, 44.3], [100.7, 44.1], [71.0, 76.4], [49.9, 101.2], [95.2, 101.6]])
"""The same in 150 x 150 pixels for dlib's network, whose crops show less cheek, more chin."""

TEMPLATES = {"arcface112": (112, ARCFACE_TEMPLATE), "dlib150": (150, DLIB_TEMPLATE)}
"""Side and landmark template of each crop that is aligned by landmarks."""

BOX_MARGIN = 1.1
"""Side of a ``box`` crop relative to the box's longer side: shows as much as ``arcface112``."""

CROPS: tuple[str, ...] = get_args(Crop)


def crop_face(image: NDArray[np.uint8], face: Face, crop: str, side: int) -> NDArray[np.uint8]:
    """Crop a face from its photo.

    * ``arcface112``: rotated, scaled and shifted so that the five landmarks best fit the ArcFace
      template of 112 x 112. A smaller side is reduced from there with `resize`, as the faces of a
      data set are; for a larger side the template itself is enlarged. Pixels outside the photo are
      black, as in ArcFace and OpenCV. Without landmarks this is ``box``.
    * ``dlib150``: the same with dlib's template of 150 x 150.
    * ``box``: a square around the box; its side is `BOX_MARGIN` times the longer side of the box.
    * ``none``: a square around the box without a margin, for models trained on uncropped pictures.

    A square is shifted, and if needed reduced, to fit into the photo. A full picture taken as one
    face is therefore returned uncropped. If the landmarks show that the face lies on its side or
    stands upside down, the square is turned upright.

    Args:
        image: uint8 (height, width, 3), RGB, upright.
        face: A face in the photo.
        crop: One of `CROPS`, see above.
        side: Height and width of the crop, in pixels.

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
    square = image[top : top + extent, left : left + extent]
    turns = round(tilt(face.landmarks) / 90) if face.landmarks is not None else 0
    return resize(np.rot90(square, turns) if turns else square, side)


def tilt(landmarks: NDArray[np.floating]) -> float:
    """Return the rotation of a face in degrees, clockwise, -180 to 180.

    Args:
        landmarks: (5, 2), x and y in pixels, in the order of `Face`.

    Example:
        >>> tilt(ARCFACE_TEMPLATE @ [[0, 1], [-1, 0]])  # right becomes down, down becomes left
        89.7
    """
    right_eye, left_eye, _, right_mouth, left_mouth = landmarks.astype(np.float64)
    x, y = (left_eye - right_eye) + (left_mouth - right_mouth)
    return round(float(np.degrees(np.arctan2(y, x))), 1)


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
        side: Height and width of the result, in pixels.
        crop: A key of `TEMPLATES`.

    Returns:
        uint8 (side, side, 3), interpolated bilinearly. A face more than twice as large is first
        averaged over blocks of pixels, as bilinear sampling would skip most of them.

    Raises:
        ValueError: All landmarks are the same point.
    """
    # Imported here: OpenCV loads slowly, and many commands need only the names of the crops.
    import cv2

    template_side, template = TEMPLATES[crop]
    drawn_side = max(side, template_side)
    matrix = similarity(landmarks, template * (drawn_side / template_side))
    image, matrix = _reduce(image, matrix, drawn_side)
    aligned = cv2.warpAffine(image, matrix, (drawn_side, drawn_side), flags=cv2.INTER_LINEAR)
    return resize(np.asarray(aligned, np.uint8), side)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fit a rotation, scale and shift by least squares, without reflection.

    Minimizes ``sum |s R x + t - y|^2`` over s > 0, rotations R and t. With centered points, the
    covariance ``C = Y'X / n = U D V'`` and ``S = diag(1, sign(det U det V))``: ``R = U S V'``,
    ``s = trace(D S) / var(X)``, ``t = mean(Y) - s R mean(X)``.

    Args:
        source: (n, 2) points x.
        target: (n, 2) points y.

    Returns:
        float64 (2, 3), ``[s R | t]``.

    Raises:
        ValueError: All source points are the same.

    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", IEEE TPAMI 13(4), 1991, equations 40 to 42.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    x_mean, y_mean = x.mean(0), y.mean(0)
    variance = ((x - x_mean) ** 2).sum() / len(x)
    if not variance > 0:
        raise ValueError(f"landmarks cannot be aligned: all of them are at {x_mean.tolist()}")
    u, d, vt = np.linalg.svd((y - y_mean).T @ (x - x_mean) / len(x))
    s = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (d * s).sum() / variance * (u * s) @ vt
    return np.column_stack([linear, y_mean - linear @ x_mean])


def _reduce(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Average blocks of pixels if the transform would reduce 2 x 2 or more pixels to one."""
    import cv2

    block = int(1 / np.sqrt(np.linalg.det(matrix[:, :2])))
    if block < 2:
        return image, matrix
    # Only the visible part: the photo may be fifty times as large.
    inverse = np.linalg.inv(matrix[:, :2])
    corners = (np.array([[0, 0], [side, 0], [0, side], [side, side]]) - matrix[:, 2]) @ inverse.T
    limit = np.array(image.shape[1::-1])
    start = np.clip(np.floor(corners.min(0)).astype(int) - block, 0, limit - 1)
    stop = np.clip(np.ceil(corners.max(0)).astype(int) + block, start + 1, limit)
    # Whole blocks only: a partial block at the edge would stretch the others.
    size = np.maximum((stop - start) // block, 1)
    stop = np.minimum(start + size * block, limit)
    part = image[start[1] : stop[1], start[0] : stop[0]]
    small = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    # The center of the first block lies at start + (block - 1) / 2.
    linear, offset = matrix[:, :2], matrix[:, 2]
    moved = offset + linear @ (start + (block - 1) / 2)
    return np.asarray(small, np.uint8), np.column_stack([linear * block, moved])


def _square(
    shape: tuple[int, ...], box: tuple[float, float, float, float], margin: float
) -> tuple[int, int, int]:
    """Return left, top and side of a square around a box, shifted into the photo."""
    x, y, width, height = box
    if not (width > 0 and height > 0):
        raise ValueError(f"a face's box must have an area, got {width} x {height}")
    side = min(max(1, round(margin * max(width, height))), *shape[:2])
    left, top = int((x + width / 2) - side / 2), int((y + height / 2) - side / 2)
    return max(0, min(left, shape[1] - side)), max(0, min(top, shape[0] - side)), side
