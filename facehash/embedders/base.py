"""From aligned faces to vectors or codes: what an embedder offers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facehash.vectors import Metric


class Embedder(Protocol):
    """Turns faces into rows that can be compared."""

    @property
    def identity(self) -> str:
        """Name, settings that change the rows, and the SHA-256 of the weights."""

    @property
    def metric(self) -> Metric:
        """How rows are compared; ``"hamming"`` means that they are packed codes."""

    @property
    def dimension(self) -> int:
        """Length of a vector; of a code its bits."""

    @property
    def side(self) -> int:
        """Height and width in pixels of the faces that `embed` takes."""

    @property
    def crop(self) -> str:
        """How faces are to be cropped, a `Crop`."""

    @property
    def light(self) -> bool:
        """Whether every process that reads photos may have one of its own, on one core."""

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[Any]:
        """Embed uint8 (n, side, side, 3) RGB faces.

        Returns:
            float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)).
        """


def check_faces(faces: NDArray[Any], side: int) -> None:
    """Refuse anything but uint8 (n, side, side, 3).

    Raises:
        ValueError: Another shape or dtype.
    """
    if faces.dtype != np.uint8 or faces.shape[1:] != (side, side, 3):
        raise ValueError(f"faces are uint8 (n, {side}, {side}, 3), got {faces.dtype} {faces.shape}")
