"""Index files: arrays computed from the database, which a search maps into memory.

``index/embedding-<generation>.npy`` with ``index/embedding-ids-<generation>.npy``, and the same for
``code``, whose rows are stored as 64-bit words (see `facehash.hamming.words`). The generation is
the database's; files with another one are stale. Index files can be written again at any time.

Opening checks names, headers and lengths only, so that it takes the same time for any number of
faces. `facehash.library.upkeep.check` compares the content with the database.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.hamming.words import CodeWords
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import (
    INDEX,
    check_file,
    make_private_folder,
    private_atomic_write,
)
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column, Store
from facehash.printing import quoted
from facehash.vectors import Ids, Space, unit_rows

Arrays = tuple[Ids, NDArray[Any]]
"""Ids, and vectors or the words of codes, as they are stored."""


def spaces(settings: Settings, fitted: bool) -> dict[Column, Space]:
    """Return what a library can be searched by: its vectors, its codes (if `fitted`), or both."""
    if settings.metric == "hamming":
        return {"code": settings.space}
    found: dict[Column, Space] = {"embedding": settings.space}
    if settings.code_space and fitted:
        found["code"] = settings.code_space
    return found


def refresh_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Write the index files if they are missing, stale or damaged, and remove all others."""
    try:
        fresh = all(_open(store, column, space) for column, space in wanted.items())
    except LibraryError:
        fresh = False
    if fresh:
        _remove_stale(store, wanted)
    else:
        write_index(store, wanted)


def write_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Write the index files of the current generation and remove all others.

    Args:
        store: The library, locked for writing.
        wanted: What it can be searched by, see `spaces`.
    """
    make_private_folder(store.directory / INDEX)
    # One transaction, so that all arrays are of one generation.
    with store.database.transaction():
        for column, space in wanted.items():
            arrays = _compute(store, column, space)
            for path, array in zip(_paths(store, column), arrays, strict=True):
                with private_atomic_write(path) as temporary:
                    _save(temporary, array)
    _remove_stale(store, wanted)


def open_index(store: Store, column: Column, space: Space) -> ExactIndex:
    """Map the index files into memory, or read the database if they are missing or stale.

    Raises:
        LibraryError: The index files or the database are damaged.
    """
    arrays = _open(store, column, space) or _compute(store, column, space)
    return _index(arrays, space)


def open_asymmetric_index(store: Store, space: Space) -> AsymmetricIndex:
    """Do as `open_index` for a search of the codes by projections."""
    ids, words = _open(store, "code", space) or _compute(store, "code", space)
    return AsymmetricIndex(CodeWords(words, space.dimension), ids, space)


def verify(store: Store, column: Column, space: Space) -> bool | None:
    """Compare the index files with the database.

    Returns:
        Whether they are equal, or None if the files are missing or stale.

    Raises:
        LibraryError: The index files or the database are damaged.
    """
    arrays = _open(store, column, space)
    if arrays is None:
        return None
    return all(map(np.array_equal, arrays, _compute(store, column, space)))


def _compute(store: Store, column: Column, space: Space) -> Arrays:
    """Compute the arrays from the database."""
    parts = list(store.rows(column, space))
    if parts:
        ids, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    else:
        ids, rows = np.zeros(0, np.int64), np.zeros((0, space.width), space.dtype)
    if space.metric == "hamming":
        return ids, CodeWords.of(rows, space.dimension).words  # (words per code, n)
    return ids, unit_rows(rows) if space.metric == "cosine" else rows  # (n, dimension)


def _index(arrays: Arrays, space: Space) -> ExactIndex:
    ids, rows = arrays
    prepared = CodeWords(rows, space.dimension) if space.metric == "hamming" else rows
    return ExactIndex(prepared, ids, space)


def _paths(store: Store, column: Column) -> tuple[Path, Path]:
    """Return where the ids and the rows of the current generation are stored."""
    folder, generation = store.directory / INDEX, store.generation()
    return folder / f"{column}-ids-{generation}.npy", folder / f"{column}-{generation}.npy"


def _open(store: Store, column: Column, space: Space) -> Arrays | None:
    """Map the arrays of the current generation into memory."""
    try:
        ids, rows = map(_map, _paths(store, column))
        _index((ids, rows), space)  # checks dtypes and shapes
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LibraryError(
            f"{store.directory}: its index files are damaged ({error}); to write them again: "
            f"facehash rebuild --library {quoted(store.directory)}"
        ) from error
    return ids, rows


def _map(path: Path) -> NDArray[Any]:
    """Map an .npy file of exactly the announced length into memory."""
    check_file(path)
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    # A damaged header makes NumPy's parser raise errors of many kinds.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path.name}: {reason}") from error
    length, announced = path.stat().st_size, array.offset + array.nbytes
    if length != announced:
        raise ValueError(f"{path.name}: {length} bytes, not {announced}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{path.name}: stored column by column")
    return array


def _save(path: Path, array: NDArray[Any]) -> None:
    """Write an .npy file; unlike `np.save`, a full disk raises the error with its reason."""
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _remove_stale(store: Store, wanted: dict[Column, Space]) -> None:
    """Remove other files, left by killed writers: they may contain faces that were forgotten."""
    current = {path for column in wanted for path in _paths(store, column)}
    for path in (store.directory / INDEX).iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path not in current:
            path.unlink()
