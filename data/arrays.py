"""Labeled images stored as arrays: .npz, .h5, or .mat of any version.

``images`` uint8 (n, side, side, 3), RGB, channels last; ``labels`` n integers; optionally
``identities``, a name for each label 0, 1, ...; optionally ``is_query``, n booleans, for data that
comes split into training and test images, or ``train``, ``gallery`` and ``query``, n booleans each,
where the gallery may differ from the training set. Without ``gallery`` they are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.conversion import Block
from data.hdf5 import MASKS, OPTIONAL, REQUIRED, read_faces
from data.labeled_images import FacesFileError, LabeledImages, Role, make_faces
from facehash.array_files import ArrayFileError, Arrays, read_arrays, reporting_damage
from facehash.hdf5_matlab import is_by_columns, open_hdf5
from facehash.images.passed_over import PassedOver
from facehash.images.read import resize

_ROWS = 1024


def read_faces_file(path: Path) -> LabeledImages:
    """Read faces from a file of arrays.

    Args:
        path: A .npz (without pickled objects), .h5 or .hdf5 (its images are read on access), or
            .mat; see `facehash.array_files`.

    Raises:
        FacesFileError: Another suffix, an unreadable file, or an array of the wrong shape or type.
    """
    try:
        if path.suffix.lower() in (".h5", ".hdf5") and path.is_file() and _has_rows(path):
            return read_faces(path)
        return _from_arrays(path, read_arrays(path, REQUIRED, OPTIONAL))
    except ArrayFileError as error:
        hint = "; vectors need dataset.loader: vectors" if "no array 'images'" in str(error) else ""
        raise FacesFileError(f"{error}{hint}") from error


@dataclass(frozen=True)
class ResizedArrays:
    """The conversion of the faces in such a file to images of another side."""

    root: Path
    files: tuple[Path]
    side: int
    faces: LabeledImages
    loader = "arrays"
    passed_over = PassedOver()

    def blocks(self) -> Iterator[Block]:
        """Resize, a bounded number of images at a time."""
        faces = self.faces
        names = np.array(faces.identities)
        roles = faces.roles
        for role in (None,) if roles is None else map(Role, np.unique(roles)):
            rows = np.arange(len(faces.labels)) if role is None else np.flatnonzero(roles == role)
            for start in range(0, len(rows), _ROWS):
                chosen = rows[start : start + _ROWS]
                images = [resize(np.asarray(faces.items[int(row)]), self.side) for row in chosen]
                people: list[str] = names[faces.labels[chosen]].tolist()
                yield Block(np.stack(images), people, role)


def _has_rows(path: Path) -> bool:
    """Return whether the images of an HDF5 file can be read row by row."""
    with reporting_damage(path, "HDF5"), open_hdf5(path) as file:
        return not is_by_columns(file.get("images"))


def _from_arrays(path: Path, arrays: Arrays) -> LabeledImages:
    identities = arrays.get("identities")
    unreadable = arrays.get("unreadable")
    return make_faces(
        str(path),
        # In MATLAB's order, the pixels of one image would be spread over the whole array.
        np.ascontiguousarray(arrays.pop("images")),
        arrays["labels"],
        None if identities is None else _texts(path, "identities", identities),
        arrays.get("is_query"),
        () if unreadable is None else _texts(path, "unreadable", unreadable),
        arrays.get("roles"),
        {name: arrays[name] for name in MASKS if name in arrays},
    )


def _texts(path: Path, name: str, array: NDArray[Any]) -> list[str]:
    if array.dtype.kind != "U":
        raise FacesFileError(f"{path}: {name} must be text, got {array.dtype}")
    # A matrix of characters pads the shorter names with spaces.
    return [str(one).rstrip() for one in array.ravel()]
