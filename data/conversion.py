"""What every loader implements: a `Conversion`, which turns a source into blocks of images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.labeled_images import LabeledImages, Role
from facehash.errors import InputError
from facehash.images.passed_over import PassedOver


class SourceError(InputError):
    """A folder or file that cannot be the source of a data set."""


@dataclass(frozen=True)
class Block:
    """Some converted images; the identities of the data set are sorted by their labels."""

    images: NDArray[np.uint8]  # (k, side, side, 3)
    labels: Sequence[int] | Sequence[str]  # (k,), equal for images of the same person
    role: Role | None = None  # for data that comes split
    unreadable: Sequence[str] = ()  # a line for each image omitted because it is unreadable


class Conversion(Protocol):
    """How one kind of source becomes images and labels."""

    @property
    def root(self) -> Path:
        """The source: the folder that contains `files`."""

    @property
    def files(self) -> Sequence[Path]:
        """Every file that the result depends on, sorted."""

    @property
    def side(self) -> int:
        """Height and width of the converted images, in pixels."""

    @property
    def loader(self) -> str:
        """Name of the loader."""

    @property
    def passed_over(self) -> PassedOver:
        """Files that are not read, by kind."""

    def blocks(self) -> Iterator[Block]:
        """Convert, a bounded number of images at a time."""


def collect(conversion: Conversion, keep: Callable[[NDArray[np.uint8]], None]) -> dict[str, Any]:
    """Run a conversion.

    Args:
        conversion: The conversion.
        keep: Called with the images of each block.

    Returns:
        The other arguments of `LabeledImages`.
    """
    labels: list[int | str] = []
    roles: list[int] = []
    unreadable: list[str] = []
    for block in conversion.blocks():
        keep(block.images)
        labels.extend(block.labels)
        unreadable.extend(block.unreadable)
        if block.role is not None:
            roles.extend([block.role] * len(block.labels))
    identities, indices = np.unique(np.array(labels), return_inverse=True)
    return {
        "labels": indices.astype(np.int64),
        "identities": tuple(str(one) for one in identities),
        "roles": np.array(roles, np.uint8) if roles else None,
        "unreadable": tuple(unreadable),
    }


def read_into_memory(conversion: Conversion) -> LabeledImages:
    """Convert without a cache, for sources that are much smaller than the memory."""
    images: list[NDArray[np.uint8]] = []
    others = collect(conversion, images.append)
    return LabeledImages(np.concatenate(images), **others)
