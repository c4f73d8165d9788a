"""Index files: arrays computed from the database, which a search maps into memory.

They are a base and what was added later, in segments (see `facehash.library.derived.segments`).
To bring them up to date, only the faces that have changed are read: the triggers of the database
record them (see `facehash.library.storage.index_states`). A search does the same in memory if the
files are older than the database. All of it can be written again at any time.

Segments are merged when they have grown together to a certain size, so that there are few and each
row is copied a few times in all. The rows of faces that are gone are made blank at once. Forgetting
writes their segments again.

`facehash.library.upkeep.check` compares the content with the database.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.index.parts import Part
from facehash.library.derived.opened import (
    damaged,
    index_folder,
    map_all,
    map_version_0,
    mark_changed,
    open_parts,
    read_all,
    read_changed,
    read_changed_ids,
    valid_manifest,
)
from facehash.library.derived.segments import (
    Manifest,
    Segment,
    blank,
    is_blank,
    merge_parts,
    remove_stale,
    write_manifest,
    write_segment,
)
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import make_private_folder
from facehash.library.storage.index_states import add_index_state, keep_index_state
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column, Store
from facehash.vectors import Space

# A segment is merged with the one before it unless that has more than 4 times as many rows. So a
# row is copied a few times until it is in a segment of the size of the library, and 10^6 faces with
# any history are in at most 6 segments.
_RATIO = 4
_SMALL = 4096  # segments with fewer rows count as if they had so many
# Of vectors. Smaller segments, and those with many removed rows, are written again without them.
_REWRITE_ROWS = 1 << 15
_REMOVED_SHARE = 8


def spaces(settings: Settings, fitted: bool) -> dict[Column, Space]:
    """Return what a library can be searched by: its vectors, its codes (if `fitted`), or both."""
    if settings.metric == "hamming":
        return {"code": settings.space}
    found: dict[Column, Space] = {"embedding": settings.space}
    if settings.code_space and fitted:
        found["code"] = settings.code_space
    return found


def refresh_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Bring the index files up to date, and remove all others.

    Only faces that have changed are read from the database, unless the files are missing or
    damaged, belong to another library, or most faces have changed.

    Args:
        store: The library, locked for writing.
        wanted: What it can be searched by, see `spaces`.
    """
    _update(store, wanted, erase=False)


def erase_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Do as `refresh_index`, and write each segment again that has rows of faces that are gone."""
    _update(store, wanted, erase=True)


def write_index(store: Store, wanted: dict[Column, Space]) -> None:
    """Write the index files from the database, in one segment, and remove all others."""
    with store.database.snapshot():
        generation = store.generation()
        entries = {
            column: [_Entry(read_all(store, column, space))] for column, space in wanted.items()
        }
    _publish(store, generation, wanted, entries)


def open_index(store: Store, column: Column, space: Space) -> ExactIndex:
    """Map the index files into memory, and read from the database what is missing there.

    Raises:
        LibraryError: The index files or the database are damaged.
    """
    return ExactIndex.of_parts(open_parts(store, column, space).parts, space)


def open_asymmetric_index(store: Store, space: Space) -> AsymmetricIndex:
    """Do as `open_index` for a search of the codes by projections."""
    return AsymmetricIndex.of_parts(open_parts(store, "code", space).parts, space)


def verify(store: Store, column: Column, space: Space) -> bool | None:
    """Compare the index files with the database.

    Args:
        store: The library, in a snapshot or locked for writing.
        column: Which rows.
        space: Their space.

    Returns:
        Whether they are equal, and rows that do not count are blank; or None if the files are
        missing or stale.

    Raises:
        LibraryError: The index files or the database are damaged.
    """
    manifest, generation = valid_manifest(store), store.generation()
    parts: tuple[Part, ...] | None = None
    if manifest is None:
        old = map_version_0(store, column, space, generation)
        parts = None if old is None else (old,)
    elif manifest.generation == generation:
        parts = map_all(store, manifest, column, space)
    if parts is None:
        return None
    expected, found = read_all(store, column, space), merge_parts(parts, space)
    same = (space.metric == "hamming" or all(map(is_blank, parts))) and np.array_equal(
        expected.ids, found.ids
    )
    if same and space.metric == "hamming":
        return np.array_equal(expected.rows.words, found.rows.words)  # type: ignore[union-attr]
    return same and np.array_equal(expected.rows, found.rows)  # type: ignore[arg-type]


@dataclass
class _Entry:
    """Rows that become a segment, or a segment as it is."""

    part: Part
    segment: Segment | None = None  # None: to be written


def _update(store: Store, wanted: dict[Column, Space], erase: bool) -> None:
    manifest, mapped = None, {}
    try:
        manifest = valid_manifest(store)
        if manifest is not None:
            mapped = {
                column: map_all(store, manifest, column, space) for column, space in wanted.items()
            }
    except LibraryError:
        manifest = None
    if manifest is None:
        write_index(store, wanted)
        return
    entries: dict[Column, list[_Entry]] = {}
    with store.database.snapshot():
        generation = store.generation()
        changed = read_changed_ids(store, manifest.generation)
        for column, space in wanted.items():
            parts = mapped[column]
            if parts is None or 2 * len(changed) > sum(map(len, parts)) + _SMALL:
                entries[column] = [_Entry(read_all(store, column, space))]
                continue
            segments = manifest.columns[column][1]
            entries[column] = [
                _Entry(mark_changed(part, changed), segment)
                for part, segment in zip(parts, segments, strict=True)
            ]
            new = read_changed(store, column, space, manifest.generation)
            if len(new):
                entries[column].append(_Entry(new))
    for column, space in wanted.items():
        entries[column] = list(_merged(entries[column], space, erase))
    _publish(store, generation, wanted, entries, manifest)


def _merged(entries: Sequence[_Entry], space: Space, erase: bool) -> Iterator[_Entry]:
    """Merge small segments, and drop rows that do not count where the segment is written again."""
    groups: list[list[_Entry]] = []
    for entry in entries:
        if not len(entry.part):
            continue
        groups.append([entry])
        while len(groups) > 1 and _size(groups[-2]) <= _RATIO * _size(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    for group in groups:
        [first, *others] = group
        if others or _is_rewritten(first, space, erase):
            yield _Entry(merge_parts([one.part for one in group], space))
        else:
            yield first


def _size(group: Sequence[_Entry]) -> int:
    return max(_SMALL, sum(len(entry.part) for entry in group))


def _is_rewritten(entry: _Entry, space: Space, erase: bool) -> bool:
    removed, rows = len(entry.part.removed), len(entry.part.ids)
    if entry.segment is None or not removed:
        return False
    # A blank code would be near to some queries, and segments of codes are small.
    of_codes = space.metric == "hamming"
    return erase or of_codes or rows < _REWRITE_ROWS or _REMOVED_SHARE * removed > rows


def _publish(
    store: Store,
    generation: int,
    wanted: dict[Column, Space],
    entries: dict[Column, list[_Entry]],
    earlier: Manifest | None = None,
) -> None:
    """Write new segments and the manifest, and then remove what it replaces."""
    folder = index_folder(store)
    make_private_folder(folder)
    columns = {}
    for column, space in wanted.items():
        segments: list[Segment] = []
        for entry in entries[column]:
            if entry.segment is None:
                entry.segment = write_segment(folder, column, generation, entry.part)
            removed = tuple(entry.part.removed.tolist())
            segments.append(Segment(entry.segment.name, removed))
        columns[column] = (space, tuple(segments))
    manifest = Manifest(generation, columns)
    if manifest != earlier:
        # At any moment the manifest is one that the database knows, the old one or the new one.
        with store.database.transaction():
            add_index_state(store.database, manifest.state)
        write_manifest(folder, manifest)
    try:
        for column, (space, written) in manifest.columns.items():
            if space.metric != "hamming":
                for entry, segment in zip(entries[column], written, strict=True):
                    blank(folder, column, segment, entry.part)
    except FileNotFoundError as error:
        raise damaged(store, error) from error
    keep_index_state(store.database, manifest.state)
    remove_stale(folder, manifest)
