"""The arrays that a search maps into memory, made of the database and made again at any time.

``index/embedding-<generation>.npy`` with ``index/embedding-ids-<generation>.npy``, and the same for
``code``. The generation in the name is the database's; other files are of the past.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.index.base import Ids, Rows, Space
from facehash.index.exact import ExactIndex, unit_rows
from facehash.library.database import LibraryError
from facehash.library.private import make_private_folder, replacing_privately
from facehash.library.settings import Settings
from facehash.library.store import Column, Store

FOLDER = "index"


def spaces(settings: Settings, fitted: bool) -> dict[Column, Space]:
    """Return what a library can be searched by.

    Args:
        settings: What it was made with.
        fitted: Whether codes have been made of its vectors.
    """
    if settings.metric == "hamming":
        return {"code": settings.space}
    found: dict[Column, Space] = {"embedding": settings.space}
    if settings.code_space and fitted:
        found["code"] = settings.code_space
    return found


def refresh_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Write the arrays where those of this generation are missing or damaged."""
    try:
        fresh = all(load(store, column, space) for column, space in wanted.items())
    except LibraryError:
        fresh = False
    if not fresh:
        write_index(store, wanted)


def write_index(store: Store, wanted: dict[Column, Space]) -> list[Path]:
    """Write the arrays of the database as it is, and delete those of the past.

    Args:
        store: The library, held for writing.
        wanted: What it can be searched by, see `spaces`.

    Returns:
        The files that are there now.
    """
    folder = store.directory / FOLDER
    make_private_folder(folder)
    kept = []
    # One transaction, so that all arrays are of one generation.
    with store.database.transaction():
        generation = store.generation()
        for column, space in wanted.items():
            ids, rows = collect(store, column, space)
            for name, array in ((f"{column}-ids", ids), (column, rows)):
                path = folder / f"{name}-{generation}.npy"
                with replacing_privately(path) as temporary:
                    np.save(temporary, array, allow_pickle=False)
                kept.append(path)
    for path in folder.iterdir():
        if path.is_dir():
            # Where a writer was killed: faces that were forgotten since may be in it.
            shutil.rmtree(path)
        elif path not in kept:
            path.unlink()
    return kept


def open_index(store: Store, column: Column, space: Space) -> ExactIndex:
    """Map the arrays into memory, or read the database where they are missing or of the past.

    Args:
        store: The library.
        column: What to search by.
        space: Where its rows live.

    Raises:
        LibraryError: The arrays are damaged, or the database.
    """
    loaded = load(store, column, space)
    ids, rows = loaded or collect(store, column, space)
    return ExactIndex.build(rows, ids, space)


def load(store: Store, column: Column, space: Space) -> tuple[Ids, Rows] | None:
    """Map the arrays of this generation, None where there are none.

    Raises:
        LibraryError: They are damaged.
    """
    generation = store.generation()
    folder = store.directory / FOLDER
    try:
        ids, rows = (
            _map(folder / f"{name}-{generation}.npy") for name in (f"{column}-ids", column)
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise LibraryError(_damaged(store, error)) from error
    if (
        ids.dtype != np.int64
        or rows.dtype != space.dtype
        or rows.shape != (*ids.shape, space.width)
    ):
        raise LibraryError(_damaged(store, f"{rows.dtype} {rows.shape} for {ids.shape} ids"))
    return ids, rows


def collect(store: Store, column: Column, space: Space) -> tuple[Ids, Rows]:
    """Read ids and rows from the database; vectors compared by cosine are scaled to length 1."""
    parts = list(store.rows(column, space))
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, space.width), space.dtype)
    ids, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ids, unit_rows(rows) if space.metric == "cosine" else rows


def _map(path: Path) -> NDArray[Any]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name} is not one array")
    return array


def _damaged(store: Store, why: object) -> str:
    return (
        f"{store.directory}: its index files are damaged ({why}); "
        f"facehash rebuild --library {store.directory} makes them again"
    )
