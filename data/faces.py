"""Faces and whom they show, before anybody has a role; and what of a file's arrays is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import Images, IndexArray
from facehash.errors import InputError


class FacesFileError(InputError):
    """A file whose arrays are not faces and labels as they should be."""


@dataclass(frozen=True)
class LabeledImages:
    """Faces and whom they show.

    Attributes:
        images: uint8 (n, side, side, 3), RGB; in memory, or read from a file when asked for.
        labels: int64 (n,), each an index into `identities`.
        identities: One name a person.
        is_query: bool (n,) of a data set that comes split into training and test, else None.
        unreadable: What was left out because it could not be read, one line each.
    """

    images: Images
    labels: IndexArray
    identities: tuple[str, ...]
    is_query: NDArray[np.bool_] | None = None
    unreadable: tuple[str, ...] = ()


def make_faces(
    where: str,
    images: Images,
    labels: Any,
    identities: Sequence[str] | None = None,
    is_query: Any = None,
    unreadable: Sequence[str] = (),
) -> LabeledImages:
    """Check a file's arrays and put them together.

    Args:
        where: What errors call the file.
        images: Should be uint8 (n, side, side, 3).
        labels: Should be n integers, see `integer_labels`.
        identities: A name for each label 0, 1, ...; None when a label is its person's name.
        is_query: Should be n booleans, or None.
        unreadable: What was left out, one line each.

    Returns:
        Faces whose labels index their identities.

    Raises:
        FacesFileError: What is wrong with which array.
    """
    _check_images(where, images)
    numbers = integer_labels(where, labels)
    if len(numbers) != images.shape[0]:
        raise FacesFileError(f"{where}: {images.shape[0]} images but {len(numbers)} labels")
    if identities is None:
        distinct, numbers = np.unique(numbers, return_inverse=True)
        identities = [str(one) for one in distinct]
    elif numbers.min() < 0 or numbers.max() >= len(identities):
        raise FacesFileError(
            f"{where}: labels must lie in 0..{len(identities) - 1}, one for each of the "
            f"{len(identities)} identities, got {numbers.min()}..{numbers.max()}"
        )
    if len(set(identities)) != len(identities):
        raise FacesFileError(f"{where}: identities names somebody twice")
    split = None if is_query is None else _split(where, is_query, len(numbers))
    return LabeledImages(
        images, numbers.astype(np.int64), tuple(identities), split, tuple(unreadable)
    )


def integer_labels(where: str, labels: Any) -> IndexArray:
    """Read labels as researchers store them.

    Args:
        where: What errors call the file.
        labels: Integers, or floats without a fraction; an array or a list, (n,), (n, 1) or (1, n).

    Returns:
        int64 (n,).

    Raises:
        FacesFileError: Other types or shapes, or a fraction.
    """
    try:
        array = np.asarray(_flat(labels) if isinstance(labels, list | tuple) else labels)
    except ValueError as error:
        raise FacesFileError(f"{where}: labels must be a flat list of integers: {error}") from error
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1:
        raise FacesFileError(f"{where}: labels must have shape (n,), got {array.shape}")
    if array.dtype.kind not in "iuf":
        raise FacesFileError(f"{where}: labels must be integers, got {array.dtype}")
    if array.dtype.kind == "f":
        wrong = array[~(np.isfinite(array) & (array == np.rint(array)))]
        if len(wrong):
            raise FacesFileError(f"{where}: labels must be integers, got {wrong[0]}")
    if len(array) and (array.min() < -(2**62) or array.max() > 2**62):
        raise FacesFileError(f"{where}: labels up to {array.max()} are too large")
    return array.astype(np.int64)


def _flat(labels: Sequence[Any]) -> list[int | float]:
    """Take the numbers out of a list of them, of one such list, or of lists of one number each.

    NumPy would multiply out the lists within lists that a small pickle names over and over.
    """
    if len(labels) == 1 and isinstance(labels[0], list | tuple):
        labels = labels[0]
    numbers = [_only(label) for label in labels]
    for number in numbers:
        if not isinstance(number, int | float):
            raise ValueError(f"a {type(number).__name__} is in it")
    return numbers


def _only(label: Any) -> Any:
    if isinstance(label, np.ndarray | np.generic) and label.size == 1:
        return label.item()
    return label[0] if isinstance(label, list | tuple) and len(label) == 1 else label


def _check_images(where: str, images: Images) -> None:
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or images.dtype != np.uint8:
        hint = " (channels first: transpose to channels last)" if shape[1:2] == (3,) else ""
        raise FacesFileError(
            f"{where}: images must be uint8 (n, side, side, 3), got {images.dtype} {shape}{hint}"
        )
    if 0 in shape:
        raise FacesFileError(f"{where}: there are no images in it")


def _split(where: str, is_query: Any, count: int) -> NDArray[np.bool_]:
    array = np.asarray(is_query).ravel()
    if len(array) != count or not (array.dtype == np.bool_ or np.isin(array, (0, 1)).all()):
        raise FacesFileError(
            f"{where}: is_query must be {count} booleans, got {array.dtype} ({len(array)},)"
        )
    return array.astype(np.bool_)
