"""The three representations of binary codes, and the validated ways between them.

* signs: int8 (n, bits) of -1 and +1, what a network or a method produces;
* bits: uint8 (n, bits) of 0 and 1, where 1 stands for +1;
* packed: uint8 (n, ceil(bits / 8)), what is stored and searched. Bit j of a code is bit (j mod 8)
  of byte (j div 8), least significant first; the unused bits of the last byte are 0.

All of them hold 1 to 1,024 bits a code. A converter takes any real dtype whose values are exactly
the allowed ones and returns the dtype above.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.errors import InputError

MAX_BITS = 1024

Signs = NDArray[np.int8]
Bits = NDArray[np.uint8]
Packed = NDArray[np.uint8]


class CodesError(InputError):
    """Codes or labels that cannot be used, with what was received and what would be right."""


def sign(relaxed: ArrayLike) -> Signs:
    """Turn relaxed codes into signs; zero becomes +1.

    Args:
        relaxed: Real array of any shape, usually (n, bits) in [-1, 1].

    Returns:
        int8 array of the same shape: +1 where the value is at least 0 (also -0.0), -1 elsewhere.

    Raises:
        CodesError: NaN, or an array that is not of real numbers.
    """
    values = np.asarray(relaxed)
    try:
        undefined = np.isnan(values)
    except TypeError:
        raise CodesError(f"relaxed codes must be real numbers, got dtype {values.dtype}") from None
    if undefined.any():
        raise CodesError(
            f"relaxed codes hold NaN ({np.count_nonzero(undefined)} of {values.size} values); "
            "NaN has no sign"
        )
    if np.iscomplexobj(values):
        raise CodesError(f"relaxed codes must be real numbers, got dtype {values.dtype}")
    return np.where(values >= 0, np.int8(1), np.int8(-1))


def packed_width(bits: int) -> int:
    """Return the bytes of one packed code, ceil(bits / 8).

    Args:
        bits: Length of a code, 1 to 1,024.

    Raises:
        CodesError: `bits` is not such a length.
    """
    return (check_length(bits) + 7) // 8


def check_length(bits: int) -> int:
    """Return `bits` as an int, or refuse a length that no code has.

    Raises:
        CodesError: Not an integer from 1 to 1,024.
    """
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)):
        raise CodesError(f"bits must be an integer from 1 to {MAX_BITS}, got {bits!r}")
    if not 1 <= bits <= MAX_BITS:
        raise CodesError(f"a code has 1 to {MAX_BITS} bits, got {bits}")
    return int(bits)


def check_packed(packed: ArrayLike, bits: int, name: str = "packed codes") -> Packed:
    """Return packed codes as they are, or refuse what would be searched wrongly.

    Args:
        packed: uint8 (n, ceil(bits / 8)).
        bits: Length of a code, 1 to 1,024.
        name: What the array is called in error messages.

    Raises:
        CodesError: Another dtype, shape or width, or a set bit in the padding of the last byte.
    """
    width = packed_width(bits)
    array = np.asarray(packed)
    if array.dtype != np.uint8 or array.ndim != 2:
        raise CodesError(f"{name} must be uint8 (n, {width}), got {array.dtype} {array.shape}")
    if array.shape[1] != width:
        raise CodesError(
            f"{name} of {bits} bits must have {width} bytes a code, got {array.shape[1]}"
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
    """Convert {-1, +1} (n, bits) to uint8 {0, 1} (n, bits), +1 becoming 1.

    Raises:
        CodesError: Another value or shape.
    """
    array = _matrix(signs, "signs")
    _allow_only(array, (-1, 1), "signs")
    return (array > 0).astype(np.uint8)


def signs_from_bits(bit_matrix: ArrayLike) -> Signs:
    """Convert {0, 1} (n, bits) to int8 {-1, +1} (n, bits), 0 becoming -1.

    Raises:
        CodesError: Another value or shape.
    """
    array = _matrix(bit_matrix, "bits")
    _allow_only(array, (0, 1), "bits")
    return np.where(array > 0, np.int8(1), np.int8(-1))


def packed_from_bits(bit_matrix: ArrayLike) -> Packed:
    """Convert {0, 1} (n, bits) to packed uint8 (n, ceil(bits / 8)).

    Raises:
        CodesError: Another value or shape.
    """
    array = _matrix(bit_matrix, "bits")
    _allow_only(array, (0, 1), "bits")
    return np.packbits(array.astype(np.uint8), axis=1, bitorder="little")


def packed_from_signs(signs: ArrayLike) -> Packed:
    """Convert {-1, +1} (n, bits) to packed uint8 (n, ceil(bits / 8)).

    Raises:
        CodesError: Another value or shape.
    """
    return np.packbits(bits_from_signs(signs), axis=1, bitorder="little")


def bits_from_packed(packed: ArrayLike, bits: int) -> Bits:
    """Convert packed uint8 (n, ceil(bits / 8)) to uint8 {0, 1} (n, bits).

    Raises:
        CodesError: As `check_packed`.
    """
    array = check_packed(packed, bits)
    return np.unpackbits(array, axis=1, count=int(bits), bitorder="little")


def signs_from_packed(packed: ArrayLike, bits: int) -> Signs:
    """Convert packed uint8 (n, ceil(bits / 8)) to int8 {-1, +1} (n, bits).

    Raises:
        CodesError: As `check_packed`.
    """
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
