"""A short way to `data.load`, and writers of pictures and small data sets."""

import io
import pickle

import numpy as np
from PIL import Image

import data
from facehash.config import DatasetConfig

_BLOCK = 16  # height of a row of blocks in pixels, as color has half the resolution


def load(source, name="mine", cache=None, **options):
    """Load a data set of 16 x 16 images with one query per person, unless `options` differ."""
    options = {"side": 16, "queries_per_identity": 1} | options
    return data.load(DatasetConfig(name=name, **options), source, cache)


def write_picture(path, value=100, size=(40, 40), **options):
    """Write a picture of one grey value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


def write_pickle(path, content, protocol=2):
    """Write a pickle by Python's own pickler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def random_pixels(count, dtype="f4", seed=0):
    """Return (count, 3072) whole numbers from 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072)).astype(dtype)


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
