"""Named arrays of numbers and text from .npz, HDF5 and MATLAB files, without ever unpickling.

h5py and SciPy follow the lengths in a file without checking them: damage can crash the process,
let it run forever, or fill the memory. `facehash.hdf5_matlab` therefore runs in a child process,
and whatever happens to that process is an `ArrayFileError` here.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError, did_you_mean, in_one_line

SUFFIXES = (".npz", ".h5", ".hdf5", ".mat")

_SECONDS = 60.0
_BYTES_PER_SECOND = 1e6
"""A child process may take this time, and the time for the file's bytes at this low rate."""

_SHOWN = 5  # names of arrays in a message

log = logging.getLogger(__name__)

_CHILD = "import sys; sys.path[:] = {}; from facehash.hdf5_matlab import main; main()"
_MAX_REASON = 300  # characters of another library's message

Arrays = dict[str, NDArray[Any]]
Names = Collection[str]


class ArrayFileError(InputError):
    """A file from which the requested arrays cannot be read."""


def read_arrays(path: Path, required: Names, optional: Names = ()) -> Arrays:
    """Read named arrays from a file; its other content is named in a warning.

    Arrays that MATLAB wrote to HDF5 are transposed back to the shape that they have in MATLAB.
    Arrays that other tools wrote to a .mat file in row-major order are returned as they are.

    Args:
        path: A file ending in .npz, .h5, .hdf5 or .mat (MATLAB 4 to 7.3).
        required: Names that the file must contain.
        optional: Names that it may contain.

    Returns:
        An array for each name found, of any dtype except objects and records. Text, also that of
        a MATLAB cell array, has NumPy's str dtype.

    Raises:
        ArrayFileError: A missing file, another suffix, a damaged file, a missing name (the message
            suggests the most similar one), or something other than an array of numbers or text.

    Example:
        >>> arrays = read_arrays(Path("codes.mat"), ["gallery_codes"])  # doctest: +SKIP
        >>> arrays["gallery_codes"].shape  # doctest: +SKIP
        (70000, 48)
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArrayFileError(
            f"{path}: files of arrays end in {', '.join(SUFFIXES)}, got {path.suffix!r}"
        )
    if not path.is_file():
        raise ArrayFileError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() == ".npz":
        return _read_npz(path, required, optional)
    return _read_in_child(path, required, optional)


@contextlib.contextmanager
def reporting_damage(path: Path, kind: str) -> Iterator[None]:
    """Turn every exception while a file is read into one line that names the file.

    Args:
        path: The file.
        kind: The format as which it is read.

    Raises:
        ArrayFileError: For any exception other than an `InputError`.
    """
    try:
        yield
    except InputError:
        raise
    # Damage makes NumPy, zipfile, SciPy and h5py fail in many ways, with MemoryError among others.
    except Exception as error:
        reason = in_one_line(error)[:_MAX_REASON]
        raise ArrayFileError(f"{path}: cannot be read as {kind} ({reason})") from error


def select(path: Path, present: Collection[Any], required: Names, optional: Names) -> list[str]:
    """Return the requested names that a file contains.

    Raises:
        ArrayFileError: A required name is missing.
    """
    for name in required:
        if name not in present:
            # Names in a damaged file may be noise, which h5py returns as bytes.
            readable = [other for other in present if isinstance(other, str)]
            readable = [other for other in readable if other.isprintable()]
            raise ArrayFileError(f"{path}: no array {name!r}{did_you_mean(name, readable)}")
    return [*required, *(name for name in optional if name in present)]


def name_unread(path: Path, names: Collection[Any]) -> None:
    """Warn, in one line, that a file contains arrays of these names, which nobody reads."""
    # MATLAB's own entries start with a number sign.
    readable = [str(name) for name in names if str(name).isprintable() and str(name)[:1] != "#"]
    if readable:
        shown = ", ".join(readable[:_SHOWN]) + ", ..." * (len(readable) > _SHOWN)
        verb = "array is" if len(readable) == 1 else "arrays are"
        log.warning("%s: %d %s not read: %s", path, len(readable), verb, shown[:_MAX_REASON])


def _read_npz(path: Path, required: Names, optional: Names) -> Arrays:
    if not zipfile.is_zipfile(path):
        raise ArrayFileError(
            f"{path}: cannot be read as .npz (not a zip archive of arrays, or a truncated one)"
        )
    with reporting_damage(path, ".npz"), np.load(path, allow_pickle=False) as archive:
        names = select(path, archive.files, required, optional)
        name_unread(path, [name for name in archive.files if name not in names])
        return {name: _member(path, archive, name) for name in names}


def _member(path: Path, archive: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ArrayFileError(
            f"{path}: {name} contains Python objects, which are not read for safety; store "
            "numbers, or names as np.array(names, dtype=str)"
        ) from error


def _read_in_child(path: Path, required: Names, optional: Names) -> Arrays:
    limit = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    request = json.dumps([list(required), list(optional), limit])
    # This package first: an entry of sys.path may be relative, or a Path that Python ignores.
    paths = [str(Path(__file__).resolve().parents[1]), *(p for p in sys.path if isinstance(p, str))]
    command = [sys.executable, "-c", _CHILD.format(ascii(paths)), os.fspath(path), request]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            status = subprocess.run(  # noqa: S603  (the command is this package's)
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                timeout=limit,
                # More threads would take longer to start than they save.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            ).returncode
            reason = f"ended with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            reason = f"took more than {limit:.0f} s"
        if reason:
            errors.seek(0)
            lines = errors.read().decode("utf-8", "replace").strip().splitlines()
            cause = f" ({lines[-1][:_MAX_REASON]})" if lines else ""
            raise ArrayFileError(
                f"{path}: cannot be read: the process that reads it {reason}{cause}; the file is "
                f"damaged, or too large for this machine or for {tempfile.gettempdir()}"
            )
        output.seek(0)
        answer = json.loads(output.readline())
        if isinstance(answer, str):
            raise ArrayFileError(answer)
        names, unread = answer
        name_unread(path, unread)
        return {name: np.lib.format.read_array(output, allow_pickle=False) for name in names}
