"""The files of an index: segments, which never grow, and the manifest that lists them.

``index/manifest.json`` has a generation of the database and, per column (``embedding``, ``code``),
segments. A segment is two arrays, ``COLUMN-GENERATION-DIGEST.npy`` with the rows and
``COLUMN-ids-GENERATION-DIGEST.npy`` with the ids of their faces, increasing. Codes are stored as
64-bit words (see `facehash.hamming.words`). The manifest also lists the rows of a segment that no
longer count; they are blank.

Opening checks names, headers and lengths only, so that it takes the same time for any number of
faces.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.errors import in_one_line
from facehash.hamming.words import CodeWords
from facehash.index.parts import Part, check_part
from facehash.library.storage.folder import check_file, private_atomic_write
from facehash.library.storage.index_states import IndexState
from facehash.library.storage.store import Column
from facehash.vectors import Ids, Space

MANIFEST = "manifest.json"
_SCHEMA = 1
_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}")


@dataclass(frozen=True)
class Segment:
    """Rows of a column in files.

    Attributes:
        name: What the names of its files have in common.
        removed: Positions of rows that do not count, increasing.
    """

    name: str
    removed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The segments of an index.

    Attributes:
        generation: Of the database, as it is in the segments.
        columns: The space of each column, and its segments.
    """

    generation: int
    columns: Mapping[Column, tuple[Space, tuple[Segment, ...]]]

    @property
    def state(self) -> IndexState:
        """What the database stores of it."""
        digest = hashlib.blake2b(self.encoded(), digest_size=16)
        return IndexState(self.generation, digest.hexdigest())

    def encoded(self) -> bytes:
        """Return the content of the file."""
        columns = {
            column: {
                "metric": space.metric,
                "dimension": space.dimension,
                "segments": [vars(segment) for segment in segments],
            }
            for column, (space, segments) in self.columns.items()
        }
        content = {"schema": _SCHEMA, "generation": self.generation, "columns": columns}
        return json.dumps(content, indent=1).encode() + b"\n"

    def files(self) -> set[str]:
        """Return the names of the files of all segments."""
        return {
            name
            for column, (_, segments) in self.columns.items()
            for segment in segments
            for name in _file_names(column, segment.name)
        }


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest, or return None if there is none.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    path = folder / MANIFEST
    check_file(path)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{MANIFEST}: not JSON") from error
    try:
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']!r:.20}")
        columns = {
            column: (
                Space(part["metric"], int(part["dimension"])),
                tuple(_segment(one) for one in part["segments"]),
            )
            for column, part in content["columns"].items()
        }
        return Manifest(int(content["generation"]), columns)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{MANIFEST}: {type(error).__name__}: {error!s:.60}") from error


def _segment(value: Any) -> Segment:
    segment = Segment(value["name"], tuple(value["removed"]))
    # A name must not lead out of the folder.
    if not _NAME.fullmatch(segment.name):
        raise ValueError(f"name {segment.name!r:.40}")
    if any(not isinstance(one, int) for one in segment.removed):
        raise ValueError("a removed row is not a number")
    return segment


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, atomically."""
    with private_atomic_write(folder / MANIFEST) as temporary:
        temporary.write_bytes(manifest.encoded())


def write_segment(folder: Path, column: Column, generation: int, part: Part) -> Segment:
    """Write the files of a segment; none of its rows may be removed.

    Args:
        folder: The folder of index files.
        column: Whose rows they are.
        generation: The generation of the database.
        part: Prepared rows, as `facehash.index.exact.ExactIndex` takes them.

    Raises:
        OSError: The disk is full, or not writable.
    """
    arrays = (part.ids, _stored(part))
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(_bytes(array))
    name = f"{generation}-{digest.hexdigest()}"
    for file_name, array in zip(_file_names(column, name), arrays, strict=True):
        with private_atomic_write(folder / file_name) as temporary:
            _save(temporary, array)
    return Segment(name)


def map_segment(folder: Path, column: Column, segment: Segment, space: Space) -> Part:
    """Map the files of a segment into memory.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged.
        OSError: A file cannot be read.
    """
    return map_part(folder, _file_names(column, segment.name), space, segment.removed)


def map_part(
    folder: Path, names: tuple[str, str], space: Space, removed: Collection[int] = ()
) -> Part:
    """Map a file of ids and one of rows into memory; raises like `map_segment`."""
    ids, rows = (_map(folder / name) for name in names)
    prepared = CodeWords(rows, space.dimension) if space.metric == "hamming" else rows
    part = Part(prepared, ids, np.array(removed, np.int64))
    check_part(part, space)
    positions = part.removed
    if len(positions) and (
        (np.diff(positions) <= 0).any() or positions[0] < 0 or positions[-1] >= len(ids)
    ):
        raise ValueError(f"{names[1]}: there are no such rows to remove")
    return part


def is_blank(part: Part) -> bool:
    """Return whether the rows that do not count, of vectors, are blank."""
    return not len(part.removed) or bool(np.isnan(_stored(part)[part.removed]).all())


def blank(folder: Path, column: Column, segment: Segment, part: Part) -> None:
    """Overwrite the vectors that do not count.

    They become NaN, which is never among the nearest. A search that has mapped the file earlier
    does not find them any more either.

    Args:
        folder: The folder of index files.
        column: Whose rows they are.
        segment: The segment.
        part: Its rows, with those that do not count.
    """
    rows = _stored(part)
    if is_blank(part):
        return
    path = folder / _file_names(column, segment.name)[1]
    offset = path.stat().st_size - rows.nbytes  # the rows are the end of the file
    nothing = np.full(rows.shape[1], np.nan, rows.dtype).tobytes()
    with path.open("r+b") as file:
        for position in segment.removed:
            file.seek(offset + position * len(nothing))
            file.write(nothing)


def remove_stale(folder: Path, manifest: Manifest) -> None:
    """Remove other files, left by killed writers: they may contain faces that were forgotten."""
    current = {MANIFEST, *manifest.files()}
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in current:
            path.unlink()


def empty_part(space: Space) -> Part:
    """Return a part without rows."""
    return prepared_part(np.zeros(0, np.int64), np.zeros((0, space.width), space.dtype), space)


def prepared_part(ids: Ids, rows: NDArray[Any], space: Space) -> Part:
    """Return rows as a part; vectors that are compared by cosine have length 1 or 0 already."""
    if space.metric == "hamming":
        return Part(CodeWords.of(rows, space.dimension), ids)
    return Part(rows, ids)


def merge_parts(parts: Collection[Part], space: Space) -> Part:
    """Copy the rows of several parts that count into one, sorted by id."""
    kept = [np.delete(np.arange(len(part.ids)), part.removed) for part in parts]
    ids = np.concatenate(
        [part.ids[at] for part, at in zip(parts, kept, strict=True)] or [np.zeros(0, np.int64)]
    )
    order = None if (np.diff(ids) > 0).all() else np.argsort(ids)
    ids = ids if order is None else ids[order]
    if space.metric == "hamming":
        empty = _stored(empty_part(space))
        words = [_stored(part)[:, at] for part, at in zip(parts, kept, strict=True)]
        joined = np.concatenate([empty, *words], axis=1)  # (words, n)
        joined = joined if order is None else joined[:, order]
        return Part(CodeWords(np.ascontiguousarray(joined), space.dimension), ids)
    rows = np.empty((len(ids), space.dimension), space.dtype)
    end = 0
    for part, at in zip(parts, kept, strict=True):
        start, end = end, end + len(at)
        # Without "clip", NumPy copies once more.
        np.take(_stored(part), at, axis=0, out=rows[start:end], mode="clip")
    return Part(rows if order is None else rows[order], ids)


def _stored(part: Part) -> NDArray[Any]:
    return part.rows.words if isinstance(part.rows, CodeWords) else part.rows


def _file_names(column: Column, name: str) -> tuple[str, str]:
    """Return the names of the files of the ids and of the rows."""
    return f"{column}-ids-{name}.npy", f"{column}-{name}.npy"


def _map(path: Path) -> NDArray[Any]:
    """Map an .npy file of exactly the announced length into memory."""
    check_file(path)
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    # A damaged header makes NumPy's parser raise errors of many kinds.
    except Exception as error:
        reason = in_one_line(error)
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
        file.write(_bytes(array))


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
