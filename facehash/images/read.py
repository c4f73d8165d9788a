"""Reading a picture file, and the one way in which a picture is made smaller or larger."""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib.util
import os
import stat
import warnings
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facehash.errors import InputError
from facehash.images.pixels import UnsupportedPixelsError, to_rgb, upright

_SUFFIXES = ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .pgm .png .pnm .ppm .tif .tiff .webp"
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""Endings, in lower case, by which a file counts as a picture."""

MAX_PIXELS = 50_000_000
"""A picture with more pixels is refused before it is decoded: it would fill the memory."""

MAX_FILE_BYTES = 200_000_000
"""A larger file is refused before it is read: `MAX_PIXELS` without compression take 150 MB."""

RESIZE_FILTER = Image.Resampling.BICUBIC
"""The one filter. Pillow widens it with the scale, so that a smaller picture has no aliasing."""

# Pillow reads dozens of formats more, some through other programs. Each is a way in for a file
# that somebody else made, and none is what cameras and browsers write.
_DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "HEIF")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

Reason = Literal[
    "missing",
    "not_a_file",
    "unreadable",
    "too_large_file",
    "not_a_picture",
    "no_decoder",
    "too_many_pixels",
    "unsupported",
    "damaged",
    "changed",
]
"""Why a picture could not be read, in one word that a program can count by."""


class UnreadableImageError(InputError):
    """A file that cannot be read as a picture.

    Attributes:
        reason: ``missing``; ``not_a_file``, a folder, pipe or device; ``unreadable``, the
            operating system refused; ``too_large_file`` and ``too_many_pixels``, over the limits;
            ``not_a_picture``, in no known format; ``no_decoder``, in a format whose optional
            package is not installed; ``unsupported``, of a kind without a meaning as colour;
            ``damaged``; ``changed``, another content than was asked for.
    """

    def __init__(self, message: str, reason: Reason = "damaged") -> None:
        super().__init__(message)
        self.reason: Reason = reason


def read_image(path: Path, sha256: bytes | None = None) -> NDArray[np.uint8]:
    """Read a picture file as it is meant to be seen.

    Args:
        path: A JPEG, PNG, WebP, TIFF, GIF, BMP, PPM, AVIF file, or with pillow-heif a HEIC file;
            its content decides, not its name.
        sha256: The content wanted; another one is refused before it is decoded.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255; see `decode_image`.

    Raises:
        UnreadableImageError: The file is missing, no regular file, damaged, no picture, not the
            one wanted, or over the limits `MAX_FILE_BYTES` and `MAX_PIXELS`; its `reason` says
            which.
    """
    with open_picture(path) as file:
        if sha256 is not None:
            _check_size(file, str(path))
            if hashlib.file_digest(file, "sha256").digest() != sha256:
                raise UnreadableImageError(f"{path}: not the photo it was any more", "changed")
            file.seek(0)
        return decode_image(file, str(path))


def open_picture(path: Path) -> BufferedReader:
    """Open a file to be read as a picture; a pipe or a device is refused, not waited for.

    Raises:
        UnreadableImageError: ``missing``, ``not_a_file`` or ``unreadable``.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableImageError(f"{path}: not a regular file", "not_a_file")
        # It might have become a pipe since, at which opening would wait for a writer forever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
        reason: Reason = "missing" if gone else "unreadable"
        raise UnreadableImageError(f"{path}: {error.strerror or error}", reason) from error


def decode_image(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    """Decode a picture to RGB, turned upright by its EXIF orientation.

    Grey is repeated in the three channels, 16-bit grey divided by 257 (65535 becomes 255),
    transparency laid over white, CMYK converted without colour management, and of an animation the
    first frame is taken.

    Args:
        file: The encoded picture, open for reading in binary, at its beginning.
        name: What errors call it.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
        UnreadableImageError: Damaged, no picture, or over a limit; its `reason` says which.
    """
    try:
        _check_size(file, name)
        with Image.open(file, formats=_formats()) as image:
            _check_pixels(image, name)
            image.load()
            return np.asarray(to_rgb(upright(image)))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(file, name) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"{name}: far more pixels than the {MAX_PIXELS // 10**6} million that are read",
            "too_many_pixels",
        ) from error
    except UnsupportedPixelsError as error:
        raise UnreadableImageError(f"{name}: {error}", "unsupported") from error
    # Pillow's format readers answer damaged bytes with whatever error the damage leads them to.
    except Exception as error:
        words = str(error) or type(error).__name__
        # Those of the operating system have a number, the readers' own have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableImageError(f"{name}: {words}", "unreadable") from error
        raise UnreadableImageError(f"{name}: damaged picture: {words}", "damaged") from error


def _check_size(file: BinaryIO, name: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(
            f"{name}: {size / 1e6:.0f} MB are more than the {MAX_FILE_BYTES // 10**6} MB that are "
            "read",
            "too_large_file",
        )


def _check_pixels(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"{name}: {width} x {height} pixels are more than the {MAX_PIXELS // 10**6} "
            "million that are read; make the picture smaller",
            "too_many_pixels",
        )


@functools.cache
def _formats() -> tuple[str, ...]:
    """List the decoders of this process, having made Pillow know them and hold its tongue."""
    # What it warns of is either one of our errors or no matter for the pixels. For the process,
    # since warnings cannot be silenced for one of several threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in _DECODERS if name in Image.OPEN)


def _unidentified(file: BinaryIO, name: str) -> UnreadableImageError:
    """Say why a file was not recognised, which for a phone's photo is a missing package."""
    file.seek(0)
    start = file.read(12)
    if not start:
        return UnreadableImageError(f"{name}: not a picture, the file is empty", "not_a_picture")
    if start[4:8] == b"ftyp" and start[8:] in _HEIC_BRANDS and "HEIF" not in _formats():
        return UnreadableImageError(
            f"{name}: HEIC pictures need another package: pip install 'facehash[heic]'",
            "no_decoder",
        )
    return UnreadableImageError(f"{name}: not a picture in a known format", "not_a_picture")


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
