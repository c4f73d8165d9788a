"""The one HDF5 layout of faces: what a cache is, and what a user may hand in as a file.

``images`` uint8 (n, side, side, 3), ``labels`` integer (n,), optionally ``identities`` text (c,),
``is_query`` bool (n,) and ``unreadable`` text (u,), a line for each image that was left out.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from data.faces import FacesFileError, LabeledImages, make_faces
from facehash.array_files import open_hdf5, reporting_damage, select
from facehash.dataset import Images, IndexArray

REQUIRED = ("images", "labels")
OPTIONAL = ("identities", "is_query", "unreadable")

_COPY_BYTES = 1 << 23


def read_faces(path: Path) -> LabeledImages:
    """Open faces stored in the layout of this module.

    Args:
        path: The file.

    Returns:
        Faces whose images are read when asked for.

    Raises:
        ContainerError: No HDF5 file, a damaged one, or a dataset is missing.
        FacesFileError: A dataset is not as it should be.
    """
    with reporting_damage(path, "HDF5"), contextlib.ExitStack() as closing:
        file = closing.enter_context(open_hdf5(path))
        for key in select(path, file, REQUIRED, OPTIONAL):
            if not isinstance(file[key], h5py.Dataset):
                raise FacesFileError(f"{path}: {key} is a group, an array is expected")
        faces = make_faces(
            str(path),
            map_images(path, file["images"]),
            file["labels"][...],
            read_text(path, file["identities"]) if "identities" in file else None,
            file["is_query"][...] if "is_query" in file else None,
            read_text(path, file["unreadable"]) if "unreadable" in file else (),
        )
        if isinstance(faces.images, h5py.Dataset):
            # It reads from the open file, which closes when nobody holds the images any more.
            closing.pop_all()
        return faces


def map_images(path: Path, dataset: h5py.Dataset) -> Images:
    """Make images readable without loading them.

    Args:
        path: The file.
        dataset: uint8 (n, side, side, 3) in it.

    Returns:
        The bytes mapped into memory where they lie in one piece, which makes reading random rows
        as fast as it gets; else the dataset itself, whose file stays open with it.
    """
    offset: Any = dataset.id.get_offset()
    one_piece = dataset.chunks is None and not dataset.external and not dataset.is_virtual
    if offset is None or not one_piece or dataset.dtype != np.uint8 or 0 in dataset.shape:
        images: Images = dataset
        return images
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=dataset.shape)


class ImageSpool:
    """Images of a number not yet known, kept on disk until they can be laid out in one piece."""

    def __init__(self, side: int, folder: Path) -> None:
        self.side = side
        self.count = 0
        # Without a name: it is gone with the process, however that ends.
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def append(self, images: NDArray[np.uint8]) -> None:
        """Add uint8 (k, side, side, 3)."""
        self._file.write(np.ascontiguousarray(images, dtype=np.uint8).data)
        self.count += len(images)

    def copy_to(self, dataset: h5py.Dataset) -> None:
        """Write all images, in the order they came, into a dataset of that many rows."""
        row = self.side * self.side * 3
        rows = max(1, _COPY_BYTES // row)
        self._file.seek(0)
        for start in range(0, self.count, rows):
            stop = min(start + rows, self.count)
            block = np.frombuffer(self._file.read((stop - start) * row), np.uint8)
            dataset[start:stop] = block.reshape(-1, self.side, self.side, 3)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


def write_faces(
    file: h5py.File,
    spool: ImageSpool,
    labels: IndexArray,
    identities: Sequence[str],
    is_query: NDArray[np.bool_] | None,
    unreadable: Sequence[str],
) -> None:
    """Write faces in the layout of this module into an HDF5 file open for writing."""
    # Neither in chunks nor compressed: in one piece the images can be mapped into memory, and a
    # batch of random rows costs what it costs there (measured by benchmarks/training/data.py).
    shape = (spool.count, spool.side, spool.side, 3)
    spool.copy_to(file.create_dataset("images", shape=shape, dtype=np.uint8))
    file["labels"] = labels.astype(np.int64)
    write_text(file, "identities", identities)
    if is_query is not None:
        file["is_query"] = is_query.astype(np.bool_)
    if unreadable:
        write_text(file, "unreadable", unreadable)


def write_text(group: h5py.Group, key: str, texts: Sequence[str]) -> None:
    """Store texts, among them file names that are no valid UTF-8, as Python holds those."""
    raw = np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=object)
    group.create_dataset(key, data=raw, dtype=h5py.string_dtype("utf-8"))


def read_text(path: Path, dataset: h5py.Dataset) -> tuple[str, ...]:
    """Read what `write_text` stored, or any other HDF5 strings.

    Raises:
        FacesFileError: The dataset holds something else.
    """
    if h5py.check_string_dtype(dataset.dtype) is None:
        name = str(dataset.name).lstrip("/")
        raise FacesFileError(f"{path}: {name} must be text, got {dataset.dtype}")
    raw = np.asarray(dataset[...]).ravel()
    return tuple(bytes(one).decode("utf-8", "surrogateescape") for one in raw)
