"""What every embedder does with the faces it takes and the vectors it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.errors import InputError


def check_faces(faces: NDArray[Any], side: int) -> None:
    """Refuse what is not uint8 (n, side, side, 3).

    Raises:
        ValueError: Another shape or dtype.
    """
    if faces.dtype != np.uint8 or faces.shape[1:] != (side, side, 3):
        raise ValueError(f"faces are uint8 (n, {side}, {side}, 3), got {faces.dtype} {faces.shape}")


def check_finite(vectors: NDArray[np.float32], embedder: str) -> None:
    """Refuse NaN and infinity, which have no distance to anything.

    Raises:
        InputError: One is among the (n, dimension) vectors.
    """
    if not np.isfinite(vectors).all():
        raise InputError(f"{embedder}: the network returned values that are no numbers")


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale (n, dimension) vectors to length 1, so that cosines are products; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
