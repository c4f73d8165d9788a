"""Reading picture files, and the one resize function that the whole project uses."""

import errno
import functools
import hashlib
import importlib.util
import os
import stat
import warnings
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from facehash.errors import InputError
from facehash.images import jpeg
from facehash.images.depth import UnsupportedPixelsError, has_sixteen_bit_colors, reread_if_dark
from facehash.images.exif import date_of
from facehash.images.rgb import SIDEWAYS, orientation_of, to_rgb, turned, upright

_SUFFIXES = ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .pgm .png .pnm .ppm .tif .tiff .webp"
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""File name endings of pictures, in lower case."""

MAX_PIXELS = 50_000_000
"""Larger pictures are refused before they are decoded: they would fill the memory."""

MAX_JPEG_PIXELS = 200_000_000
"""A JPEG of more than `MAX_PIXELS` is decoded at half its width and height, up to this size."""

MAX_FILE_BYTES = 200_000_000
"""Larger files are refused before they are read; `MAX_PIXELS` uncompressed take 150 MB."""

RESIZE_FILTER = Image.Resampling.BICUBIC
"""Pillow widens this filter with the scale, so that reduced pictures show no aliasing."""

# Pillow supports dozens of other formats, some through external programs. Each adds attack surface
# for malicious files, and cameras and browsers write none of them.
_DECODERS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "HEIF")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

Reason = Literal[
    "missing",
    "not_a_file",  # a folder, pipe or device
    "unreadable",  # the operating system refused
    "too_large_file",
    "not_a_picture",  # not in a known format
    "no_decoder",  # the optional package for the format is not installed
    "too_many_pixels",
    "unsupported",  # pixels that are not colors
    "damaged",
    "changed",  # the content is not the expected one
]
"""Why a picture could not be read; reports count files by it."""


class UnreadableImageError(InputError):
    """A file that cannot be read as a picture; its `reason` is one of `Reason`."""

    def __init__(self, message: str, reason: Reason = "damaged") -> None:
        super().__init__(message)
        self.reason: Reason = reason


class Photo(NamedTuple):
    """A decoded picture file."""

    pixels: NDArray[np.uint8]  # (height, width, 3), upright RGB; reduced for a large JPEG
    size: tuple[int, int]  # width and height of the whole picture, upright, in pixels
    damage: str | None = None  # what is missing, in words, if the file lacks its end
    taken: datetime | None = None  # in the time of the camera; None if the file does not say

    @property
    def scale(self) -> float:
        """Pixels of the whole picture per decoded pixel: 1, or about 2 for a large JPEG."""
        return self.size[0] / int(self.pixels.shape[1])


def read_image(path: Path, sha256: bytes | None = None) -> NDArray[np.uint8]:
    """Read a picture file as upright RGB.

    Unlike `read_photo`, this refuses a JPEG that lacks its last bytes.

    Args:
        path: A JPEG, PNG, WebP, TIFF, GIF, BMP, PPM or AVIF file, or with pillow-heif a HEIC file.
            The format is recognized by the content, not by the name.
        sha256: Expected digest of the content; other content is refused before it is decoded.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255; see `decode_image`.

    Raises:
        UnreadableImageError: The file cannot be read, or exceeds `MAX_FILE_BYTES` or `MAX_PIXELS`;
            see its `reason`.

    Example:
        >>> read_image(Path("family.jpg")).shape  # doctest: +SKIP
        (3000, 4000, 3)
    """
    return _undamaged(read_photo(path, sha256), str(path))


def read_photo(path: Path, sha256: bytes | None = None) -> Photo:
    """Read a picture file as `read_image` does, also a JPEG that lacks its last bytes.

    Args:
        path: The file.
        sha256: Expected digest of the content.

    Returns:
        The pixels, and what is missing of them.

    Raises:
        UnreadableImageError: As `read_image`.

    Example:
        >>> read_photo(Path("half.jpg")).damage  # doctest: +SKIP
        'cut off: the last 48 % of its rows are missing'
    """
    with open_picture(path) as file:
        if sha256 is not None:
            _check_size(file, str(path))
            if hashlib.file_digest(file, "sha256").digest() != sha256:
                raise UnreadableImageError(f"{path}: the photo has changed", "changed")
            file.seek(0)
        return decode_photo(file, str(path))


def is_picture(path: Path) -> bool:
    """Return whether the beginning of a file is that of a picture, whatever its name."""
    try:
        with open_picture(path) as file, Image.open(file, formats=known_formats()):
            return True
    # Pillow's decoders raise almost any exception for damaged files.
    except Exception:
        return False


def open_picture(path: Path) -> BufferedReader:
    """Open a regular file for reading; pipes and devices are refused, as they could block.

    Raises:
        UnreadableImageError: ``missing``, ``not_a_file`` or ``unreadable``.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableImageError(f"{path}: not a regular file", "not_a_file")
        # Non-blocking: if it has become a pipe since, opening would wait for a writer forever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
        reason: Reason = "missing" if gone else "unreadable"
        problem = error.strerror or str(error)
        if gone and path.is_symlink():
            problem = f"a link to {os.readlink(path)}, which does not exist"
        raise UnreadableImageError(f"{path}: {problem}", reason) from error


def decode_image(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    """Decode a picture to RGB and apply its EXIF orientation.

    Gray is repeated in the three channels, 16 bits are scaled to 8 (see `facehash.images.depth`),
    transparent pixels are drawn over white, CMYK is converted without color management, and an
    animation yields its first frame. A JPEG of more than 50 million pixels is decoded at half its
    width and height.

    Args:
        file: The encoded picture: a binary file at its beginning.
        name: Name of the picture in error messages.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255.

    Raises:
        UnreadableImageError: Damaged, not a picture, or over a limit; see its `reason`.
    """
    return _undamaged(decode_photo(file, name), name)


def _undamaged(photo: Photo, name: str) -> NDArray[np.uint8]:
    if photo.damage:
        raise UnreadableImageError(f"{name}: damaged picture: {photo.damage}", "damaged")
    return photo.pixels


def decode_photo(file: BinaryIO, name: str) -> Photo:
    """Decode a picture as `decode_image` does, also a JPEG that lacks its last bytes.

    Its missing part is gray, and `Photo.damage` says so. A JPEG of which no pixel is left is
    refused.

    Args:
        file: The encoded picture: a binary file at its beginning.
        name: Name of the picture in error messages.

    Raises:
        UnreadableImageError: As `decode_image`.
    """
    try:
        _check_size(file, name)
        with open_encoded(file, name) as image:
            deep = has_sixteen_bit_colors(image)
            whole = _reduce(image, file, name)
            try:
                image.load()
            except OSError as error:
                if not jpeg.is_cut(image, error):
                    raise
                return _decode_cut(file, name)
            taken = date_of(image)
            bright = reread_if_dark(image, file) if deep else None
            if bright is not None:
                image = turned(bright, orientation_of(image))
            return _photo(image, whole)._replace(taken=taken)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(file, name) from error
    except UnsupportedPixelsError as error:
        raise UnreadableImageError(f"{name}: {error}", "unsupported") from error
    # Pillow's decoders raise almost any exception for damaged files.
    except Exception as error:
        message = str(error) or type(error).__name__
        # Errors of the operating system have a number, those of the decoders do not.
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableImageError(f"{name}: {message}", "unreadable") from error
        raise UnreadableImageError(f"{name}: damaged picture: {message}", "damaged") from error


def _check_size(file: BinaryIO, name: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(
            f"{name}: {size / 1e6:.0f} MB exceed the limit of {MAX_FILE_BYTES // 10**6} MB",
            "too_large_file",
        )


def open_encoded(file: BinaryIO, name: str) -> Image.Image:
    """Open a picture of a known format; it is not decoded yet."""
    try:
        return Image.open(file, formats=known_formats())
    except Image.DecompressionBombError as error:
        if jpeg.is_jpeg(file):
            return jpeg.open_jpeg(file)
        raise UnreadableImageError(
            f"{name}: far more pixels than the limit of {MAX_PIXELS // 10**6} million",
            "too_many_pixels",
        ) from error


def _reduce(image: Image.Image, file: BinaryIO, name: str) -> tuple[int, int] | None:
    """Let a large JPEG be decoded at half its width and height; refuse other large pictures.

    Returns:
        Width and height of a large JPEG, as stored; None for other pictures.
    """
    width, height = image.size
    if width * height <= MAX_PIXELS:
        return None
    why = f"{width} x {height} pixels exceed the limit of"
    remedy = "make the picture smaller"
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        limit, reducible = MAX_PIXELS, False
    else:
        place = file.tell()
        reducible = jpeg.decodes_in_rows(file)
        file.seek(place)
        limit = MAX_JPEG_PIXELS if reducible else MAX_PIXELS
        if not reducible:
            remedy = "progressive JPEGs need much memory; save it as a baseline JPEG"
    if not reducible or width * height > limit:
        raise UnreadableImageError(
            f"{name}: {why} {limit // 10**6} million; {remedy}", "too_many_pixels"
        )
    image.draft(None, (max(1, width // 2), max(1, height // 2)))
    return width, height


def _decode_cut(file: BinaryIO, name: str) -> Photo:
    """Decode a JPEG that lacks its last bytes."""
    file = jpeg.completed(file)
    with open_encoded(file, name) as image:
        whole = _reduce(image, file, name)
        image.load()
        missing = jpeg.missing_share(image)
        if missing == 1:
            raise UnreadableImageError(f"{name}: damaged picture: no pixel is left", "damaged")
        damage = "cut off near its end"
        if missing:
            damage = f"cut off: the last {max(1, round(100 * missing))} % of its rows are missing"
        return _photo(image, whole, damage)._replace(taken=date_of(image))


def _photo(image: Image.Image, whole: tuple[int, int] | None, damage: str | None = None) -> Photo:
    """Return a decoded picture as upright RGB; `whole` is its size as stored if it is reduced."""
    sideways = orientation_of(image) in SIDEWAYS
    rgb = to_rgb(upright(image))
    if whole is None:
        return Photo(np.asarray(rgb), rgb.size, damage)
    return Photo(jpeg.pixels_of(rgb), whole[::-1] if sideways else whole, damage)


@functools.cache
def known_formats() -> tuple[str, ...]:
    """Register and return the available decoders, and silence Pillow's warnings."""
    # What Pillow warns about either raises one of our errors or does not affect the pixels. The
    # filter holds for the whole process, as warnings cannot be silenced for a single thread.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in _DECODERS if name in Image.OPEN)


def _unidentified(file: BinaryIO, name: str) -> UnreadableImageError:
    """Return why a file was not recognized: for a HEIC photo, a missing package."""
    file.seek(0)
    start = file.read(12)
    if not start:
        return UnreadableImageError(f"{name}: not a picture: the file is empty", "not_a_picture")
    if start[4:8] == b"ftyp" and start[8:] in _HEIC_BRANDS and "HEIF" not in known_formats():
        return UnreadableImageError(
            f"{name}: HEIC pictures need an optional package: pip install 'facehash[heic]'",
            "no_decoder",
        )
    return UnreadableImageError(f"{name}: not a picture in a known format", "not_a_picture")


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Crop a picture to its central square and resize that with `RESIZE_FILTER`.

    Loaders, `encode` and search all use this function. Pictures are cropped and never stretched,
    as the proportions of a face distinguish people.

    Args:
        image: uint8 (height, width, 3).
        side: Height and width of the result, in pixels.

    Returns:
        uint8 (side, side, 3); the unchanged pixels if the size already fits.

    Raises:
        ValueError: Another shape or dtype, or a side below 1.

    Example:
        >>> resize(np.zeros((40, 60, 3), np.uint8), 32).shape
        (32, 32, 3)
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image must be uint8 (height, width, 3), got {image.dtype} {image.shape}")
    if side < 1:
        raise ValueError(f"side must be at least 1, got {side}")
    height, width = image.shape[:2]
    extent = min(height, width)
    top, left = (height - extent) // 2, (width - extent) // 2
    square = image[top : top + extent, left : left + extent]
    if len(square) == side:
        return square
    resized = Image.fromarray(np.ascontiguousarray(square)).resize((side, side), RESIZE_FILTER)
    return np.asarray(resized)
