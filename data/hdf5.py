"""The HDF5 layout of faces, for caches and for files given as ``--data``.

``images`` uint8 (n, side, side, 3), ``labels`` integer (n,), optionally ``identities`` text (c,)
and ``unreadable`` text (u,), a line for each image that was omitted. Data that comes split has
``is_query`` bool (n,) or, where the gallery is not the training set, ``train``, ``gallery`` and
``query`` bool (n,), which caches combine in ``roles`` uint8 (n,) of `data.labeled_images.Role`.
"""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from data.labeled_images import (
    KNOWN_OR_QUERY,
    FacesFileError,
    LabeledImages,
    Role,
    make_faces,
)
from facehash.array_files import name_unread, reporting_damage, select
from facehash.dataset import Images, IndexArray
from facehash.hdf5_matlab import open_hdf5

REQUIRED = ("images", "labels")
MASKS = ("train", "gallery", "query")
OPTIONAL = ("identities", "is_query", "roles", *MASKS, "unreadable")

_COPY_BYTES = 1 << 23


def read_faces(path: Path) -> LabeledImages:
    """Open faces stored in the layout of this module.

    Args:
        path: The file.

    Returns:
        Faces whose images are read on access.

    Raises:
        ArrayFileError: Not an HDF5 file, a damaged one, or a dataset is missing.
        FacesFileError: A dataset has the wrong shape or type.
    """
    with reporting_damage(path, "HDF5"), contextlib.ExitStack() as closing:
        file = closing.enter_context(open_hdf5(path))
        keys = select(path, file, REQUIRED, OPTIONAL)
        name_unread(path, file.keys() - keys)
        for key in keys:
            if not isinstance(file[key], h5py.Dataset):
                raise FacesFileError(f"{path}: {key} is a group, expected an array")
        faces = make_faces(
            str(path),
            map_images(path, file["images"]),
            file["labels"][...],
            _read_text(path, file["identities"]) if "identities" in file else None,
            file["is_query"][...] if "is_query" in file else None,
            _read_text(path, file["unreadable"]) if "unreadable" in file else (),
            file["roles"][...] if "roles" in file else None,
            {name: file[name][...] for name in MASKS if name in file},
        )
        if isinstance(faces.images, h5py.Dataset):
            # It reads from the open file, which closes with the last reference to the images.
            closing.pop_all()
        return faces


def map_images(path: Path, dataset: h5py.Dataset) -> Images:
    """Make images readable without loading them.

    Args:
        path: The file.
        dataset: uint8 (n, side, side, 3) in it.

    Returns:
        A memory map if the images are stored contiguously, which is the fastest way to read random
        rows; else the dataset itself, which keeps its file open.
    """
    offset: Any = dataset.id.get_offset()
    one_piece = dataset.chunks is None and not dataset.external and not dataset.is_virtual
    if offset is None or not one_piece or dataset.dtype != np.uint8 or 0 in dataset.shape:
        images: Images = dataset
        return images
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=dataset.shape)


class ImageSpool:
    """Collects images on disk until their number is known and they can be stored contiguously."""

    def __init__(self, side: int, folder: Path) -> None:
        self.side = side
        self.count = 0
        # The file has no name, so that it disappears with the process, however that ends.
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def append(self, images: NDArray[np.uint8]) -> None:
        """Add uint8 (k, side, side, 3)."""
        self._file.write(np.ascontiguousarray(images, dtype=np.uint8).data)
        self.count += len(images)

    def copy_to(self, dataset: h5py.Dataset) -> None:
        """Write all images, in the order in which they were added, to a dataset of `count` rows."""
        row = self.side * self.side * 3
        rows = max(1, _COPY_BYTES // row)
        self._file.seek(0)
        for start in range(0, self.count, rows):
            stop = min(start + rows, self.count)
            block = np.frombuffer(self._file.read((stop - start) * row), np.uint8)
            dataset[start:stop] = block.reshape(-1, self.side, self.side, 3)

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()


def write_faces(
    file: h5py.File,
    spool: ImageSpool,
    labels: IndexArray,
    identities: Sequence[str],
    roles: NDArray[np.uint8] | None,
    unreadable: Sequence[str],
) -> None:
    """Write faces in the layout of this module."""
    # Neither chunked nor compressed, so that the images can be mapped into memory: the fastest
    # layout for batches of random rows, as benchmarks/training/data.py shows.
    shape = (spool.count, spool.side, spool.side, 3)
    spool.copy_to(file.create_dataset("images", shape=shape, dtype=np.uint8))
    file["labels"] = labels.astype(np.int64)
    _write_text(file, "identities", identities)
    if roles is not None and np.isin(roles, KNOWN_OR_QUERY).all():
        file["is_query"] = roles == Role.QUERY
    elif roles is not None:
        file["roles"] = roles
    if unreadable:
        _write_text(file, "unreadable", unreadable)


def _write_text(file: h5py.File, key: str, texts: Sequence[str]) -> None:
    # File names that are not valid UTF-8 are written as the bytes they are.
    raw = np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=object)
    file.create_dataset(key, data=raw, dtype=h5py.string_dtype("utf-8"))


def _read_text(path: Path, dataset: h5py.Dataset) -> tuple[str, ...]:
    if h5py.check_string_dtype(dataset.dtype) is None:
        name = str(dataset.name).lstrip("/")
        raise FacesFileError(f"{path}: {name} must be text, got {dataset.dtype}")
    raw = np.asarray(dataset[...]).ravel()
    return tuple(bytes(one).decode("utf-8", "surrogateescape") for one in raw)
