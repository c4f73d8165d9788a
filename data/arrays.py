"""Faces that somebody stored as arrays: .npz, .h5, or .mat of any version.

``images`` uint8 (n, side, side, 3), RGB, channels last; ``labels`` n integers; optionally
``identities``, a name for each label 0, 1, ...; optionally ``is_query``, n booleans, for data that
comes split into training and test.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from data.cache import Block
from data.faces import Faces, FacesFileError, make_faces
from data.hdf5 import ARRAYS, REQUIRED, open_hdf5, read_faces
from facehash.errors import did_you_mean
from facehash.faces.images import RESIZE_FILTER, resize

_ROWS = 1024


def read_arrays(path: Path) -> Faces:
    """Read faces from a file of arrays, by its ending.

    Args:
        path: A .npz (without pickled objects), .h5 or .hdf5 (opened lazily), or .mat (version 5,
            or 7.3, whose axes MATLAB stores in reverse).

    Returns:
        The faces.

    Raises:
        FacesFileError: Another ending, an unreadable file, or what is wrong with which array.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise FacesFileError(f"{path}: unknown ending {suffix!r}{did_you_mean(suffix, READERS)}")
    if not path.is_file():
        raise FacesFileError(f"{path}: no such file")
    return READERS[suffix](path)


@dataclass(frozen=True)
class ResizedArrays:
    """The conversion of such a file to images of another side.

    Attributes:
        path: The file.
        side: Side of the images made.
    """

    path: Path
    side: int

    @property
    def root(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """The one file."""
        return (self.path,)

    @property
    def parameters(self) -> dict[str, Any]:
        """What else the images depend on."""
        return {"loader": "arrays", "filter": RESIZE_FILTER.name}

    @cached_property
    def _faces(self) -> Faces:
        return read_arrays(self.path)

    def blocks(self) -> Iterator[Block]:
        """Resize, a few images at a time."""
        faces = self._faces
        names = np.array(faces.identities)
        split = faces.is_query
        count = len(faces.labels)
        for part in (None,) if split is None else (False, True):
            rows = np.arange(count) if part is None else np.flatnonzero(split == part)
            for start in range(0, len(rows), _ROWS):
                chosen = rows[start : start + _ROWS]
                images = [resize(np.asarray(faces.images[int(row)]), self.side) for row in chosen]
                people: list[str] = names[faces.labels[chosen]].tolist()
                yield Block(np.stack(images), people, part)


def _read_npz(path: Path) -> Faces:
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("it is no zip archive of arrays")
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: _member(path, file, key) for key in _wanted(path, file.files)}
    except (OSError, zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, FacesFileError):
            raise
        raise FacesFileError(f"{path}: cannot be read as .npz: {error}") from error
    return _from_arrays(path, arrays)


def _member(path: Path, file: Any, key: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[key]
    except ValueError as error:
        raise FacesFileError(
            f"{path}: {key!r} holds Python objects, which are not read for safety; store numbers, "
            "or names as np.array(names, dtype=str)"
        ) from error
    return array


def _read_mat(path: Path) -> Faces:
    with path.open("rb") as file:
        is_hdf5 = b"MATLAB 7.3" in file.read(116) or h5py.is_hdf5(path)
    if is_hdf5:
        return _read_mat73(path)
    try:
        found = scipy.io.loadmat(path)
    # scipy answers a damaged file with whatever error the damage leads it to.
    except Exception as error:
        raise FacesFileError(f"{path}: cannot be read as .mat: {error}") from error
    keys = _wanted(path, [key for key in found if not key.startswith("__")])
    return _from_arrays(path, {key: found[key] for key in keys})


def _read_mat73(path: Path) -> Faces:
    with open_hdf5(path) as file:
        arrays = {}
        for key in _wanted(path, list(file)):
            dataset = file[key]
            if not isinstance(dataset, h5py.Dataset):
                raise FacesFileError(f"{path}: {key!r} must be an array, got a structure")
            if dataset.dtype == h5py.ref_dtype:
                cells = [file[reference] for reference in dataset[...].ravel()]
                arrays[key] = np.array([_mat73_text(path, key, cell) for cell in cells])
            else:
                arrays[key] = np.ascontiguousarray(dataset[...].T)
    return _from_arrays(path, arrays)


def _mat73_text(path: Path, key: str, cell: h5py.Dataset) -> str:
    if cell.attrs.get("MATLAB_empty"):
        return ""
    if cell.dtype != np.uint16:
        raise FacesFileError(f"{path}: {key} must be text, got a cell of {cell.dtype}")
    units: bytes = cell[...].ravel().astype("<u2").tobytes()
    return units.decode("utf-16-le", "replace")


def _wanted(path: Path, found: list[str]) -> list[str]:
    for key in REQUIRED:
        if key not in found:
            names = ", ".join(sorted(found)) or "nothing"
            raise FacesFileError(f"{path}: has no array {key!r} (found: {names})")
    return [key for key in ARRAYS if key in found]


def _from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Faces:
    identities = arrays.get("identities")
    return make_faces(
        str(path),
        arrays["images"],
        arrays["labels"],
        None if identities is None else _names(path, identities),
        arrays.get("is_query"),
    )


def _names(path: Path, identities: NDArray[Any]) -> list[str]:
    # A cell array of MATLAB arrives as an array of arrays of one text each.
    texts = [one.item() if isinstance(one, np.ndarray) else one for one in identities.ravel()]
    if not all(isinstance(one, str) for one in texts):
        raise FacesFileError(f"{path}: identities must be text, got {identities.dtype}")
    # A matrix of characters pads the shorter names with spaces.
    return [str(one).rstrip() for one in texts]


READERS: dict[str, Callable[[Path], Faces]] = {
    ".npz": _read_npz,
    ".h5": read_faces,
    ".hdf5": read_faces,
    ".mat": _read_mat,
}
