"""Hashes of pictures, and the record of the training images that a model carries.

Two pictures are the same here if their decoded pixels are equal at the size at which a network sees
them: uint8 (side, side, 3). File names and formats do not matter, so a folder of PNG files and the
HDF5 file made from it have the same hashes. A JPEG file that another version of its decoder
decodes to slightly different pixels has another hash.
"""

import base64
import binascii
import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import IndexArray, Items, read_rows
from facehash.errors import InputError
from facehash.printing import progress

Hashes = NDArray[np.uint64]

_BYTES = 5  # per training image in a model file
_BLOCK_BYTES = 1 << 23


def picture_hashes(images: Items, rows: IndexArray, seed: int | None = None) -> Hashes:
    """Hash pictures by their pixels.

    Args:
        images: uint8 (n, side, side, 3), in memory or in a file; read a few megabytes at a time.
            Or vectors float32 (n, d), which are hashed by the bytes of their numbers.
        rows: int64 (k,), indices of the pictures to hash.
        seed: With another seed, pictures have other hashes. None is one more such choice.

    Returns:
        uint64 (k,): the first 8 bytes of BLAKE2b over the seed, the shape and the pixels. Equal
        pictures have equal hashes; two different ones collide with a probability of 2^-64.

    Example:
        >>> images = np.zeros((3, 8, 8, 3), np.uint8)
        >>> images[2] = 255
        >>> hashes = picture_hashes(images, np.arange(3))
        >>> bool(hashes[0] == hashes[1]), bool(hashes[0] == hashes[2])
        (True, False)
    """
    shape = "x".join(map(str, images.shape[1:]))
    start = hashlib.blake2b(f"{'' if seed is None else seed}:{shape}:".encode(), digest_size=8)
    size = max(1, _BLOCK_BYTES // math.prod(images.shape[1:]))
    digests = bytearray()
    with progress(total=len(rows), desc="hashing", unit=" images", delay=1) as bar:
        for first in range(0, len(rows), size):
            pictures = read_rows(images, rows[first : first + size])
            for picture in pictures:
                one = start.copy()
                one.update(np.ascontiguousarray(picture).data)
                digests += one.digest()
            bar.update(len(pictures))
    return np.frombuffer(bytes(digests), ">u8").astype(np.uint64)


def record_pictures(hashes: Hashes) -> str:
    """Return a set of pictures as text that fits into a configuration.

    Each picture takes 5 bytes, 425 kB of text for the 63,800 training images of YouTube Faces. A
    picture that is not in the set is taken for one of its n pictures with a probability of
    n / 2^40: of 7,975 new queries, 0.0005 are expected to match those 63,800 by chance.

    Args:
        hashes: uint64 (n,) of `picture_hashes` without a seed; repeats count once.

    Returns:
        Base64 of the distinct leading 40 bits, sorted, each as 5 bytes, most significant first.
    """
    short = np.unique(hashes >> np.uint64(64 - 8 * _BYTES))
    columns = short.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - _BYTES :]
    return base64.b64encode(np.ascontiguousarray(columns).tobytes()).decode("ascii")


def recorded(record: str, hashes: Hashes) -> NDArray[np.bool_]:
    """Return which pictures are in a set that `record_pictures` wrote.

    Args:
        record: The text.
        hashes: uint64 (k,) of `picture_hashes` without a seed.

    Returns:
        bool (k,).

    Raises:
        InputError: The text is no such record.

    Example:
        >>> hashes = picture_hashes(np.eye(3, dtype=np.uint8)[:, None, None, :], np.arange(3))
        >>> recorded(record_pictures(hashes[:2]), hashes).tolist()
        [True, True, False]
    """
    return np.isin(hashes >> np.uint64(64 - 8 * _BYTES), _read(record))


def merge_records(one: str, other: str) -> str:
    """Return the record of the pictures that are in either of two sets."""
    shift = np.uint64(64 - 8 * _BYTES)
    return record_pictures(np.concatenate([_read(one), _read(other)]) << shift)


def _read(record: str) -> Hashes:
    try:
        raw = base64.b64decode(record, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InputError(f"training_images: not base64 text ({error})") from error
    if len(raw) % _BYTES:
        raise InputError(
            f"training_images: {len(raw)} bytes, expected a multiple of {_BYTES}, one hash each"
        )
    wide = np.zeros((len(raw) // _BYTES, 8), np.uint8)
    wide[:, 8 - _BYTES :] = np.frombuffer(raw, np.uint8).reshape(-1, _BYTES)
    return wide.view(">u8").reshape(-1).astype(np.uint64)
