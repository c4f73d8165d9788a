"""Reading a picture file, and the one way in which a picture is made smaller or larger."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from facehash.errors import InputError

IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpe .jpeg .jpg .pgm .png .pnm .ppm .tif .tiff .webp".split()
)
"""Endings, in lower case, by which a file counts as a picture."""

MAX_PIXELS = 50_000_000
"""A picture with more pixels is refused before it is decoded: it would fill the memory."""

RESIZE_FILTER = Image.Resampling.BICUBIC
"""The one filter. Pillow widens it with the scale, so that a smaller picture has no aliasing."""


class UnreadableImageError(InputError):
    """A file that cannot be read as a picture, with the reason."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture file as it is meant to be seen.

    Args:
        path: A picture in any format that Pillow reads.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255; see `decode_image`.

    Raises:
        UnreadableImageError: The file is missing, damaged, no picture, or larger than `MAX_PIXELS`.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnreadableImageError(f"{path}: {error.strerror or error}") from error
    with file:
        return decode_image(file, str(path))


def decode_image(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    """Decode a picture to RGB, turned upright by its EXIF orientation.

    Grey is repeated in the three channels, 16-bit grey divided by 257 (65535 becomes 255),
    transparency laid over white, CMYK converted without colour management, and of an animation the
    first frame is taken.

    Args:
        file: The encoded picture, open for reading in binary.
        name: What errors call it.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
        UnreadableImageError: Damaged, no picture, or larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableImageError(
                    f"{name}: {width} x {height} pixels are more than the {MAX_PIXELS // 10**6} "
                    "million that are read; make the picture smaller"
                )
            image.load()
            return np.asarray(_to_rgb(_upright(image)))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"{name}: not a picture in a format that Pillow reads"
        ) from error
    # Pillow's format readers answer damaged bytes with whatever error the damage leads them to.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UnreadableImageError(f"{name}: damaged picture: {reason}") from error


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Bring a picture to a square of `side` pixels: the one resize of loaders, `encode` and search.

    A picture that is not square loses its longer dimension's ends evenly: people differ in the
    proportions of their faces, so nothing is ever stretched. Resampling is `RESIZE_FILTER`.

    Args:
        image: uint8 (height, width, 3).
        side: Height and width wanted, in pixels.

    Returns:
        uint8 (side, side, 3); the pixels themselves where the size is right already.

    Raises:
        ValueError: Another shape or dtype, or a side below 1.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"an image is uint8 (height, width, 3), got {image.dtype} {image.shape}")
    if side < 1:
        raise ValueError(f"side is {side}, the smallest is 1")
    square = _centre_square(image)
    if len(square) == side:
        return square
    resized = Image.fromarray(np.ascontiguousarray(square)).resize((side, side), RESIZE_FILTER)
    return np.asarray(resized)


def _centre_square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    # A broken EXIF block says nothing about the pixels, which are fine: take them as they lie.
    except Exception:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_sixteen_to_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating point numbers, whose white is not known")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _sixteen_to_eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    # Pillow holds some 16-bit files as int32, and its own conversion cuts off at 255.
    values = grey.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(
            f"its grey values {values.min()}..{values.max()} are outside the 16-bit range 0..65535"
        )
    return ((values + 128) // 257).astype(np.uint8)
