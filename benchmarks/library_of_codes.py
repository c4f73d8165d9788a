"""A library of so many codes as no folder of photos here would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facehash.library.derived import spaces, write_index
from facehash.library.rows import FileState, NewFace, NewPhoto
from facehash.library.settings import Settings, write_settings
from facehash.library.store import Store

FACES_OF_A_PHOTO = 1000


def make_library(directory: Path, codes: np.ndarray) -> None:
    """Make a library of an embedder that yields codes, without people and pictures.

    Args:
        directory: A folder that is empty or missing.
        codes: uint8 (n, bytes), packed, all bits used.
    """
    bits = 8 * codes.shape[1]
    settings = Settings("none", "none", "none", "none", "hamming", bits, "none", 1)

    def photos() -> list[NewPhoto]:
        return [
            NewPhoto(
                Path(f"/{start}.png"),
                FileState(0, 0),
                start.to_bytes(32, "big"),
                (1, 1),
                faces=tuple(
                    NewFace((0.0, 0.0, 1.0, 1.0), None, 1.0, 1.0, b"", None, code)
                    for code in codes[start : start + FACES_OF_A_PHOTO]
                ),
            )
            for start in range(0, len(codes), FACES_OF_A_PHOTO)
        ]

    with Store.create(directory) as store:
        write_settings(store.database, settings)
        store.add(photos())
        write_index(store, spaces(settings, False))
