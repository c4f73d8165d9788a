"""The .npy arrays of a library: numbers, and not one byte less than they announce."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray


def to_npy(array: NDArray[Any]) -> bytes:
    """Return an array as the content of an .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def from_npy(content: bytes) -> NDArray[Any]:
    """Return the array of which `to_npy` made this content, read-only.

    Raises:
        ValueError: Something else.
    """
    head = _head(io.BytesIO(content), len(content))
    flat = np.frombuffer(content, head.dtype, offset=head.offset)
    return flat.reshape(head.shape, order="F" if head.by_columns else "C")


def map_npy(path: Path, length: int) -> NDArray[Any]:
    """Map the array in an .npy file of a known length, row by row, into memory.

    Raises:
        ValueError: Another length, or no array of numbers.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        found = file.seek(0, io.SEEK_END)
        file.seek(0)
        if found != length:
            raise ValueError(f"{path.name} has {found} bytes, not {length}")
        try:
            head = _head(file, length)
            if head.by_columns:
                raise ValueError("by columns")
        except ValueError as error:
            raise ValueError(f"{path.name} cannot be read ({error})") from error
    return np.memmap(path, head.dtype, "r", head.offset, head.shape)


class _Head(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_columns: bool
    offset: int


def _head(file: BinaryIO, length: int) -> _Head:
    """Read type, shape and place of an array before any memory is set aside for it."""
    try:
        # No other version is written; in a later one the head alone may announce gigabytes.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version of .npy")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    # A damaged head trips NumPy in ways of all kinds, its tokenizer's among them.
    except Exception as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    offset = file.tell()
    if dtype.kind not in "iuf" or min(shape, default=1) < 0:
        raise ValueError("not one array of numbers")
    if offset + math.prod(shape) * dtype.itemsize != length:
        raise ValueError(f"an array of shape {shape} and {length - offset} bytes")
    return _Head(dtype, shape, by_columns, offset)
