"""Code files: codes and labels of gallery and query, from this project or from any other tool.

A code file is an .npz, .h5 (.hdf5) or .mat of any version with the arrays ``gallery_codes``,
``query_codes``, ``gallery_labels`` and ``query_labels``. Codes are matrices (n, bits) of {0, 1} or
{-1, +1}; or, if a fifth array ``bits`` contains their length, packed uint8 (n, ceil(bits / 8)),
least significant bit first, padding 0. Labels are integers (n,), (n, 1) or (1, n).

Whether matrices are {0, 1} or {-1, +1} is decided for gallery and query together. Matrices that
contain only 1 are the same codes in both readings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.array_files import ArrayFileError, read_arrays
from facehash.codes import (
    MAX_BITS,
    CodesError,
    Packed,
    check_length,
    check_packed,
    packed_from_bits,
    packed_width,
)
from facehash.files import atomic_write

CODES = ("gallery_codes", "query_codes")
LABELS = ("gallery_labels", "query_labels")
LENGTH = "bits"
VALUES = "codes are {0, 1} or {-1, +1}"


@dataclass(frozen=True)
class CodeSet:
    """Packed codes with their labels, to be scored or searched."""

    gallery_codes: Packed  # uint8 (n, ceil(bits / 8))
    query_codes: Packed  # uint8 (q, ceil(bits / 8))
    gallery_labels: NDArray[np.int64]  # (n,)
    query_labels: NDArray[np.int64]  # (q,)
    bits: int  # length of a code, 1 to 1,024


def read_codes(path: str | Path) -> CodeSet:
    """Read a code file in any of the forms above; nothing is unpickled.

    Args:
        path: A file ending in .npz, .h5, .hdf5 or .mat.

    Raises:
        CodesError: Not such a file; the message states what it contains.
    """
    try:
        arrays = read_arrays(Path(path), required=(*CODES, *LABELS), optional=(LENGTH,))
    except ArrayFileError as error:
        raise CodesError(str(error)) from error
    try:
        return _code_set(arrays)
    except CodesError as error:
        raise CodesError(f"{path}: {error}") from error


def write_codes(path: str | Path, codes: CodeSet) -> None:
    """Write packed codes to an .npz atomically; an existing file is replaced.

    Raises:
        CodesError: `path` does not end in .npz, or the codes do not fit `codes.bits`.
    """
    if Path(path).suffix != ".npz":
        raise CodesError(f"{path}: code files are written as .npz")
    arrays: dict[str, Any] = {LENGTH: np.int64(codes.bits)}
    for name in CODES:
        arrays[name] = check_packed(getattr(codes, name), codes.bits, name)
    for name, owner in zip(LABELS, CODES, strict=True):
        arrays[name] = _labels(getattr(codes, name), name, len(arrays[owner]), owner)
    with atomic_write(Path(path)) as temporary:
        np.savez(temporary, **arrays)


def _code_set(arrays: Mapping[str, NDArray[Any]]) -> CodeSet:
    matrices = [_matrix(arrays[name], name) for name in CODES]
    if LENGTH in arrays:
        bits = _length(arrays[LENGTH])
        packed = [_packed(matrix, bits, name) for matrix, name in zip(matrices, CODES, strict=True)]
    else:
        bits = matrices[0].shape[1]
        packed = _pack(matrices)
    labels = [
        _labels(arrays[name], name, len(codes), owner)
        for name, codes, owner in zip(LABELS, packed, CODES, strict=True)
    ]
    return CodeSet(packed[0], packed[1], labels[0], labels[1], bits)


def _matrix(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise CodesError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.ndim != 2:
        raise CodesError(f"{name} must have two axes (n, bits), got shape {array.shape}")
    if len(array) == 0:
        raise CodesError(f"{name} is empty, shape {array.shape}")
    return array


def _length(array: NDArray[Any]) -> int:
    if array.size != 1 or array.dtype.kind not in "iuf" or array.item() % 1 != 0:
        raise CodesError(f"bits must be one integer from 1 to {MAX_BITS}, got {array.tolist()!r}")
    return check_length(int(array.item()))


def _packed(matrix: NDArray[Any], bits: int, name: str) -> Packed:
    width, remedy = packed_width(bits), "omit 'bits' for codes with one column per bit"
    if matrix.dtype != np.uint8:
        raise CodesError(
            f"{name} must be packed uint8 because 'bits' is present, got dtype {matrix.dtype}; "
            f"{remedy}"
        )
    if matrix.shape[1] != width:
        raise CodesError(
            f"{name} has {matrix.shape[1]} columns, packed codes of {bits} bits have {width}; "
            f"{remedy}"
        )
    return np.ascontiguousarray(check_packed(matrix, bits, name))


def _pack(matrices: list[NDArray[Any]]) -> list[Packed]:
    """Pack matrices with one column per bit, after deciding for all whether -1 or 0 is low."""
    widths = [matrix.shape[1] for matrix in matrices]
    if widths[0] != widths[1]:
        raise CodesError(
            f"{CODES[0]} has {widths[0]} columns and {CODES[1]} {widths[1]}; all codes must have "
            "the same length (one row per code, one column per bit)"
        )
    if not 1 <= widths[0] <= MAX_BITS:
        raise CodesError(
            f"{CODES[0]} has {widths[0]} columns, a code has 1 to {MAX_BITS} bits "
            f"(one row per code, one column per bit)"
        )
    for name, matrix in zip(CODES, matrices, strict=True):
        _check_values(name, matrix)
    lows = [low for low in (-1, 0) if any((matrix == low).any() for matrix in matrices)]
    if len(lows) == 2:
        raise CodesError(f"{CODES[0]} and {CODES[1]} together contain -1, 0 and 1; {VALUES}")
    return [packed_from_bits(matrix == 1) for matrix in matrices]


def _check_values(name: str, matrix: NDArray[Any]) -> None:
    wrong = (matrix != 0) & (matrix != 1)
    if matrix.dtype.kind in "if":
        wrong &= matrix != -1
    if wrong.any():
        values = [f"{value:g}" for value in np.unique(matrix[wrong])]
        shown = ", ".join(values[:3] + ["..."] * (len(values) > 3))
        hint = "; packed codes need an array 'bits'" if matrix.dtype == np.uint8 else ""
        raise CodesError(f"{name} contains {shown}; {VALUES}{hint}")


def _labels(array: NDArray[Any], name: str, length: int, owner: str) -> NDArray[np.int64]:
    if array.dtype.kind not in "iuf":
        raise CodesError(f"{name} must be integers, got dtype {array.dtype}")
    if array.ndim > 2 or (array.ndim == 2 and 1 not in array.shape) or array.ndim == 0:
        raise CodesError(
            f"{name} must have shape (n,), (n, 1) or (1, n), one identity per code, "
            f"got {array.shape}"
        )
    if array.size != length:
        raise CodesError(
            f"{name} has {array.size} labels, {owner} has {length} codes (one row per code)"
        )
    flat = array.reshape(-1)
    with np.errstate(invalid="ignore"):  # NaN and infinity differ from any integer
        whole = flat.astype(np.int64)
    if (whole != flat).any():
        raise CodesError(f"{name} contains {flat[whole != flat][0]}; labels are 64-bit integers")
    return whole
