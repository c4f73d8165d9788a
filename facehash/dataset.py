"""FaceDataset: face images or vectors, their identities, and the roles train, gallery, query."""

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
Vectors = NDArray[np.float32]
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


Items = Images | Vectors
"""Images, or vectors; their rows are what the indices of a role select."""


@dataclass(frozen=True)
class FaceDataset:
    """Face images or vectors with named roles: what loaders return and methods take.

    Attributes:
        name: Name of the data set in reports.
        images: uint8 (n, side, side, 3), RGB, channels last; an array, or an HDF5 dataset whose
            rows are read on demand. None if the data set holds `vectors`.
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
        vectors: float32 (n, d), finite: one embedding per face, in place of `images`. Where
            other documentation says image, it then means a vector.
    """

    name: str
    images: Images | None
    labels: IndexArray
    identities: tuple[str, ...]
    train: IndexArray
    gallery: IndexArray
    query: IndexArray
    protocol: ProtocolName
    crop: str = "none"
    split: SplitName | None = None
    vectors: Vectors | None = None

    @property
    def items(self) -> Items:
        """The images or the vectors, whichever the data set holds.

        Raises:
            DatasetError: It holds both, or neither.
        """
        if (self.images is None) == (self.vectors is None):
            held = "neither" if self.images is None else "both"
            raise self._error(f"a data set holds either images or vectors, got {held}")
        return self.images if self.vectors is None else self.vectors  # type: ignore[return-value]

    @property
    def leave_one_out(self) -> bool:
        """Whether the queries are the gallery, and each searches all images but itself."""
        return self.protocol == "leave_one_out"

    @property
    def side(self) -> int:
        """Height and width of an image in pixels.

        Raises:
            DatasetError: The data set holds vectors.
        """
        if self.images is None:
            raise self._error("a data set of vectors has no side")
        return int(self.images.shape[1])

    @property
    def dimension(self) -> int:
        """Length of a vector.

        Raises:
            DatasetError: The data set holds images.
        """
        if self.vectors is None:
            raise self._error("a data set of images has no dimension")
        return int(self.vectors.shape[1])

    def read(self, indices: IndexArray) -> NDArray[Any]:
        """Read images or vectors into memory.

        Args:
            indices: int64 (k,), any order, repeats allowed.

        Returns:
            Row i is image ``indices[i]``, uint8 (k, side, side, 3), or this vector, float32 (k, d).
        """
        return read_rows(self.items, indices)

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
            each image that has a role (once, by increasing index), and their labels. For vectors,
            over their number and length, and the bytes of their float32.
        """
        rows = np.unique(np.concatenate([getattr(self, role) for role in ROLES])).astype(np.int64)
        shape = self.items.shape[1:]
        found = hashlib.sha256(np.array([len(rows), shape[0]], "<i8").tobytes())
        block = max(1, _SLICE_BYTES // math.prod(shape))
        for start in range(0, len(rows), block):
            found.update(np.ascontiguousarray(self.read(rows[start : start + block])).data)
        found.update(self.labels[rows].astype("<i8").tobytes())
        return found.hexdigest()

    def check(self) -> FaceDataset:
        """Validate the data set and return it.

        Raises:
            DatasetError: Neither images nor vectors, or both; a wrong shape or dtype, a vector
                that is not finite, a label without a name, an empty role, an index
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
                    f"{len(shared)} {self._unit}s are both query and {role} (the first is "
                    f"{self._unit} {shared[0]}); a query must not find itself"
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
                f"identity {self.identities[orphans[0]]!r} has query {self._unit}s but no "
                f"gallery {self._unit} "
                f"({len(orphans)} such identities), so no search can find it"
            )
        return self

    def _check_arrays(self) -> None:
        shape, dtype, labels = tuple(self.items.shape), self.items.dtype, self.labels
        if self.vectors is not None:
            if len(shape) != 2 or shape[1] == 0 or dtype != np.float32:
                raise self._error(f"vectors must be float32 (n, d), got {dtype} {shape}")
            broken = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
            if len(broken):
                raise self._error(
                    f"{len(broken)} of {shape[0]} vectors are not finite (the first is vector "
                    f"{broken[0]})"
                )
        elif len(shape) != 4 or shape[2:] != (shape[1], 3) or dtype != np.uint8:
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
            raise self._error(f"no {self._unit} has the role {role!r}")
        if indices.min() < 0 or indices.max() >= len(self.labels):
            raise self._error(
                f"{role} has indices {indices.min()}..{indices.max()}, "
                f"the data set has {self._unit}s 0..{len(self.labels) - 1}"
            )
        if len(np.unique(indices)) != len(indices):
            article = "an" if self.vectors is None else "a"
            raise self._error(f"{role} contains {article} {self._unit} twice")
        people = np.unique(self.labels[indices])
        # With a single identity every search result is right, whatever the codes.
        if role != "query" and len(people) < 2:
            name = self.identities[people[0]]
            raise self._error(f"{role} contains 1 identity ({name!r}), at least two are needed")

    @property
    def _unit(self) -> str:
        return "image" if self.vectors is None else "vector"

    def _error(self, message: str) -> DatasetError:
        return DatasetError(f"{self.name}: {message}")


def read_rows(images: Items, indices: IndexArray) -> NDArray[Any]:
    """Read images or vectors into memory, as `FaceDataset.read` does."""
    if isinstance(images, np.ndarray):
        return np.asarray(images[indices])
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
