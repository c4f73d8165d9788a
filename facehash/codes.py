"""The three representations of binary codes, and validated conversions between them.

* signs: int8 (n, bits) of -1 and +1, the output of a network or a method;
* bits: uint8 (n, bits) of 0 and 1, where 1 stands for +1;
* packed: uint8 (n, ceil(bits / 8)), the form that is stored and searched. Bit j of a code is bit
  (j mod 8) of byte (j div 8), least significant first; unused bits of the last byte are 0.

A code has 1 to 1,024 bits. The converters accept any real dtype that holds exactly the allowed
values, and return the dtype above; other values, shapes or padding are a CodesError.

Example:
    >>> packed = packed_from_signs(sign([[0.3, -0.9, 0.0]]))
    >>> packed
    array([[5]], dtype=uint8)
    >>> bits_from_packed(packed, 3)
    array([[1, 0, 1]], dtype=uint8)
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.errors import InputError

MAX_BITS = 1024

Signs = NDArray[np.int8]
Bits = NDArray[np.uint8]
Packed = NDArray[np.uint8]


class CodesError(InputError):
    """Invalid codes or labels; the message gives the received and the expected form."""


def sign(relaxed: ArrayLike) -> Signs:
    """Return the signs of relaxed codes; zero becomes +1.

    Args:
        relaxed: Real array of any shape, usually (n, bits) in [-1, 1].

    Returns:
        int8 array of the same shape: +1 where value >= 0 (-0.0 included), -1 elsewhere.

    Raises:
        CodesError: NaN, or values that are not real numbers.
    """
    values = np.asarray(relaxed)
    try:
        undefined = np.isnan(values)
    except TypeError:
        raise CodesError(f"relaxed codes must be real numbers, got dtype {values.dtype}") from None
    if undefined.any():
        count = np.count_nonzero(undefined)
        raise CodesError(f"relaxed codes contain NaN ({count} of {values.size} values)")
    if np.iscomplexobj(values):
        raise CodesError(f"relaxed codes must be real numbers, got dtype {values.dtype}")
    return np.where(values >= 0, np.int8(1), np.int8(-1))


def packed_width(bits: int) -> int:
    """Return the number of bytes of one packed code, ceil(bits / 8)."""
    return (check_length(bits) + 7) // 8


def check_length(bits: int) -> int:
    """Return the length of a code as an int; a CodesError if it is not 1 to 1,024."""
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)):
        raise CodesError(f"bits must be an integer from 1 to {MAX_BITS}, got {bits!r}")
    if not 1 <= bits <= MAX_BITS:
        raise CodesError(f"a code has 1 to {MAX_BITS} bits, got {bits}")
    return int(bits)


def check_packed(packed: ArrayLike, bits: int, name: str = "packed codes") -> Packed:
    """Validate packed codes and return them unchanged.

    Args:
        packed: uint8 (n, ceil(bits / 8)).
        bits: Length of a code, 1 to 1,024.
        name: Name of the array in error messages.

    Raises:
        CodesError: Another dtype, shape or width, or a set bit in the padding of the last byte.
    """
    width = packed_width(bits)
    array = np.asarray(packed)
    if array.dtype != np.uint8 or array.ndim != 2:
        raise CodesError(f"{name} must be uint8 (n, {width}), got {array.dtype} {array.shape}")
    if array.shape[1] != width:
        raise CodesError(
            f"{name} of {bits} bits must have {width} bytes per code, got {array.shape[1]}"
        )
    used = bits - 8 * (width - 1)
    dirty = (array[:, -1] >> used).astype(bool) if used < 8 else np.zeros(len(array), dtype=bool)
    if dirty.any():
        row = int(np.argmax(dirty))
        raise CodesError(
            f"{name} have bits set beyond the {bits} used (row {row}, last byte "
            f"{array[row, -1]}); the padding must be 0, least significant bit first"
        )
    return array


def bits_from_signs(signs: ArrayLike) -> Bits:
    """Convert {-1, +1} (n, bits) to uint8 {0, 1} (n, bits), +1 becoming 1."""
    array = _matrix(signs, "signs")
    _allow_only(array, (-1, 1), "signs")
    return (array > 0).astype(np.uint8)


def signs_from_bits(bit_matrix: ArrayLike) -> Signs:
    """Convert {0, 1} (n, bits) to int8 {-1, +1} (n, bits), 0 becoming -1."""
    array = _matrix(bit_matrix, "bits")
    _allow_only(array, (0, 1), "bits")
    return np.where(array > 0, np.int8(1), np.int8(-1))


def packed_from_bits(bit_matrix: ArrayLike) -> Packed:
    """Convert {0, 1} (n, bits) to packed uint8 (n, ceil(bits / 8))."""
    array = _matrix(bit_matrix, "bits")
    _allow_only(array, (0, 1), "bits")
    return np.packbits(array.astype(np.uint8), axis=1, bitorder="little")


def packed_from_signs(signs: ArrayLike) -> Packed:
    """Convert {-1, +1} (n, bits) to packed uint8 (n, ceil(bits / 8))."""
    return np.packbits(bits_from_signs(signs), axis=1, bitorder="little")


def bits_from_packed(packed: ArrayLike, bits: int) -> Bits:
    """Convert packed uint8 (n, ceil(bits / 8)) to uint8 {0, 1} (n, bits)."""
    array = check_packed(packed, bits)
    return np.unpackbits(array, axis=1, count=int(bits), bitorder="little")


def signs_from_packed(packed: ArrayLike, bits: int) -> Signs:
    """Convert packed uint8 (n, ceil(bits / 8)) to int8 {-1, +1} (n, bits)."""
    return signs_from_bits(bits_from_packed(packed, bits))


def _matrix(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise CodesError(f"{name} must be numbers, got dtype {array.dtype}")
    if array.ndim != 2:
        raise CodesError(f"{name} must have shape (n, bits), got {array.shape}")
    check_length(array.shape[1])
    return array


def _allow_only(array: NDArray[Any], allowed: tuple[int, int], name: str) -> None:
    wrong = (array != allowed[0]) & (array != allowed[1])
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise CodesError(
            f"{name} must be {allowed[0]} or {allowed[1]}, got {array[row, column]} at row {row}, "
            f"column {column} ({np.count_nonzero(wrong)} such values)"
        )
