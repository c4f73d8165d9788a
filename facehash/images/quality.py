"""How much detail a face has: the width in pixels that a sharp face with as much detail would have.

A threshold between one person and two holds for faces like those that it was measured on. Embedders
map small and blurred faces of all people to similar vectors, so that with less detail more pairs of
two people lie within it.
"""

import numpy as np
from numpy.typing import NDArray

from facehash.images.face import Face

_SIDE = 112  # of a crop, for which the numbers below are stated
_FACE = 82  # median width of a face in it, on LFW
_FINE, _COARSE = 1.0, 2.5  # standard deviations of the two blurs that are compared
_PIXEL = 1.5
"""Width of a pixel relative to the blur: photos of LFW reduced to faces of 20 pixels have in the
crop a blur of 2.7 pixels, and each of their pixels covers 4.1."""
_SMALLEST_CROP = 64  # side of a crop in which the blur of the photo is visible
_MARGIN = 0.12  # of the crop on each side, which shows hair, or black beyond the edge of the photo


def blur(crop: NDArray[np.uint8]) -> float:
    """Estimate the blur of a crop: the standard deviation of a Gaussian blur, in pixels.

    The mean squared gradient of a photo, whose power falls with the square of the frequency, is
    proportional to 1 / s^2 at a blur s. A further blur t makes it 1 / (s^2 + t^2). The ratio r of
    two such values, for t = 1 and t = 2.5, does not depend on the contrast, and
    s^2 = (2.5^2 r - 1) / (1 - r). The first blur removes noise, which would look like detail.

    Args:
        crop: uint8 (side, side, 3), a cropped face. Both blurs are scaled by side / 112.

    Returns:
        The blur in pixels of the crop, 0 or more; infinite for a crop of one color.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
        >>> blur(noise)
        0.0
    """
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scale = len(grey) / _SIDE
    margin = round(_MARGIN * len(grey))

    def energy(deviation: float) -> float:
        blurred = cv2.GaussianBlur(grey, (0, 0), deviation * scale)
        seen = blurred[margin : len(grey) - margin, margin : len(grey) - margin]
        across, down = seen[:, 1:] - seen[:, :-1], seen[1:] - seen[:-1]
        return float(np.vdot(across, across) + np.vdot(down, down))

    sharp = energy(_FINE)
    if sharp == 0:
        return float("inf")
    ratio = min(energy(_COARSE) / sharp, 1 - 1e-6)
    return scale * float(np.sqrt(max(0.0, (ratio * _COARSE**2 - _FINE**2) / (1 - ratio))))


def effective_width(face: Face, crop: NDArray[np.uint8]) -> float:
    """Return the width in pixels that a sharp face with as much detail would have.

    It is the shorter side of the face's box, or less if the crop is blurred. Crops of fewer than 64
    pixels, as some hashing networks take, have too few for the blur to be measured.

    Args:
        face: A face in a photo.
        crop: uint8 (side, side, 3), its crop.

    Example:
        >>> crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
        >>> effective_width(Face((10.0, 10.0, 14.0, 18.0), None, 0.9), crop)
        14.0
    """
    size = min(face.box[2:])
    if len(crop) < _SMALLEST_CROP:
        return size
    blurred = _PIXEL * blur(crop)
    return min(size, _FACE / _SIDE * len(crop) / blurred) if blurred > 0 else size


def quality(face: Face, crop: NDArray[np.uint8]) -> float:
    """Return the quality of a face, 0 to 1: its score, reduced if it has little detail.

    The quality is score * min(1, effective width / side of the crop). Until version 0.2.0 the width
    was that of the box, and blur did not count.

    Args:
        face: A detected face.
        crop: uint8 (side, side, 3), its crop.
    """
    return float(np.clip(face.score * min(1.0, effective_width(face, crop) / len(crop)), 0, 1))


def stored_width(quality: float, score: float, side: int) -> float:
    """Return the effective width of a stored face: the inverse of `quality`.

    Args:
        quality: As stored in a library.
        score: As stored.
        side: Height and width of the crops of the library, in pixels.

    Returns:
        The width in pixels; infinite if it is at least the side of the crop.

    Example:
        >>> stored_width(0.09, 0.9, 112)
        11.2
    """
    if score <= 0 or quality >= score:
        return float("inf")
    return round(quality / score * side, 6)
