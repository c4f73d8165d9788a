"""Pictures of more than eight bits per color, reduced to eight.

A file with 16 bits per color may hold the 10 or 12 bits of a camera, or the 8 bits of a careless
conversion, without saying so. Divided by 257 such a picture is almost black. So the smallest of the
ranges 255, 1,023, 4,095 and 65,535 that contains the largest value becomes 0 to 255.
"""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RANGES = (255, 1023, 4095, 65535)
"""Largest values of 8, 10, 12 and 16 bits."""

# Pillow keeps the upper byte of each color: up to this value, they are 12 bits or fewer.
_DARK = 4095 >> 8
_ROWS = 256
_FORMATS = ("PNG", "TIFF")


class UnsupportedPixelsError(ValueError):
    """Pixel values that do not represent colors."""


def eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale whole numbers of up to 16 bits to 0 to 255, by the smallest range that contains them.

    Args:
        values: Integers of any shape with rows.

    Raises:
        UnsupportedPixelsError: A value is negative, or beyond 65,535.

    Example:
        >>> eight_bits(np.array([[0, 2048, 4095]], np.uint16)).tolist()
        [[0, 128, 255]]
        >>> eight_bits(np.array([[0, 2048, 65535]], np.uint16)).tolist()
        [[0, 8, 255]]
    """
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > RANGES[-1]:
        raise UnsupportedPixelsError(
            f"its gray values {least}..{most} are outside the 16-bit range 0..65535"
        )
    top = next(one for one in RANGES if most <= one)
    scaled = ((np.arange(top + 1) * 255 + top // 2) // top).astype(np.uint8)
    reduced = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):  # indices have eight bytes each
        reduced[start : start + _ROWS] = scaled[values[start : start + _ROWS]]
    return reduced


def has_sixteen_bit_colors(image: Image.Image) -> bool:
    """Return whether a file that is open but not decoded has 16 bits for each of several colors."""
    if image.format not in _FORMATS or image.mode not in ("RGB", "RGBA"):
        return False
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def reread_if_dark(image: Image.Image, file: BinaryIO) -> Image.Image | None:
    """Return the picture of a file with 16 bits per color, scaled by `eight_bits`, if it is dark.

    Pillow keeps only the upper byte of each color, of which 12 bits fill the lower half. Such a
    picture is decoded again by OpenCV, which keeps both; transparency is lost.

    Args:
        image: The picture as Pillow decoded it.
        file: Its file.

    Returns:
        RGB, with the orientation of `image`: for TIFF, both decoders have turned it upright. None
        if the picture is not dark.
    """
    highest = int(np.max(image.convert("RGB").getextrema()))
    if highest > _DARK:
        return None
    import cv2

    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    values = cv2.imdecode(content, flags)
    if values is None or values.dtype != np.uint16:
        return None
    return Image.fromarray(np.ascontiguousarray(eight_bits(values)[:, :, ::-1]))
