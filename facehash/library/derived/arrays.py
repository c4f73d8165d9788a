"""The arrays that a search maps into memory, made of the database and made again at any time.

``index/embedding-<generation>.npy`` with ``index/embedding-ids-<generation>.npy``, and the same for
``code``, whose rows are 64-bit words as they are searched. The generation in the name is the
database's; other files are of the past. ``index/sums-<generation>.json`` is written last and tells
the length and the SHA-256 of each array: without it there is no index.

Opening looks at names, lengths and forms only, however many faces there are. A search reads all
rows anyway; before the first one of a process the sums are compared too, so that damage is told
instead of a wrong neighbour.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.files import write_json
from facehash.hamming.words import CodeWords
from facehash.index.exact import ExactIndex
from facehash.library.derived.npy import map_npy
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import make_private_folder, private_atomic_write
from facehash.library.storage.outside import INDEX, refuse_other_than
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column, Store
from facehash.vectors import Ids, Rows, Space, unit_rows

_MOST_SUMS = 100_000  # bytes; four lengths and sums are some hundred


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
    """Write the arrays where those of this generation are missing or damaged, and keep no others.

    Args:
        store: The library, held for writing.
        wanted: What it can be searched by, see `spaces`.
    """
    try:
        fresh = all(load(store, column, space) for column, space in wanted.items())
    except LibraryError:
        fresh = False
    if fresh:
        _remove_stale(store.directory / INDEX, store.generation())
    else:
        write_index(store, wanted)


def write_index(store: Store, wanted: dict[Column, Space]) -> list[Path]:
    """Write the arrays of the database as it is, and delete those of the past.

    Args:
        store: The library, held for writing.
        wanted: What it can be searched by, see `spaces`.

    Returns:
        The files that are there now.
    """
    folder = store.directory / INDEX
    make_private_folder(folder)
    kept = []
    sums: dict[str, dict[str, Any]] = {}
    # One transaction, so that all arrays are of one generation.
    with store.database.transaction():
        generation = store.generation()
        for column, space in wanted.items():
            ids, rows = collect(store, column, space)
            stored = CodeWords.of(rows, space.dimension).words if column == "code" else rows
            for name, array in ((f"{column}-ids", ids), (column, stored)):
                path = folder / f"{name}-{generation}.npy"
                with private_atomic_write(path) as temporary:
                    _save(temporary, array)
                    sums[path.name] = {"bytes": temporary.stat().st_size, "sha256": _sum(array)}
                kept.append(path)
        path = folder / f"sums-{generation}.json"
        with private_atomic_write(path) as temporary:
            write_json(temporary, sums)
        kept.append(path)
    _remove_stale(folder, generation)
    return kept


def _save(path: Path, array: NDArray[Any]) -> None:
    """Do as `np.save`, which does not tell that the disk is full, only how much it has written."""
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(_bytes(array))


def _remove_stale(folder: Path, generation: int) -> None:
    """Delete what a writer that was killed has left: faces may be in it that are gone since."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.stem.rpartition("-")[2] != str(generation):
            path.unlink()


def open_index(store: Store, column: Column, space: Space) -> ExactIndex:
    """Map the arrays into memory, or read the database where they are missing or of the past.

    Args:
        store: The library.
        column: What to search by.
        space: Where its rows live.

    Raises:
        LibraryError: The arrays are damaged, or the database.
    """
    stored = _open(store, column, space)
    if stored is None:
        ids, rows = collect(store, column, space)
        return ExactIndex.build(rows, ids, space)
    return ExactIndex(stored.rows, stored.ids, space, before_first_search=stored.prove)


def load(store: Store, column: Column, space: Space) -> tuple[Ids, Rows] | None:
    """Read the arrays of this generation, proven; None where there are none.

    Raises:
        LibraryError: They are damaged.
    """
    stored = _open(store, column, space)
    if stored is None:
        return None
    stored.prove()
    rows = stored.rows
    return stored.ids, rows.packed() if isinstance(rows, CodeWords) else rows


def collect(store: Store, column: Column, space: Space) -> tuple[Ids, Rows]:
    """Read ids and rows from the database; vectors compared by cosine are scaled to length 1."""
    parts = list(store.rows(column, space))
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, space.width), space.dtype)
    ids, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ids, unit_rows(rows) if space.metric == "cosine" else rows


class _Stored(NamedTuple):
    """Arrays that were opened; `prove` raises LibraryError where they are not what was written."""

    ids: Ids
    rows: Rows | CodeWords
    prove: Callable[[], None]


def _open(store: Store, column: Column, space: Space) -> _Stored | None:
    folder, generation = store.directory / INDEX, store.generation()
    names = [f"{name}-{generation}.npy" for name in (f"{column}-ids", column)]
    try:
        told = _read_sums(folder / f"sums-{generation}.json")
        sums = [str(told[name]["sha256"]) for name in names]
        ids, rows = arrays = [_map(folder / name, told[name]["bytes"]) for name in names]
        prepared = CodeWords(rows, space.dimension) if space.metric == "hamming" else rows
        ExactIndex(prepared, ids, space)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, KeyError, TypeError, RecursionError) as error:
        raise LibraryError(_damaged(store.directory, error)) from error

    def prove() -> None:
        for name, array, wanted in zip(names, arrays, sums, strict=True):
            if _sum(array) != wanted:
                raise LibraryError(
                    _damaged(store.directory, f"{name}: these are not its {column}s")
                )

    return _Stored(ids, prepared, prove)


def _read_sums(path: Path) -> Any:
    refuse_other_than(stat.S_ISREG, path)
    with path.open("rb") as file:
        content = file.read(_MOST_SUMS + 1)
    if len(content) > _MOST_SUMS:
        raise ValueError(f"{path.name} is far too long")
    return json.loads(content)


def _map(path: Path, length: int) -> NDArray[Any]:
    refuse_other_than(stat.S_ISREG, path)
    return map_npy(path, length)


def _sum(array: NDArray[Any]) -> str:
    return hashlib.sha256(_bytes(array)).hexdigest()


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _damaged(directory: Path, why: object) -> str:
    return (
        f"{directory}: its index files are damaged ({why}); "
        f"facehash rebuild --library {directory} makes them again"
    )
