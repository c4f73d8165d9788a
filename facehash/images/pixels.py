"""Conversion of decoded pictures to upright RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

# How to undo each EXIF orientation; 1 is upright.
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
    """Pixel values that do not represent colors."""


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, 1 to 8; without one the picture is returned unchanged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # A damaged EXIF block does not affect the pixels.
    except Exception:
        return image
    if orientation not in _UPRIGHT:
        return image
    return image.transpose(_UPRIGHT[orientation])


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, see `facehash.images.read.decode_image`.

    Raises:
        UnsupportedPixelsError: Floating point, or integers beyond 16 bits.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(_sixteen_to_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise UnsupportedPixelsError(
            "its pixels are floating-point numbers, and the value of white is unknown"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _sixteen_to_eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    # Pillow stores some 16-bit pictures as int32, and its own conversion clips at 255.
    values = grey.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedPixelsError(
            f"its gray values {values.min()}..{values.max()} are outside the 16-bit range 0..65535"
        )
    return ((values + 128) // 257).astype(np.uint8)
