"""Named arrays of numbers and text from .npz, HDF5 and MATLAB files, without ever unpickling."""

from __future__ import annotations

import contextlib
import mmap
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from facehash.errors import InputError, did_you_mean
from facehash.hdf5_heaps import check_heaps, check_texts
from facehash.matlab5 import HEAD, is_matlab_5, variables

# Deflate makes a byte of at most so many; what is larger was never written, and would be filled in.
_DENSEST = 1032
_SMALL = 1 << 26
_LONGEST_REASON = 300

Arrays = dict[str, NDArray[Any]]
Names = Collection[str]


class ArrayFileError(InputError):
    """A file from which the arrays wanted cannot be read."""


def read_arrays(path: Path, required: Names, optional: Names = ()) -> Arrays:
    """Read named arrays from a file; what else it holds is not looked at.

    What MATLAB wrote into HDF5 by columns is turned back: an array has the shape it had there.
    What other tools wrote into a .mat by rows is left as it is.

    Args:
        path: A file ending in .npz, .h5, .hdf5 or .mat (MATLAB 4 to 7.3).
        required: Names that the file must have.
        optional: Names that it may have.

    Returns:
        An array for each name that is there, of any dtype but objects; text, also that of a cell
        array of MATLAB, as NumPy's str.

    Raises:
        ArrayFileError: No such file, another suffix, a damaged file, a name that is missing (the
            nearest one there is told), or something that is no array of numbers or text.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ArrayFileError(
            f"{path}: files of arrays end in {', '.join(READERS)}, got {path.suffix!r}"
        )
    if not path.is_file():
        raise ArrayFileError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    return reader(path, required, optional)


@contextlib.contextmanager
def reporting_damage(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one line that names the file.

    Args:
        path: The file.
        kind: What it is read as.

    Raises:
        ArrayFileError: Anything but an `InputError`, which says itself what is wrong, was raised.
    """
    try:
        yield
    except InputError:
        raise
    # NumPy, zipfile, SciPy and h5py fail in whatever the damage leads them to, MemoryError for
    # sizes that nobody wrote among it.
    except Exception as error:
        # Of what they repeat of the file, the beginning is enough.
        reason = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
        raise ArrayFileError(f"{path}: cannot be read as {kind} ({reason})") from error


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, without a lock: such a file is replaced, never changed.

    Raises:
        ArrayFileError: It cannot be opened as HDF5.
    """
    with reporting_damage(path, "HDF5"):
        return h5py.File(path, "r", locking=False)


def select(path: Path, present: Collection[Any], required: Names, optional: Names) -> list[str]:
    """Choose from the names in a file those that are wanted.

    Raises:
        ArrayFileError: A required one is not there.
    """
    for name in required:
        if name not in present:
            # A damaged file may name its arrays by lines of noise, which h5py gives as bytes.
            readable = [other for other in present if isinstance(other, str)]
            readable = [other for other in readable if other.isprintable()]
            raise ArrayFileError(f"{path}: no array {name!r}{did_you_mean(name, readable)}")
    return [*required, *(name for name in optional if name in present)]


def is_by_columns(entry: Any) -> bool:
    """Whether MATLAB wrote this entry of an HDF5 file: what it calls (n, m) is (m, n) there."""
    return isinstance(entry, h5py.Dataset) and "MATLAB_class" in entry.attrs


def _read_npz(path: Path, required: Names, optional: Names) -> Arrays:
    if not zipfile.is_zipfile(path):
        raise ArrayFileError(
            f"{path}: cannot be read as .npz (no zip archive of arrays, or a truncated one)"
        )
    with reporting_damage(path, ".npz"), np.load(path, allow_pickle=False) as archive:
        names = select(path, archive.files, required, optional)
        return {name: _member(path, archive, name) for name in names}


def _member(path: Path, archive: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ArrayFileError(
            f"{path}: {name} holds Python objects, which are not read for safety; store numbers, "
            "or names as np.array(names, dtype=str)"
        ) from error


def _read_hdf5(path: Path, required: Names, optional: Names) -> Arrays:
    with reporting_damage(path, "HDF5"), open_hdf5(path) as file:
        _, width = file.id.get_create_plist().get_sizes()
        names = select(path, list(file), required, optional)
        with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_heaps(content, width)
            return {name: _read_dataset(path, file, name, content) for name in names}


def _read_dataset(path: Path, file: h5py.File, name: str, content: mmap.mmap) -> NDArray[Any]:
    entry = file[name]
    if isinstance(entry, h5py.Dataset):
        if entry.file.filename != file.filename or entry.external or entry.is_virtual:
            raise ArrayFileError(f"{path}: {name} lies in another file, which is not read")
        _check_size(path, name, entry, content)
        if h5py.check_ref_dtype(entry.dtype) is h5py.Reference:
            cells = [file[reference] for reference in entry[()].ravel()]
            return np.array([_cell_text(path, name, cell, content) for cell in cells], np.str_)
        if h5py.check_string_dtype(entry.dtype) is not None:
            check_texts(entry, content)
            texts = entry.asstr("utf-8", "surrogateescape")[()]
            return np.asarray(texts, np.str_)
        if entry.dtype.kind not in "OV":
            values = np.asarray(entry[()])
            return values.T if is_by_columns(entry) else values
    raise ArrayFileError(f"{path}: {name} is no array of numbers or text")


def _check_size(path: Path, name: str, entry: h5py.Dataset, content: mmap.mmap) -> None:
    if entry.nbytes > max(_SMALL, _DENSEST * len(content)):
        raise ArrayFileError(
            f"{path}: {name} has the shape {entry.shape}, far more than such a file can hold"
        )


def _cell_text(path: Path, name: str, cell: Any, content: mmap.mmap) -> str:
    if isinstance(cell, h5py.Dataset) and cell.attrs.get("MATLAB_empty"):
        return ""
    if not isinstance(cell, h5py.Dataset) or cell.dtype != np.uint16:
        found = getattr(cell, "dtype", "a structure")
        raise ArrayFileError(f"{path}: {name} must be text, got a cell of {found}")
    _check_size(path, name, cell, content)
    units: bytes = cell[()].ravel().astype("<u2").tobytes()
    return units.decode("utf-16-le", "replace")


def _read_matlab(path: Path, required: Names, optional: Names) -> Arrays:
    with reporting_damage(path, "MATLAB file"):
        with path.open("rb") as file:
            head = file.read(HEAD)
        if b"MATLAB 7.3" in head[:116] or h5py.is_hdf5(path):
            return _read_hdf5(path, required, optional)
        if is_matlab_5(head):
            return _read_matlab_5(path, required, optional)
        present = [name for name, _, _ in scipy.io.whosmat(str(path), appendmat=False)]
        names = select(path, present, required, optional)
        content = scipy.io.loadmat(str(path), variable_names=names, appendmat=False)
        return {name: _matrix(path, name, content[name]) for name in names}


def _read_matlab_5(path: Path, required: Names, optional: Names) -> Arrays:
    with path.open("rb") as file:
        # Closed when the last view of it is gone.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    present = variables(content)
    names = select(path, present, required, optional)
    return {name: _matrix(path, name, present[name].read()) for name in names}


def _matrix(path: Path, name: str, value: Any) -> NDArray[Any]:
    if isinstance(value, list):
        return np.array(value, np.str_)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OV":
        return value
    raise ArrayFileError(f"{path}: {name} is no array of numbers or text")


READERS: dict[str, Callable[[Path, Names, Names], Arrays]] = {
    ".npz": _read_npz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".mat": _read_matlab,
}
"""Readers by the endings of the files."""
