"""What JPEG files need beyond decoding: little memory for large ones, and patience for cut ones."""

import io
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

_START = b"\xff\xd8"
_END = b"\xff\xd9"
_SCAN, _SEQUENTIAL = 0xDA, (0xC0, 0xC1)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the other three are tables
_BLOCK = 16  # largest height of a row of blocks, in pixels
_FILL = 128  # libjpeg fills what is missing with the middle of the range
_ROWS = 256  # number of rows that are looked at together
_CUT = ("truncated", "broken data stream")


def is_jpeg(file: BinaryIO) -> bool:
    """Return whether a file begins as a JPEG does; it is then at its beginning."""
    file.seek(0)
    start = file.read(2)
    file.seek(0)
    return start == _START


def open_jpeg(file: BinaryIO) -> JpegImagePlugin.JpegImageFile:
    """Open a JPEG of any size, for which `PIL.Image.open` may raise `DecompressionBombError`."""
    file.seek(0)
    return JpegImagePlugin.JpegImageFile(file)


def decodes_in_rows(file: BinaryIO) -> bool:
    """Return whether a JPEG is decoded row by row, with memory for a few rows.

    Of a progressive JPEG, and of one with a scan per color, the decoder keeps all coefficients: two
    bytes for each pixel and color.

    Args:
        file: A JPEG file; it is then at its beginning.
    """
    file.seek(2)
    sequential, colors = False, 0
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        kind, size = head[1], int.from_bytes(head[2:], "big")
        if kind == 0xFF:  # a fill byte
            file.seek(-3, io.SEEK_CUR)
            continue
        body = file.read(size - 2)
        if kind in _FRAMES and len(body) > 5:
            sequential, colors = kind in _SEQUENTIAL, body[5]
        if kind == _SCAN:
            file.seek(0)
            return sequential and body[:1] == bytes([colors])
    file.seek(0)
    return False


def is_cut(image: Image.Image, error: Exception) -> bool:
    """Return whether an error of decoding is that of a JPEG that lacks its last bytes."""
    return image.format in ("JPEG", "MPO") and any(word in str(error) for word in _CUT)


def completed(file: BinaryIO) -> BinaryIO:
    """Return a JPEG that lacks its last bytes, followed by the mark of the end.

    A decoder then fills the missing part with gray instead of waiting for more.
    """
    file.seek(0)
    return io.BytesIO(file.read() + _END)


def missing_share(image: Image.Image) -> float:
    """Return the share of rows at the end of a completed JPEG that are gray, 0 to 1.

    Of a progressive JPEG no rows are missing, but details. A picture that ends within the first
    row of blocks counts as missing: there the decoder makes up pixels of its own.
    """
    width, height = image.size
    for bottom in range(height, 0, -_ROWS):
        top = max(0, bottom - _ROWS)
        flat = np.asarray(image.crop((0, top, width, bottom))).reshape(bottom - top, -1)
        gray = (np.abs(flat.astype(np.int16) - _FILL) <= 1).all(axis=1)
        if not gray.all():
            rows = top + int(np.flatnonzero(~gray)[-1]) + 1
            return 1 - rows / height if rows > _BLOCK else 1.0
    return 1.0


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a large RGB picture, uint8 (height, width, 3), copied part by part.

    NumPy's own conversion needs the memory of a second copy.
    """
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels
