"""Labeled images and labeled vectors stored as arrays: .npz, .h5, or .mat of any version.

Images: ``images`` uint8 (n, side, side, 3), RGB, channels last; ``labels`` n integers; optionally
``identities``, a name for each label 0, 1, ...; optionally ``is_query``, n booleans, for data that
comes split into training and test images, or ``train``, ``gallery`` and ``query``, n booleans each,
where the gallery may differ from the training set. Without ``gallery`` they are the same.

Vectors: ``vectors`` floats (n, d), one embedding per face; ``labels``, n names or integers;
optionally ``identities``, a name for each integer label 0, 1, ..., and the same roles. A file that
``facehash export`` wrote is read as well: its ``embedding`` and ``name`` take the place of
``vectors`` and ``labels``, and faces without a name are omitted.
"""

import logging
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
from facehash.dataset import Vectors
from facehash.hdf5_matlab import is_by_columns, open_hdf5
from facehash.images.passed_over import PassedOver
from facehash.images.read import resize

EXPORTED = {"vectors": "embedding", "labels": "name"}
"""Names of arrays of vectors, and what ``facehash export`` calls them."""

_ROWS = 1024
_OPTIONAL_WITH_VECTORS = ("identities", "is_query", "roles", *MASKS)
_OF_AN_EXPORT = ("code", "face_id", "path", "face", "box", "score", "quality")  # not needed

log = logging.getLogger(__name__)


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
    return make_faces(
        str(path),
        # In MATLAB's order, the pixels of one image would be spread over the whole array.
        np.ascontiguousarray(arrays.pop("images")),
        arrays["labels"],
        _texts(path, arrays, "identities"),
        arrays.get("is_query"),
        _texts(path, arrays, "unreadable") or (),
        arrays.get("roles"),
        {name: arrays[name] for name in MASKS if name in arrays},
    )


def _texts(path: Path, arrays: Arrays, name: str) -> list[str] | None:
    array = arrays.get(name)
    if array is None:
        return None
    if array.dtype.kind != "U":
        raise FacesFileError(f"{path}: {name} must be text, got {array.dtype}")
    # A matrix of characters pads the shorter names with spaces.
    return [str(one).rstrip() for one in array.ravel()]


def read_vectors_file(path: Path) -> LabeledImages:
    """Read labeled vectors.

    Args:
        path: A .npz (without pickled objects), .h5, .hdf5 or .mat; see `facehash.array_files`.

    Returns:
        Faces as vectors, float32 (n, d), in memory. Without `identities`, the labels are the
        names of the people.

    Raises:
        FacesFileError: An unreadable file, or an array that is missing or has the wrong shape or
            type, or vectors that are not finite.

    Example:
        >>> path = Path("vectors.npz")
        >>> np.savez(path, vectors=np.eye(4, 128), labels=["ann", "ann", "bob", "bob"])
        >>> faces = read_vectors_file(path)
        >>> faces.vectors.shape, faces.identities
        ((4, 128), ('ann', 'bob'))
        >>> path.unlink()
    """
    names = (*EXPORTED, *EXPORTED.values(), *_OPTIONAL_WITH_VECTORS, *_OF_AN_EXPORT)
    try:
        arrays = read_arrays(path, (), names)
        for name, other in EXPORTED.items():
            if name not in arrays and other not in arrays:
                read_arrays(path, (name,))  # raises: its message suggests the most similar name
    except ArrayFileError as error:
        raise FacesFileError(str(error)) from error
    vectors = check_vectors(path, _either(arrays, "vectors"))
    labels, identities = _either(arrays, "labels"), _texts(path, arrays, "identities")
    known: NDArray[np.bool_] | None = None
    if labels.dtype.kind == "U":
        if identities is not None:
            raise FacesFileError(f"{path}: labels are names, so identities has nothing to name")
        people = np.char.rstrip(labels.ravel())  # a matrix of characters pads names with spaces
        known = _named(path, people, len(vectors))
        distinct, labels = np.unique(people[known], return_inverse=True)
        vectors, identities = vectors[known], distinct.tolist()
    return make_faces(
        str(path),
        None,
        labels,
        identities,
        _chosen(path, arrays, "is_query", known),
        roles=_chosen(path, arrays, "roles", known),
        masks={name: _chosen(path, arrays, name, known) for name in MASKS if name in arrays},
        vectors=vectors,
    )


def _named(path: Path, people: NDArray[np.str_], count: int) -> NDArray[np.bool_]:
    """Return which of `count` vectors have a name, and count the others in a warning."""
    if len(people) != count:
        raise FacesFileError(f"{path}: {count} vectors but {len(people)} labels")
    known = np.asarray(people != "")
    if not known.any():
        raise FacesFileError(f"{path}: no vector has a name")
    if not known.all():
        omitted = np.count_nonzero(~known)
        log.warning("%s: %d of %d vectors without a name are omitted", path, omitted, count)
    return known


def check_vectors(where: object, array: NDArray[Any]) -> Vectors:
    """Return vectors as float32 (n, d).

    Args:
        where: Name of the file in error messages.
        array: Finite floats of any precision (n, d), n and d at least 1.

    Raises:
        FacesFileError: Another shape or dtype, or values that are not finite in float32.
    """
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
        raise FacesFileError(
            f"{where}: vectors must be floats (n, d), got {array.dtype} {array.shape}"
        )
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise FacesFileError(
            f"{where}: {len(broken)} of {len(vectors)} vectors contain NaN or infinity, the first "
            f"is row {broken[0]}"
        )
    return vectors


def _either(arrays: Arrays, name: str) -> NDArray[Any]:
    return arrays[name] if name in arrays else arrays[EXPORTED[name]]


def _chosen(
    path: Path, arrays: Arrays, name: str, known: NDArray[np.bool_] | None
) -> NDArray[Any] | None:
    """Return an array of roles, without those of vectors that are omitted."""
    if known is None or name not in arrays:
        return arrays.get(name)
    if arrays[name].size != len(known):
        raise FacesFileError(f"{path}: {len(known)} vectors but {arrays[name].size} of {name}")
    return arrays[name].ravel()[known]
