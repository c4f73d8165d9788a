"""Labeled vectors stored as arrays: .npz, .h5, or .mat of any version.

``vectors`` floats (n, d), one embedding per face; ``labels``, n names or integers; optionally
``identities``, a name for each integer label 0, 1, ..., and the roles of `data.arrays`. A file that
``facehash export`` wrote is read as well: its ``embedding`` and ``name`` take the place of
``vectors`` and ``labels``, and faces without a name are omitted.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.hdf5 import MASKS
from data.labeled_images import FacesFileError, LabeledImages, make_faces
from facehash.array_files import ArrayFileError, Arrays, read_arrays
from facehash.dataset import Vectors

EXPORTED = {"vectors": "embedding", "labels": "name"}
"""Names of arrays, and what ``facehash export`` calls them."""

_OPTIONAL = ("identities", "is_query", "roles", *MASKS)
_OF_AN_EXPORT = ("code", "face_id", "path", "face", "box", "score", "quality")  # not needed

log = logging.getLogger(__name__)


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
    names = (*EXPORTED, *EXPORTED.values(), *_OPTIONAL, *_OF_AN_EXPORT)
    try:
        arrays = read_arrays(path, (), names)
        for name, other in EXPORTED.items():
            if name not in arrays and other not in arrays:
                read_arrays(path, (name,))  # raises: its message suggests the most similar name
    except ArrayFileError as error:
        raise FacesFileError(str(error)) from error
    vectors = check_vectors(path, _either(arrays, "vectors"))
    labels, identities = _either(arrays, "labels"), _identities(path, arrays)
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


def _identities(path: Path, arrays: Arrays) -> list[str] | None:
    identities = arrays.get("identities")
    if identities is None:
        return None
    if identities.dtype.kind != "U":
        raise FacesFileError(f"{path}: identities must be text, got {identities.dtype}")
    return [str(one).rstrip() for one in identities.ravel()]


def _chosen(
    path: Path, arrays: Arrays, name: str, known: NDArray[np.bool_] | None
) -> NDArray[Any] | None:
    """Return an array of roles, without those of vectors that are omitted."""
    if known is None or name not in arrays:
        return arrays.get(name)
    if arrays[name].size != len(known):
        raise FacesFileError(f"{path}: {len(known)} vectors but {arrays[name].size} of {name}")
    return arrays[name].ravel()[known]
