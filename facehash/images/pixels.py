"""From whatever a picture file holds to upright RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

# What a viewer does to pixels that a camera stored turned or mirrored; 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnsupportedPixelsError(ValueError):
    """Pixels that are no colours."""


def upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation, 1 to 8, says; as it lies when there is no such."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # A broken EXIF block says nothing about the pixels, which are fine.
    except Exception:
        return image
    if orientation not in _UPRIGHT:
        return image
    return image.transpose(_UPRIGHT[orientation])


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, as `facehash.images.read.decode_image` says.

    Raises:
        UnsupportedPixelsError: Floating point, or integers beyond 16 bits.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(_sixteen_to_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise UnsupportedPixelsError(
            "its pixels are floating point numbers, whose white is not known"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _sixteen_to_eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    # Pillow holds some 16-bit files as int32, and its own conversion cuts off at 255.
    values = grey.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedPixelsError(
            f"its grey values {values.min()}..{values.max()} are outside the 16-bit range 0..65535"
        )
    return ((values + 128) // 257).astype(np.uint8)
