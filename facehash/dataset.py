"""FaceDataset: face images, their identities, and the roles train, gallery and query."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError

IndexArray = NDArray[np.int64]
ProtocolName = Literal["seen", "unseen", "leave_one_out"]
SplitName = Literal["given", "drawn", "content"]
ROLES = ("train", "gallery", "query")

_SLICE_GAP = 16  # unwanted rows that one read skips over, before a second read is faster
_SLICE_BYTES = 1 << 23  # largest read


class DatasetError(InputError):
    """A data set that cannot be used."""


class Images(Protocol):
    """Type of `FaceDataset.images`: a NumPy array, or an HDF5 dataset that is read lazily."""

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
    """Face images with named roles: what every loader returns and every method takes.

    Attributes:
        name: Name of the data set in reports.
        images: uint8 (n, side, side, 3), RGB, channels last; an array, or an HDF5 dataset whose
            rows are read on demand.
        labels: int64 (n,), indices into `identities`.
        identities: One name per person.
        train: int64 (t,), indices of the training images.
        gallery: int64 (g,), indices of the images that are searched.
        query: int64 (q,), indices of the images that are searched for.
        protocol: ``"seen"``: the identities of the queries are in the training set, and gallery =
            train unless the data comes with a gallery of its own; ``"unseen"``: they are not;
            ``"leave_one_out"``: they are not, and query = gallery, where no image finds itself.
        crop: How the faces were cropped, ``"none"`` if unknown. It is stored with a model, so that
            a search can crop in the same way.
        split: Where the roles come from: ``"given"`` with the data, ``"drawn"`` at random, or
            ranked by ``"content"``; None if unknown.
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
    split: SplitName | None = None

    @property
    def leave_one_out(self) -> bool:
        """Whether the queries are the gallery, and each searches all images but itself."""
        return self.protocol == "leave_one_out"

    @property
    def side(self) -> int:
        """Height and width of an image in pixels."""
        return int(self.images.shape[1])

    def read(self, indices: IndexArray) -> NDArray[np.uint8]:
        """Read images into memory.

        Args:
            indices: int64 (k,), any order, repeats allowed.

        Returns:
            uint8 (k, side, side, 3); row i is image ``indices[i]``.
        """
        return read_rows(self.images, indices)

    def counts(self) -> dict[str, int]:
        """Return the number of identities, and of images per role, as in a report."""
        return {"identities": len(self.identities)} | {
            role: len(getattr(self, role)) for role in ROLES
        }

    def digest(self) -> str:
        """Return a fingerprint of the images in use and of their labels.

        It does not depend on images without a role, on names, on the roles themselves, or on how
        the images are stored. Images are read in blocks, so memory stays bounded.

        Returns:
            64 hexadecimal digits: SHA-256 over the number and side of the images, the pixels of
            each image that has a role (once, by increasing index), and their labels.
        """
        rows = np.unique(np.concatenate([getattr(self, role) for role in ROLES])).astype(np.int64)
        found = hashlib.sha256(np.array([len(rows), self.side], "<i8").tobytes())
        block = max(1, _SLICE_BYTES // math.prod(self.images.shape[1:]))
        for start in range(0, len(rows), block):
            found.update(np.ascontiguousarray(self.read(rows[start : start + block])).data)
        found.update(self.labels[rows].astype("<i8").tobytes())
        return found.hexdigest()

    def check(self) -> FaceDataset:
        """Validate the data set and return it.

        Raises:
            DatasetError: A wrong shape or dtype, a label without a name, an empty role, an index
                out of range or repeated, fewer than two identities in gallery or train, a query
                that is also in either (with leave-one-out: in train), or a query whose identity
                has no other gallery image.
        """
        self._check_arrays()
        for role in ROLES:
            self._check_role(role)
        if self.leave_one_out and not np.array_equal(self.query, self.gallery):
            raise self._error("protocol 'leave_one_out' needs the gallery as queries, in its order")
        for role in ("train",) if self.leave_one_out else ("gallery", "train"):
            shared = np.intersect1d(self.query, getattr(self, role))
            if len(shared):
                raise self._error(
                    f"{len(shared)} images are both query and {role} (the first is image "
                    f"{shared[0]}); a query must not find itself"
                )
        people, counts = np.unique(self.labels[self.gallery], return_counts=True)
        if self.leave_one_out and (counts == 1).any():
            alone = people[counts == 1]
            raise self._error(
                f"identity {self.identities[alone[0]]!r} has a single gallery image "
                f"({len(alone)} such identities), so with leave-one-out no search can find it; "
                "remove its role or add an image"
            )
        orphans = np.setdiff1d(self.labels[self.query], people)
        if len(orphans):
            raise self._error(
                f"identity {self.identities[orphans[0]]!r} has query images but no gallery image "
                f"({len(orphans)} such identities), so no search can find it"
            )
        return self

    def _check_arrays(self) -> None:
        shape, dtype, labels = tuple(self.images.shape), self.images.dtype, self.labels
        if len(shape) != 4 or shape[2:] != (shape[1], 3) or dtype != np.uint8:
            raise self._error(f"images must be uint8 (n, side, side, 3), got {dtype} {shape}")
        if labels.shape != shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise self._error(
                f"labels must be integers of shape ({shape[0]},), got {labels.dtype} {labels.shape}"
            )
        last = len(self.identities) - 1
        if len(labels) and (labels.min() < 0 or labels.max() > last):
            raise self._error(
                f"labels must lie in 0..{last} (one per identity), "
                f"got {labels.min()}..{labels.max()}"
            )
        if self.protocol not in get_args(ProtocolName):
            names = ", ".join(get_args(ProtocolName))
            raise self._error(f"protocol {self.protocol!r} is none of {names}")

    def _check_role(self, role: str) -> None:
        indices = getattr(self, role)
        if len(indices) == 0:
            raise self._error(f"no image has the role {role!r}")
        if indices.min() < 0 or indices.max() >= len(self.labels):
            raise self._error(
                f"{role} has indices {indices.min()}..{indices.max()}, "
                f"the data set has images 0..{len(self.labels) - 1}"
            )
        if len(np.unique(indices)) != len(indices):
            raise self._error(f"{role} contains an image twice")
        people = np.unique(self.labels[indices])
        # With a single identity every search result is right, whatever the codes.
        if role != "query" and len(people) < 2:
            name = self.identities[people[0]]
            raise self._error(f"{role} contains 1 identity ({name!r}), at least two are needed")

    def _error(self, message: str) -> DatasetError:
        return DatasetError(f"{self.name}: {message}")


def read_rows(images: Images, indices: IndexArray) -> NDArray[np.uint8]:
    """Read images into memory, as `FaceDataset.read` does."""
    if isinstance(images, np.ndarray):
        return np.asarray(images[indices], dtype=np.uint8)
    return _read_slices(images, np.asarray(indices))


def _read_slices(images: Images, indices: IndexArray) -> NDArray[np.uint8]:
    """Read rows of an HDF5 dataset as slices in increasing order; index lists are far slower."""
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
