"""JPEG files of any size, made in little memory."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_BLOCK = 16  # height of a row of blocks in pixels, as color has half the resolution


def large_jpeg(width, rows, seed=0, exif=b""):
    """Return a JPEG of `width` x 16 * `rows` pixels: one strip of blocks again and again.

    Between the copies of the strip stand the marks at which a decoder starts anew.
    """
    small = np.random.default_rng(seed).integers(0, 255, (2, width // 200 + 1, 3), np.uint8)
    strip = Image.fromarray(small).resize((width, _BLOCK))
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=85, restart_marker_rows=1, exif=exif)
    content = file.getvalue()
    frame = content.index(b"\xff\xc0")
    height = (_BLOCK * rows).to_bytes(2, "big")
    content = content[: frame + 5] + height + content[frame + 7 :]
    scan = content.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")
    strips = [content[start:-2]]
    for number in range(rows - 1):
        strips += [bytes([0xFF, 0xD0 + number % 8]), strips[0]]
    return content[:start] + b"".join(strips) + content[-2:]
