"""Code files: codes and labels of gallery and query, from this project or from any other tool.

A code file is an .npz, .h5 (.hdf5) or .mat of any version with the arrays ``gallery_codes``,
``query_codes``, ``gallery_labels`` and ``query_labels``; or one of the texts and folders of
`facehash.retrieval.codes_text`. Codes are matrices (n, bits) of {0, 1} or {-1, +1}; or, if a fifth
array ``bits`` contains their length, packed uint8 (n, ceil(bits / 8)), padding 0. Labels are
integers (n,), (n, 1) or (1, n).

A text ``bit_order`` says which bit of a packed byte comes first: ``"little"``, the least
significant, or ``"big"``, the most significant, the default of ``np.packbits``. Without it the
order is taken for little and is unknown. Hamming distances do not depend on it, but an evaluation
that weights bits does.

Codes with several labels have ``gallery_label_sets`` and ``query_label_sets`` instead of the
labels: booleans (n, L) with L >= 2, where column l says whether a code has label l.

An array ``leave_one_out`` that contains 1 says that the gallery is also the queries, in the same
order, and that each query searches all items but itself. Then ``query_codes`` and the query's
labels may be omitted; if present, they must equal those of the gallery.

An array ``query_projections``, real numbers (q, bits), holds the numbers whose signs are the query
codes, for an evaluation by the asymmetric distance (`facehash.hamming.asymmetric`).

Whether matrices are {0, 1} or {-1, +1} is decided for gallery and query together. Matrices that
contain only 1 are the same codes in both readings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facehash.array_files import SUFFIXES, ArrayFileError, Arrays, Names, read_arrays
from facehash.codes import (
    MAX_BITS,
    CodesError,
    Packed,
    check_length,
    check_packed,
    packed_from_bits,
    packed_width,
    signs_from_packed,
)
from facehash.files import atomic_write
from facehash.hamming.asymmetric import check_projections
from facehash.hamming.labels import (
    Labels,
    check_label_pair,
    check_leave_one_out,
)
from facehash.retrieval.codes_text import read_folder, read_table

CODES = ("gallery_codes", "query_codes")
LABELS = ("gallery_labels", "query_labels")
LABEL_SETS = ("gallery_label_sets", "query_label_sets")
LENGTH = "bits"
LEAVE_ONE_OUT = "leave_one_out"
PROJECTIONS = "query_projections"
ORDER = "bit_order"
BitOrder = Literal["little", "big"]
BIT_ORDERS: tuple[BitOrder, ...] = get_args(BitOrder)
VALUES = "codes are {0, 1} or {-1, +1}"


@dataclass(frozen=True)
class CodeSet:
    """Packed codes with their labels, to be scored or searched."""

    gallery_codes: Packed  # uint8 (n, ceil(bits / 8))
    query_codes: Packed  # uint8 (q, ceil(bits / 8))
    gallery_labels: Labels  # int64 (n,), or label sets bool (n, L)
    query_labels: Labels  # int64 (q,), or label sets bool (q, L)
    bits: int  # length of a code, 1 to 1,024
    leave_one_out: bool = False  # whether the queries are the gallery and do not find themselves
    bit_order_known: bool = True  # False for packed codes from a file that does not state it
    query_projections: NDArray[np.float32] | None = None  # (q, bits), whose signs are query_codes


def read_codes(path: str | Path, bit_order: BitOrder | None = None) -> CodeSet:
    """Read a code file in any of the forms above; nothing is unpickled.

    Args:
        path: A file ending in .npz, .h5, .hdf5, .mat or .csv, or a folder.
        bit_order: Order of the bits in packed codes, for a file that does not state it.

    Raises:
        CodesError: Not such a file; the message states what it contains.
    """
    try:
        return _code_set(_read(Path(path)), bit_order)
    except ArrayFileError as error:
        raise CodesError(str(error)) from error
    except CodesError as error:
        raise CodesError(f"{path}: {error}") from error


def write_codes(path: str | Path, codes: CodeSet) -> None:
    """Write packed codes to an .npz atomically; an existing file is replaced.

    Raises:
        CodesError: `path` does not end in .npz, or the codes do not fit `codes.bits`.
    """
    if Path(path).suffix != ".npz":
        raise CodesError(f"{path}: code files are written as .npz")
    arrays: dict[str, Any] = {LENGTH: np.int64(codes.bits), ORDER: np.array("little")}
    for name in CODES:
        arrays[name] = check_packed(getattr(codes, name), codes.bits, name)
    names, check = _kind_of_labels(codes.gallery_labels.ndim == 2)
    for name, field, owner in zip(names, LABELS, CODES, strict=True):
        arrays[name] = check(getattr(codes, field), name, len(arrays[owner]), owner)
    if codes.leave_one_out:
        arrays[LEAVE_ONE_OUT] = np.bool_(True)
    if codes.query_projections is not None:
        arrays[PROJECTIONS] = _projections(codes.query_projections, codes.query_codes, codes.bits)
    with atomic_write(Path(path)) as temporary:
        np.savez(temporary, **arrays)


def _read(path: Path) -> Arrays:
    """Read the arrays of a code file; with leave-one-out, complete the queries from the gallery."""
    optional = (CODES[1], *LABELS, *LABEL_SETS, LENGTH, ORDER, LEAVE_ONE_OUT, PROJECTIONS)
    arrays = _read_any(path, CODES[:1], optional)
    if _flag(arrays):
        for gallery, query in (CODES, LABELS, LABEL_SETS):
            if gallery in arrays:
                arrays.setdefault(query, arrays[gallery])
    names, _ = _kind_of_labels(any(name in arrays for name in LABEL_SETS))
    missing = [name for name in (*CODES, *names) if name not in arrays]
    if missing:
        _read_any(path, missing, ())  # raises: its error suggests the nearest name in the file
    return arrays


def _read_any(path: Path, required: Names, optional: Names) -> Arrays:
    if path.is_dir():
        return read_folder(path, required, optional)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_table(path)
    if suffix not in SUFFIXES:
        raise ArrayFileError(
            f"{path}: codes are files ending in {', '.join(SUFFIXES)} or .csv, or a folder of "
            f".npy files, got {path.suffix!r}"
        )
    return read_arrays(path, required, optional)


def _code_set(arrays: Mapping[str, NDArray[Any]], bit_order: BitOrder | None) -> CodeSet:
    matrices = [_matrix(arrays[name], name) for name in CODES]
    order = _order(arrays.get(ORDER), bit_order)
    if LENGTH in arrays:
        bits = _length(arrays[LENGTH])
        packed = [
            _packed(matrix, bits, order or "little", name)
            for matrix, name in zip(matrices, CODES, strict=True)
        ]
    else:
        if order is not None:
            raise CodesError(
                f"{ORDER} is {order!r}, but the codes have one column per bit; only packed codes, "
                f"with {LENGTH!r}, have an order"
            )
        bits = matrices[0].shape[1]
        packed = _pack(matrices)
    has_sets = LABEL_SETS[0] in arrays
    if has_sets and any(name in arrays for name in LABELS):
        raise CodesError(
            f"contains both {LABELS[0]} or {LABELS[1]} and {LABEL_SETS[0]}; give identities or "
            "label sets, not both"
        )
    names, check = _kind_of_labels(has_sets)
    labels = [
        check(arrays[name], name, len(codes), owner)
        for name, codes, owner in zip(names, packed, CODES, strict=True)
    ]
    check_label_pair(labels[0], labels[1], len(packed[0]), len(packed[1]))
    leave_one_out = _flag(arrays)
    if leave_one_out:
        check_leave_one_out(packed[0], packed[1], labels[0], labels[1])
    known = order is not None or LENGTH not in arrays
    projections = None
    if PROJECTIONS in arrays:
        projections = _projections(arrays[PROJECTIONS], packed[1], bits)
    return CodeSet(
        packed[0], packed[1], labels[0], labels[1], bits, leave_one_out, known, projections
    )


def _projections(array: NDArray[Any], codes: Packed, bits: int) -> NDArray[np.float32]:
    """Check that projections have the signs of the query codes; 0 goes with either bit."""
    values = check_projections(array, bits, PROJECTIONS)
    if len(values) != len(codes):
        raise CodesError(f"{PROJECTIONS} has {len(values)} rows, {CODES[1]} has {len(codes)} codes")
    wrong = values * signs_from_packed(codes, bits) < 0
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise CodesError(
            f"{PROJECTIONS} must have the signs of {CODES[1]}: {np.count_nonzero(wrong)} of "
            f"{wrong.size} differ, the first in row {row}, bit {column} ({values[row, column]:g})"
        )
    return values


def _flag(arrays: Mapping[str, NDArray[Any]]) -> bool:
    array = arrays.get(LEAVE_ONE_OUT, np.bool_(False))
    if array.size != 1 or array.dtype.kind not in "biuf" or array.item() not in (0, 1):
        raise CodesError(f"{LEAVE_ONE_OUT} must be 0 or 1, got {array.tolist()!r}")
    return bool(array.item())


def _kind_of_labels(has_sets: bool) -> tuple[tuple[str, str], Callable[..., Labels]]:
    """Return the names of the arrays of labels in a file, and the function that checks them."""
    return (LABEL_SETS, _label_sets) if has_sets else (LABELS, _labels)


def _order(array: NDArray[Any] | None, stated: BitOrder | None) -> BitOrder | None:
    """Return the order that the file or the caller states; None if neither does."""
    if array is None:
        return stated
    found = array.item() if array.size == 1 else None
    if array.dtype == np.uint16 and array.size < 10:  # text that MATLAB wrote to HDF5
        found = "".join(map(chr, array.ravel().tolist()))
    for order in BIT_ORDERS:
        if found == order:
            if stated not in (None, order):
                raise CodesError(f"{ORDER} is {order!r} in the file, not {stated!r} as requested")
            return order
    shown = repr(found) if isinstance(found, str) else f"{array.dtype} {array.shape}"
    raise CodesError(f"{ORDER} must be 'little' or 'big', got {shown}")


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


def _packed(matrix: NDArray[Any], bits: int, order: BitOrder, name: str) -> Packed:
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
    if order == "little":
        return np.ascontiguousarray(check_packed(matrix, bits, name))
    unpacked = np.unpackbits(matrix, axis=1, bitorder="big")  # (n, 8 * width)
    if unpacked[:, bits:].any():
        row = int(np.argmax(unpacked[:, bits:].any(axis=1)))
        raise CodesError(
            f"{name} have bits set beyond the {bits} used (row {row}, last byte "
            f"{matrix[row, -1]}); the padding must be 0, {ORDER} is 'big'"
        )
    return packed_from_bits(unpacked[:, :bits])


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
            f"got {array.shape}; several labels per code are {name[:-1]}_sets"
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


def _label_sets(array: NDArray[Any], name: str, length: int, owner: str) -> NDArray[np.bool_]:
    if array.ndim != 2 or array.shape[1] < 2 or array.shape[0] != length:
        raise CodesError(
            f"{name} must have shape ({length}, L), one row per code of {owner} and one column per "
            f"label, L at least 2, got {array.shape}"
        )
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise CodesError(f"{name} must be booleans or 0 and 1, got dtype {array.dtype}")
    return array.astype(np.bool_)
