"""The interface of an embedder."""

from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from facehash.codes import Packed
from facehash.vectors import Metric


class Embedder(Protocol):
    """Turns cropped faces into rows that can be compared."""

    @property
    def identity(self) -> str:
        """Name, every setting that changes the rows, and the SHA-256 of the weights."""

    @property
    def metric(self) -> Metric:
        """The distance between rows; ``"hamming"`` if they are packed codes."""

    @property
    def dimension(self) -> int:
        """Length of a vector, or number of bits of a code."""

    @property
    def side(self) -> int:
        """Height and width in pixels of the faces that `embed` takes."""

    @property
    def crop(self) -> str:
        """How faces must be cropped, a `facehash.images.alignment.Crop`."""

    @property
    def light(self) -> bool:
        """Whether each process that reads photos can run its own copy on one core."""

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[Any]:
        """Embed uint8 (n, side, side, 3) RGB faces.

        Returns:
            float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)).
        """


@runtime_checkable
class Projecting(Protocol):
    """An embedder of codes that may also have their projections, for the asymmetric distance."""

    @property
    def projects(self) -> bool:
        """Whether it has them; otherwise `project` raises an InputError."""

    def project(self, faces: NDArray[np.uint8]) -> tuple[Packed, NDArray[np.float32]]:
        """Embed uint8 (n, side, side, 3) RGB faces.

        Returns:
            Packed codes uint8 (n, ceil(dimension / 8)), and float32 (n, dimension) with their
            signs, as `facehash.hamming.asymmetric` expects them.
        """


def projects(embedder: Embedder) -> TypeGuard[Projecting]:
    """Return whether an embedder of codes has their projections."""
    return isinstance(embedder, Projecting) and embedder.projects


def check_faces(faces: NDArray[Any], side: int) -> None:
    """Raise a ValueError unless the faces are uint8 (n, side, side, 3)."""
    if faces.dtype != np.uint8 or faces.shape[1:] != (side, side, 3):
        raise ValueError(
            f"faces must be uint8 (n, {side}, {side}, 3), got {faces.dtype} {faces.shape}"
        )
