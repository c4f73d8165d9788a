"""Opening a large library, made of codes without photos."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from facehash.files import FileState
from facehash.library.derived.arrays import spaces, write_index
from facehash.library.query.library import open_library
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.settings import Settings, write_settings
from facehash.library.storage.store import Store

FACES_OF_A_PHOTO = 1000


def make_library(directory: Path, codes: np.ndarray) -> None:
    """Make a library of codes, without people and pictures.

    Args:
        directory: An empty or missing folder.
        codes: uint8 (n, bytes), packed, all bits used.
    """
    bits = 8 * codes.shape[1]
    settings = Settings("none", "none", "none", "none", "hamming", bits, "none", 1)
    photos = []
    for start in range(0, len(codes), FACES_OF_A_PHOTO):
        faces = tuple(
            NewFace((0.0, 0.0, 1.0, 1.0), None, 1.0, 1.0, b"", None, code)
            for code in codes[start : start + FACES_OF_A_PHOTO]
        )
        path, digest = Path(f"/{start}.png"), start.to_bytes(32, "big")
        photos.append(NewPhoto(path, FileState(0, 0), digest, (1, 1), faces=faces))
    with Store.create(directory) as store:
        write_settings(store.database, settings)
        store.add(photos)
        write_index(store, spaces(settings, False))


def time_opening(codes: np.ndarray, queries: np.ndarray, turns: int) -> dict[str, Any]:
    """Time opening a library that is in the page cache, its first search and its second.

    Args:
        codes: uint8 (n, bytes), packed, all bits used.
        queries: uint8 (q, bytes).
        turns: Number of repetitions.

    Returns:
        Medians in milliseconds; searches include the database queries for the hits.
    """
    seconds: dict[str, list[float]] = {"open": [], "first search": [], "second search": []}
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "library"
        make_library(directory, codes)
        for _ in range(turns):
            start = time.perf_counter()
            with open_library(directory) as library:
                count = len(library)
                seconds["open"].append(time.perf_counter() - start)
                for name in ("first search", "second search"):
                    start = time.perf_counter()
                    library.search_vectors(queries[:1], 100)
                    seconds[name].append(time.perf_counter() - start)
    middle = {name: round(1e3 * statistics.median(t), 2) for name, t in seconds.items()}
    return {"rows": count, "bits": 8 * codes.shape[1], "milliseconds": middle}
