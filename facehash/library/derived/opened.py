"""What a search has of the index files, and what it reads from the database to complete them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facehash.index.parts import Part
from facehash.library.derived import outbox
from facehash.library.derived.segments import (
    Manifest,
    empty_part,
    map_part,
    map_segment,
    merge_parts,
    prepared_part,
    read_manifest,
)
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import INDEX
from facehash.library.storage.index_states import IndexState, index_states
from facehash.library.storage.records import stored_rows
from facehash.library.storage.store import Column, Store
from facehash.printing import quoted
from facehash.vectors import Ids, Rows, Space, unit_rows


class OldSnapshotError(LibraryError):
    """The index files were replaced after the snapshot was taken."""


@dataclass(frozen=True)
class OpenedParts:
    """All rows of a column.

    Attributes:
        generation: Of the database.
        state: Of the index files that are mapped, or None if all rows come from the database or
            the files are of an earlier version.
        segments: Mapped segments, or all rows from the database.
        recent: Rows that were read from the database because they are not in the segments.
    """

    generation: int
    state: IndexState | None
    segments: tuple[Part, ...]
    recent: Part

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts with rows, at least one part."""
        found = tuple(part for part in (*self.segments, self.recent) if len(part))
        return found or (self.recent,)


def index_folder(store: Store) -> Path:
    """Return the folder of the index files."""
    return store.directory / INDEX


def open_parts(
    store: Store,
    column: Column,
    space: Space,
    earlier: OpenedParts | None = None,
    *,
    retry: bool = False,
) -> OpenedParts:
    """Map the index files into memory, and read from the database what is missing there.

    Without index files, or if they do not belong to the database, all rows are read.

    Args:
        store: The library, in a snapshot unless nobody writes.
        column: Which rows.
        space: Their space.
        earlier: What this function returned before, at an earlier generation of this library; what
            of it is still valid is not read again.
        retry: Raise `OldSnapshotError`, as the caller tries again in a new snapshot.

    Raises:
        LibraryError: The index files or the database are damaged.
        OldSnapshotError: See `retry`.
    """
    generation = store.generation()
    if earlier is not None and earlier.generation == generation:
        return earlier
    manifest = valid_manifest(store, retry=retry)
    if manifest is not None and (earlier is None or earlier.state != manifest.state):
        parts = map_all(store, manifest, column, space)
        if parts is not None:
            earlier = OpenedParts(manifest.generation, manifest.state, parts, empty_part(space))
        elif retry:
            raise OldSnapshotError(f"{store.directory}: its index files have just been replaced")
    if earlier is None:
        of_version_0 = map_version_0(store, column, space, generation)
        if of_version_0 is not None:
            return OpenedParts(generation, None, (of_version_0,), empty_part(space))
    if earlier is None or not _has_changes_since(store, earlier.generation):
        return OpenedParts(generation, None, (read_all(store, column, space),), empty_part(space))
    changed = read_changed_ids(store, earlier.generation)
    recent = mark_changed(earlier.recent, changed)
    new = read_changed(store, column, space, earlier.generation)
    if len(new) or len(recent.removed):
        recent = merge_parts([recent, new], space)
    segments = tuple(mark_changed(part, changed) for part in earlier.segments)
    return replace(earlier, generation=generation, segments=segments, recent=recent)


def valid_manifest(store: Store, *, retry: bool = False) -> Manifest | None:
    """Return the manifest if it belongs to the database and the outbox has all changes since.

    Raises:
        LibraryError: It is damaged.
        OldSnapshotError: With `retry`, if the database does not know it (yet).
    """
    try:
        manifest = read_manifest(index_folder(store))
    except (OSError, ValueError) as error:
        raise damaged(store, error) from error
    if manifest is None:
        return None
    if manifest.state not in index_states(store.database):
        if retry:
            raise OldSnapshotError(f"{store.directory}: its index files have just been replaced")
        return None
    return manifest if _has_changes_since(store, manifest.generation) else None


def _has_changes_since(store: Store, generation: int) -> bool:
    """Return whether what has changed after a generation is known."""
    now = store.generation()
    if generation == now:
        return True
    start = outbox.start(store)
    return start is not None and start <= generation <= now


def map_all(
    store: Store, manifest: Manifest, column: Column, space: Space
) -> tuple[Part, ...] | None:
    """Map the segments of a column, or return None if they are missing or of another space.

    Raises:
        LibraryError: A file is damaged.
    """
    stored_space, segments = manifest.columns.get(column, (None, ()))
    if stored_space != space:
        return None
    folder = index_folder(store)
    try:
        return tuple(map_segment(folder, column, segment, space) for segment in segments)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise damaged(store, error) from error


def map_version_0(store: Store, column: Column, space: Space, generation: int) -> Part | None:
    """Map index files of before there was a manifest, if they are up to date."""
    names = (f"{column}-ids-{generation}.npy", f"{column}-{generation}.npy")
    try:
        return map_part(index_folder(store), names, space)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise damaged(store, error) from error


def damaged(store: Store, error: Exception) -> LibraryError:
    """Return the error that a user sees."""
    return LibraryError(
        f"{store.directory}: its index files are damaged ({error}); to write them again: "
        f"facehash rebuild --library {quoted(store.directory)}"
    )


def read_all(store: Store, column: Column, space: Space) -> Part:
    """Read all rows of the library, in a snapshot."""
    most = int(store.database.value("SELECT count(*) FROM faces"))
    ids, rows = np.empty(most, np.int64), np.empty((most, space.width), space.dtype)
    end = 0
    for some, found in store.rows(column, space):
        start, end = end, end + len(some)
        ids[start:end], rows[start:end] = some, _scaled(found, space)
    return prepared_part(ids[:end], rows[:end], space)


def read_changed_ids(store: Store, generation: int) -> Ids:
    """Return the faces that have changed after a generation, int64 (n,), increasing."""
    return outbox.changed_after(store, generation)


def read_changed(store: Store, column: Column, space: Space, generation: int) -> Part:
    """Read the rows of the faces that were added or changed after a generation, by id."""
    query = (
        f"SELECT face_id, {column} FROM changes JOIN faces ON id = face_id "  # noqa: S608
        f"WHERE changes.generation > ? AND {column} IS NOT NULL ORDER BY face_id"
    )
    rows = store.database.rows(query, (generation,))
    ids, found = stored_rows(rows, column, space, store.directory)
    return prepared_part(ids, _scaled(found, space), space)


def mark_changed(part: Part, changed: Ids) -> Part:
    """Return a part without the rows of some faces, whose ids increase."""
    if not len(changed) or not len(part.ids):
        return part
    place = np.minimum(np.searchsorted(part.ids, changed), len(part.ids) - 1)
    here = place[part.ids[place] == changed]
    if not len(here):
        return part
    return replace(part, removed=np.union1d(part.removed, here) if len(part.removed) else here)


def _scaled(rows: Rows, space: Space) -> Rows:
    return unit_rows(rows) if space.metric == "cosine" else rows
