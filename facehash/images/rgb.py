"""Turning decoded pictures upright, and converting those of any mode to RGB."""

import numpy as np
from PIL import ExifTags, Image

from facehash.images.depth import UnsupportedPixelsError, eight_bits

# How to undo each EXIF orientation; 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def orientation_of(image: Image.Image) -> object:
    """Return the EXIF orientation of a picture, 1 to 8, or anything else without a valid one."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    # A damaged EXIF block does not affect the pixels.
    except Exception:
        return None


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, 1 to 8; without one the picture is returned unchanged."""
    return turned(image, orientation_of(image))


def turned(image: Image.Image, orientation: object) -> Image.Image:
    """Apply an EXIF orientation; any other value leaves the picture unchanged."""
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, see `facehash.images.read.decode_image`.

    Raises:
        UnsupportedPixelsError: Floating point, or integers beyond 16 bits.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise UnsupportedPixelsError(
            "its pixels are floating-point numbers, and the value of white is unknown"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    # Pillow would copy what is RGB already.
    return image if image.mode == "RGB" else image.convert("RGB")
