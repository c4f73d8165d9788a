"""Read named arrays from .npz, HDF5 and MATLAB files, without ever unpickling."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.errors import did_you_mean

Arrays = dict[str, NDArray[Any]]

# What NumPy, zipfile and h5py raise over damaged files, MemoryError for sizes that nobody wrote.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> Arrays:
    """Read named arrays from a file; what else it holds is not looked at.

    Args:
        path: A file ending in .npz, .h5, .hdf5 or .mat (MATLAB 4 to 7.3).
        required: Names that the file must have.
        optional: Names that it may have.

    Raises:
        CodesError: No such file, another suffix, a damaged file, a name that is missing (the
            nearest one there is told), or something that is not an array of numbers.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CodesError(f"{path}: code files end in {', '.join(_READERS)}, got {path.suffix!r}")
    if not path.is_file():
        raise CodesError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    return reader(path, tuple(required), tuple(optional))


def _read_npz(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> Arrays:
    if not zipfile.is_zipfile(path):
        raise CodesError(f"{path}: not an .npz file, or a truncated one (no zip directory)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = _select(path, archive.files, required, optional)
            return {name: np.asarray(archive[name]) for name in names}
    except CodesError:
        raise
    except _DAMAGED as error:
        raise CodesError(f"{path}: cannot be read as .npz ({_line(error)})") from error


def _read_hdf5(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> Arrays:
    try:
        with h5py.File(path, "r") as file:
            names = _select(path, list(file), required, optional)
            return {name: _read_dataset(path, file, name) for name in names}
    except CodesError:
        raise
    except _DAMAGED as error:
        raise CodesError(f"{path}: cannot be read as HDF5 ({_line(error)})") from error


def _read_dataset(path: Path, file: h5py.File, name: str) -> NDArray[Any]:
    entry = file[name]
    if not isinstance(entry, h5py.Dataset) or entry.dtype.kind == "O":
        raise CodesError(f"{path}: {name} is not an array of numbers")
    values = np.asarray(entry[()])
    # MATLAB stores by columns: what it calls (n, bits) is (bits, n) in its files.
    return values.T if "MATLAB_class" in entry.attrs else values


def _read_matlab(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> Arrays:
    if h5py.is_hdf5(path):
        return _read_hdf5(path, required, optional)
    try:
        present = [name for name, _, _ in scipy.io.whosmat(str(path), appendmat=False)]
        names = _select(path, present, required, optional)
        content = scipy.io.loadmat(str(path), variable_names=list(names), appendmat=False)
    except CodesError:
        raise
    # A damaged file makes SciPy's reader fail in whatever it trips over.
    except Exception as error:
        raise CodesError(f"{path}: cannot be read as MATLAB file ({_line(error)})") from error
    for name in names:
        if not isinstance(content[name], np.ndarray):
            raise CodesError(f"{path}: {name} is not an array of numbers")
    return {name: content[name] for name in names}


_READERS = {".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5, ".mat": _read_matlab}


def _select(
    path: Path, present: list[Any], required: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[str, ...]:
    for name in required:
        if name not in present:
            # A damaged file may name its arrays by lines of noise, which h5py gives as bytes.
            readable = [other for other in present if isinstance(other, str)]
            readable = [other for other in readable if other.isprintable()]
            raise CodesError(f"{path}: no array {name!r}{did_you_mean(name, readable)}")
    return (*required, *(name for name in optional if name in present))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
