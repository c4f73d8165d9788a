"""FaceDataset: face images, who they show, and which of them train, answer and ask."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError

IndexArray = NDArray[np.int64]
ProtocolName = Literal["seen", "unseen"]
ROLES = ("train", "gallery", "query")

_SLICE_GAP = 16
"""Rows of no interest that are read along rather than starting another slice."""

_SLICE_BYTES = 1 << 23
"""What is read at once at most."""


class DatasetError(InputError):
    """A data set that cannot be used, with what is wrong and what would be right."""


class Images(Protocol):
    """What `FaceDataset.images` must offer: a NumPy array or an HDF5 dataset read lazily."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, side, side, 3)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""

    def __getitem__(self, key: Any, /) -> Any:
        """Rows as a uint8 array."""


@dataclass(frozen=True)
class FaceDataset:
    """Faces with named roles: the one thing that every loader returns and every method takes.

    Attributes:
        name: The data set's name, as reports call it.
        images: uint8 (n, side, side, 3), RGB, channels last; an array, or an HDF5 dataset whose
            rows are read when asked for.
        labels: int64 (n,), each an index into `identities`.
        identities: One name a person.
        train: int64 indices of the images that training may see.
        gallery: int64 indices of the images that are searched.
        query: int64 indices of the images that are searched for.
        protocol: ``"seen"``: the people of the queries were trained on, gallery = train;
            ``"unseen"``: they were not.
        crop: How the faces were cropped, ``"none"`` when nothing is known; stored with a model so
            that a search can crop alike.
    """

    name: str
    images: Images
    labels: IndexArray
    identities: tuple[str, ...]
    train: IndexArray
    gallery: IndexArray
    query: IndexArray
    protocol: ProtocolName
    crop: str = "none"

    @property
    def side(self) -> int:
        """Height and width of an image in pixels."""
        return int(self.images.shape[1])

    def read(self, indices: IndexArray) -> NDArray[np.uint8]:
        """Read images into memory.

        Args:
            indices: int64 (k,), any order, repeats allowed.

        Returns:
            uint8 (k, side, side, 3), row i being image ``indices[i]``.
        """
        if isinstance(self.images, np.ndarray):
            return np.asarray(self.images[indices], dtype=np.uint8)
        return _read_slices(self.images, np.asarray(indices))

    def counts(self) -> dict[str, int]:
        """Count the people, and the images in each role, as a report states them."""
        return {"identities": len(self.identities)} | {
            role: len(getattr(self, role)) for role in ROLES
        }

    def digest(self) -> str:
        """Fingerprint the pictures in use and who they show.

        Images without a role, names and the roles themselves have no part in it, nor has the way
        in which the images are stored. The images are read in blocks, so memory stays bounded.

        Returns:
            64 hexadecimal digits: the SHA-256 over the images' number and side, the pixels of each
            image that has a role (once, by increasing index), and their labels.
        """
        rows = np.unique(np.concatenate([getattr(self, role) for role in ROLES])).astype(np.int64)
        found = hashlib.sha256(np.array([len(rows), self.side], "<i8").tobytes())
        block = max(1, _SLICE_BYTES // math.prod(self.images.shape[1:]))
        for start in range(0, len(rows), block):
            found.update(np.ascontiguousarray(self.read(rows[start : start + block])).data)
        found.update(self.labels[rows].astype("<i8").tobytes())
        return found.hexdigest()

    def check(self) -> FaceDataset:
        """Refuse a data set that would give a meaningless score.

        Returns:
            The data set itself.

        Raises:
            DatasetError: A wrong shape or dtype, a label without a name, an empty role, an index
                out of range or named twice, fewer than two people in gallery or train, a query
                that is also in either, or a query whose identity has no gallery image.
        """
        self._check_arrays()
        for role in ROLES:
            self._check_role(role)
        for role in ("gallery", "train"):
            self._check_people(role)
        for role in ("gallery", "train"):
            shared = np.intersect1d(self.query, getattr(self, role))
            if len(shared):
                raise DatasetError(
                    f"{self.name}: {len(shared)} images are both query and {role} (the first is "
                    f"number {shared[0]}); a query must not be found by itself"
                )
        orphans = np.setdiff1d(self.labels[self.query], self.labels[self.gallery])
        if len(orphans):
            raise DatasetError(
                f"{self.name}: identity {self.identities[orphans[0]]!r} has query images but no "
                f"gallery image ({len(orphans)} such identities); it could never be found"
            )
        return self

    def _check_arrays(self) -> None:
        shape = tuple(self.images.shape)
        if (
            len(shape) != 4
            or shape[1] != shape[2]
            or shape[3] != 3
            or self.images.dtype != np.uint8
        ):
            raise DatasetError(
                f"{self.name}: images must be uint8 (n, side, side, 3), "
                f"got {self.images.dtype} {shape}"
            )
        if self.labels.shape != shape[:1] or not np.issubdtype(self.labels.dtype, np.integer):
            raise DatasetError(
                f"{self.name}: labels must be integers of shape ({shape[0]},), "
                f"got {self.labels.dtype} {self.labels.shape}"
            )
        if len(self.labels) and not (
            0 <= self.labels.min() and self.labels.max() < len(self.identities)
        ):
            raise DatasetError(
                f"{self.name}: labels must lie in 0..{len(self.identities) - 1} (one a name), "
                f"got {self.labels.min()}..{self.labels.max()}"
            )
        if self.protocol not in ("seen", "unseen"):
            raise DatasetError(
                f"{self.name}: protocol {self.protocol!r} is neither seen nor unseen"
            )

    def _check_role(self, role: str) -> None:
        indices = getattr(self, role)
        if len(indices) == 0:
            raise DatasetError(f"{self.name}: no image has the role {role!r}")
        if indices.min() < 0 or indices.max() >= len(self.labels):
            raise DatasetError(
                f"{self.name}: {role} has indices {indices.min()}..{indices.max()}, "
                f"the data set has images 0..{len(self.labels) - 1}"
            )
        if len(np.unique(indices)) != len(indices):
            raise DatasetError(f"{self.name}: {role} names an image twice")

    def _check_people(self, role: str) -> None:
        """Refuse one person alone: whatever is found is right, and nobody is told apart."""
        people = np.unique(self.labels[getattr(self, role)])
        if len(people) < 2:
            raise DatasetError(
                f"{self.name}: {role} shows 1 person ({self.identities[people[0]]!r}), "
                "at least two are needed to tell apart"
            )


def _read_slices(images: Images, indices: IndexArray) -> NDArray[np.uint8]:
    """Read rows of an HDF5 dataset in increasing order: it reads lists of rows far slower."""
    found = np.empty((len(indices), *images.shape[1:]), np.uint8)
    if not len(indices):
        return found
    order = np.argsort(indices, kind="stable")
    rows = indices[order]
    block = rows // max(1, _SLICE_BYTES // math.prod(images.shape[1:]))
    cuts = np.flatnonzero((np.diff(rows) > _SLICE_GAP) | (np.diff(block) > 0)) + 1
    for places in np.split(order, cuts):
        wanted = indices[places]
        first, last = int(wanted[0]), int(wanted[-1])
        found[places] = images[first : last + 1][wanted - first]
    return found
