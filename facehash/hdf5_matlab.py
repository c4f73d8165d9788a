"""Arrays of numbers and text from HDF5 and MATLAB files, read in a process of their own.

`facehash.array_files` starts that process and describes what is read. `create_hdf5` writes.
"""

import codecs
import contextlib
import io
import json
import math
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from facehash.array_files import ArrayFileError, Arrays, Names, reporting_damage, select

# Deflate compresses by this factor at most, so that a larger array cannot be in a file.
_MAX_COMPRESSION = 1032
_SMALL = 1 << 26


def main() -> None:
    """Write a line of JSON to stdout, the names read and unread or an error, and arrays as .npy.

    The arguments of the process are the path and, as JSON, the required and the optional names
    and the limit of seconds.
    """
    required, optional, seconds = json.loads(sys.argv[2])
    _limit_resources(math.ceil(seconds))
    warnings.simplefilter("ignore")
    try:
        arrays, unread = read(Path(sys.argv[1]), required, optional)
        answer: list[list[str]] | str = [list(arrays), unread]
    except ArrayFileError as error:
        arrays, answer = {}, str(error)
    output = sys.stdout.buffer
    output.write(json.dumps(answer).encode() + b"\n")
    for array in arrays.values():
        np.lib.format.write_array(output, array, allow_pickle=False)


def read(path: Path, required: Names, optional: Names) -> tuple[Arrays, list[str]]:
    """Read named arrays in this process, see `facehash.array_files.read_arrays`.

    Returns:
        The arrays, and the names of those that nobody asked for.
    """
    if path.suffix.lower() != ".mat":
        return _read_hdf5(path, required, optional)
    with reporting_damage(path, "MATLAB file"):
        with path.open("rb") as file:
            head = file.read(128)
        if b"MATLAB 7.3" in head[:116] or h5py.is_hdf5(path):
            return _read_hdf5(path, required, optional)
        return _read_matlab(path, head, required, optional)


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, without a lock: such files are replaced, never changed.

    Raises:
        ArrayFileError: It cannot be opened as HDF5.
    """
    with reporting_damage(path, "HDF5"):
        return h5py.File(path, "r", locking=False)


@contextlib.contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file, and close it when the block ends.

    Args:
        path: The file; one that exists is replaced.

    Yields:
        The open file.

    Raises:
        OSError: A write failed, for example on a full disk. It is raised after the block, in place
            of an error that follows from it.
    """
    with _CarefulFile(path, "w+") as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        except Exception:
            if raw.error is None:
                raise
        if raw.error is not None:
            raise raw.error


class _CarefulFile(io.FileIO):
    """A file that keeps the first error of a write, and hides it from HDF5.

    HDF5 cannot close a file that it cannot write: it tries again until the process ends, and then
    crashes.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return self.tell() if size is None else size


def is_by_columns(entry: Any) -> bool:
    """Return whether MATLAB wrote this entry of an HDF5 file, with its axes in reverse order."""
    return isinstance(entry, h5py.Dataset) and "MATLAB_class" in entry.attrs


def _limit_resources(seconds: int) -> None:
    """Fail instead of swapping, and end on its own where the parent was killed."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (total, total))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _check_size(path: Path, name: str, shape: tuple[int, ...], size: int) -> None:
    if size > max(_SMALL, _MAX_COMPRESSION * path.stat().st_size):
        raise ArrayFileError(
            f"{path}: {name} has the shape {shape}, far more than such a file can contain"
        )


def _read_hdf5(path: Path, required: Names, optional: Names) -> tuple[Arrays, list[str]]:
    with reporting_damage(path, "HDF5"), open_hdf5(path) as file:
        names = select(path, list(file), required, optional)
        return {name: _read_dataset(path, file, name) for name in names}, _others(file, names)


def _others(present: Names, names: Names) -> list[str]:
    # Names in a damaged file may be noise, which h5py returns as bytes.
    return [name for name in present if isinstance(name, str) and name not in names]


def _read_dataset(path: Path, file: h5py.File, name: str) -> NDArray[Any]:
    entry = file[name]
    if isinstance(entry, h5py.Dataset):
        if entry.file.filename != file.filename or entry.external or entry.is_virtual:
            raise ArrayFileError(f"{path}: {name} is stored in another file, which is not read")
        _check_size(path, name, entry.shape, entry.nbytes)
        if h5py.check_ref_dtype(entry.dtype) is h5py.Reference:
            cells = [file[reference] for reference in entry[()].ravel()]
            return np.array([_cell_text(path, name, cell) for cell in cells], np.str_)
        if h5py.check_string_dtype(entry.dtype) is not None:
            return np.asarray(entry.asstr("utf-8", "surrogateescape")[()], np.str_)
        if entry.dtype.kind not in "OV":
            values = np.asarray(entry[()])
            return values.T if is_by_columns(entry) else values
    raise ArrayFileError(f"{path}: {name} is not an array of numbers or text")


def _cell_text(path: Path, name: str, cell: Any) -> str:
    if isinstance(cell, h5py.Dataset) and cell.attrs.get("MATLAB_empty"):
        return ""
    if not isinstance(cell, h5py.Dataset) or cell.dtype != np.uint16:
        found = getattr(cell, "dtype", "a structure")
        raise ArrayFileError(f"{path}: {name} must be text, got a cell of {found}")
    _check_size(path, name, cell.shape, cell.nbytes)
    units: bytes = cell[()].ravel().astype("<u2").tobytes()
    return units.decode("utf-16-le", "replace")


def _read_matlab(
    path: Path, head: bytes, required: Names, optional: Names
) -> tuple[Arrays, list[str]]:
    import scipy.io

    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    # SciPy takes a truncated file for one without its last variables.
    if order and _is_truncated(path, order):
        raise ValueError("the file ends within an array")
    shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path, appendmat=False)}
    names = select(path, shapes, required, optional)
    for name in names:
        _check_size(path, name, shapes[name], math.prod(shapes[name]))
    options: dict[str, Any] = {}
    if order:
        codecs.register(_utf_16_units)
        options["uint16_codec"] = "matlab-le" if order == "<" else "matlab-be"
    content = scipy.io.loadmat(path, appendmat=False, variable_names=names, **options)
    return {name: _matrix(path, name, content[name]) for name in names}, _others(shapes, names)


def _is_truncated(path: Path, order: str) -> bool:
    """Follow the lengths of the variables of a MATLAB 5 file: header 128, then (type, bytes)."""
    end, length = 128, path.stat().st_size
    with path.open("rb") as file:
        while end < length:
            file.seek(end)
            tag = file.read(8)
            if len(tag) < 8:
                return True
            end += 8 + struct.unpack(f"{order}II", tag)[1]
    return end > length


def _utf_16_units(name: str) -> codecs.CodecInfo | None:
    """Return the codec of MATLAB 5's text: one character per 16 bits, surrogates among them.

    SciPy expects as many characters as MATLAB counts; `_matrix` combines the surrogates.
    """
    order = {"matlab_le": "<", "matlab_be": ">"}.get(name)
    if order is None:
        return None

    def decode(content: bytes, errors: str = "strict") -> tuple[str, int]:
        return "".join(map(chr, np.frombuffer(content, f"{order}u2").tolist())), len(content)

    return codecs.CodecInfo(codecs.utf_16_le_encode, decode)  # type: ignore[arg-type]


def _matrix(path: Path, name: str, value: Any) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            # A cell array is read in the order in which MATLAB numbers its cells.
            cells = [_text_of(cell) for cell in value.ravel(order="F")]
            if None not in cells:
                return np.array(cells, np.str_)
        elif value.dtype.kind == "U":
            rows = [_combined(row) for row in value.ravel().tolist()]
            return np.array(rows, np.str_).reshape(value.shape)
        elif value.dtype.kind != "V":
            return value.astype(value.dtype.newbyteorder("="), copy=False)
    raise ArrayFileError(f"{path}: {name} is not an array of numbers or text")


def _text_of(cell: Any) -> str | None:
    """Return the text in a cell; None if it contains several lines or anything else."""
    if not isinstance(cell, np.ndarray) or cell.size > 1:
        return None
    if cell.size and cell.dtype.kind != "U":
        return None
    return _combined("".join(cell.ravel().tolist()))


def _combined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
