"""`LabeledImages`: faces and labels before roles are assigned, and the checks of such arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import Images, IndexArray, Items, Vectors
from facehash.errors import InputError
from facehash.images.passed_over import PassedOver


class Role(IntFlag):
    """What an image of data that comes split is for; it may have two roles."""

    TRAIN = 1
    GALLERY = 2
    QUERY = 4


KNOWN_OR_QUERY = (Role.TRAIN | Role.GALLERY, Role.QUERY)
"""The roles where the training set is the gallery."""


class FacesFileError(InputError):
    """A file whose arrays are not valid faces and labels."""


@dataclass(frozen=True)
class LabeledImages:
    """Faces, as images or as vectors, and their identities."""

    # uint8 (n, side, side, 3), RGB; in memory, or read from a file on access; None for vectors
    images: Images | None
    labels: IndexArray  # int64 (n,), each an index into `identities`
    identities: tuple[str, ...]  # one name per person
    roles: NDArray[np.uint8] | None = None  # (n,) of `Role`, for data that comes split
    unreadable: tuple[str, ...] = ()  # a line for each image omitted because it is unreadable
    passed_over: PassedOver = field(default_factory=PassedOver)  # files that are not read
    vectors: Vectors | None = None  # float32 (n, d), in place of images

    @property
    def items(self) -> Items:
        """The images, or the vectors in place of them."""
        found = self.images if self.vectors is None else self.vectors
        if found is None:
            raise FacesFileError("neither images nor vectors")
        return found

    @property
    def is_query(self) -> NDArray[np.bool_] | None:
        """Which images are queries, bool (n,), for data that comes split."""
        return None if self.roles is None else self.roles == Role.QUERY

    @property
    def has_gallery_apart(self) -> bool:
        """Whether the data comes with a gallery that is not its training set."""
        return self.roles is not None and not np.isin(self.roles, (0, *KNOWN_OR_QUERY)).all()


def make_faces(
    where: str,
    images: Images | None,
    labels: Any,
    identities: Sequence[str] | None = None,
    is_query: Any = None,
    unreadable: Sequence[str] = (),
    roles: Any = None,
    masks: Mapping[str, Any] | None = None,
    *,
    vectors: Vectors | None = None,
) -> LabeledImages:
    """Check the arrays of a file and combine them.

    Args:
        where: Name of the file in error messages.
        images: uint8 (n, side, side, 3); None for vectors.
        labels: n integers, see `integer_labels`.
        identities: A name for each label 0, 1, ...; None if the labels themselves are the names.
        is_query: n booleans, or None.
        unreadable: One line for each omitted image.
        roles: n values of `Role`; precedes `is_query`.
        masks: n booleans for each of ``train``, ``gallery`` and ``query``, instead of the other
            two. Without ``gallery``, the gallery is the training set; without ``query``, only
            leave-one-out has queries.
        vectors: float32 (n, d) that have been checked, in place of images.

    Raises:
        FacesFileError: Which array is wrong, and why.
    """
    if images is not None:
        _check_images(where, images)
    numbers = integer_labels(where, labels)
    items, unit = (images, "images") if vectors is None else (vectors, "vectors")
    count = len(numbers) if items is None else items.shape[0]
    if len(numbers) != count:
        raise FacesFileError(f"{where}: {count} {unit} but {len(numbers)} labels")
    if identities is None:
        distinct, numbers = np.unique(numbers, return_inverse=True)
        identities = [str(one) for one in distinct]
    elif numbers.min() < 0 or numbers.max() >= len(identities):
        raise FacesFileError(
            f"{where}: labels must lie in 0..{len(identities) - 1}, one for each of the "
            f"{len(identities)} identities, got {numbers.min()}..{numbers.max()}"
        )
    if len(set(identities)) != len(identities):
        raise FacesFileError(f"{where}: identities contains a name twice")
    split = None
    if masks:
        if is_query is not None or roles is not None:
            raise FacesFileError(
                f"{where}: contains both {next(iter(masks))} and "
                f"{'is_query' if roles is None else 'roles'}; give one of them"
            )
        split = _from_masks(where, masks, len(numbers))
    elif roles is not None:
        split = _roles(where, roles, len(numbers))
    elif is_query is not None:
        known, query = KNOWN_OR_QUERY
        split = np.where(_split(where, is_query, len(numbers)), query, known).astype(np.uint8)
    return LabeledImages(
        images,
        numbers.astype(np.int64),
        tuple(identities),
        split,
        tuple(unreadable),
        vectors=vectors,
    )


def integer_labels(where: str, labels: Any) -> IndexArray:
    """Convert labels in any common form to int64.

    Args:
        where: Name of the file in error messages.
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
    """Flatten a list of numbers, of one list of numbers, or of lists of one number each.

    NumPy would expand nested lists that a small pickle refers to many times.
    """
    if len(labels) == 1 and isinstance(labels[0], list | tuple):
        labels = labels[0]
    numbers = [_only(label) for label in labels]
    for number in numbers:
        if not isinstance(number, int | float):
            raise ValueError(f"it contains a {type(number).__name__}")
    return numbers


def _only(label: Any) -> Any:
    """Unwrap a number from an array or a list of one element."""
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
        raise FacesFileError(f"{where}: it contains no images")


def _split(where: str, mask: Any, count: int, name: str = "is_query") -> NDArray[np.bool_]:
    array = np.asarray(mask).ravel()
    if len(array) != count or not (array.dtype == np.bool_ or np.isin(array, (0, 1)).all()):
        raise FacesFileError(
            f"{where}: {name} must be {count} booleans, one per image, got {array.dtype} "
            f"({len(array)},)"
        )
    return array.astype(np.bool_)


def _from_masks(where: str, masks: Mapping[str, Any], count: int) -> NDArray[np.uint8]:
    if "train" not in masks:
        raise FacesFileError(
            f"{where}: contains {' and '.join(masks)} but no train: {count} booleans, true for "
            "each training image"
        )
    roles = np.zeros(count, np.uint8)
    for name, mask in masks.items():
        roles |= _split(where, mask, count, name) * np.uint8(Role[name.upper()])
    return gallery_from_train(roles)


def gallery_from_train(roles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return roles in which the training set is the gallery if nothing else is."""
    if (roles & Role.GALLERY).any():
        return roles
    return np.where(roles & Role.TRAIN, roles | Role.GALLERY, roles).astype(np.uint8)


def _roles(where: str, roles: Any, count: int) -> NDArray[np.uint8]:
    array = np.asarray(roles).ravel()
    if len(array) != count or array.dtype.kind not in "iu" or not np.isin(array, range(8)).all():
        raise FacesFileError(
            f"{where}: roles must be {count} integers from 0 to 7, got {array.dtype} "
            f"({len(array)},)"
        )
    return array.astype(np.uint8)
