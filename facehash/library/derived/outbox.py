"""What has changed in a library since a generation, for its index files and its engines."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from facehash.index.engines.base import Added, Removed
from facehash.library.storage.database import DamagedLibraryError, Row
from facehash.library.storage.index_states import drop_index_states, index_states
from facehash.library.storage.records import stored_rows
from facehash.library.storage.store import Column, Store
from facehash.printing import quoted
from facehash.vectors import Ids, Space

CHUNK = 10_000
"""Faces that are sent to an engine at a time."""


class Chunk(NamedTuple):
    """Changes that lead an engine from one generation to another."""

    to: int  # the generation afterwards
    added: Added
    removed: Removed


def start(store: Store) -> int | None:
    """Return the generation after which the outbox has all changes, or None if it is not used.

    Raises:
        DamagedLibraryError: The stored value is invalid.
    """
    found = store.database.rows("SELECT start FROM outbox")
    if not found:
        return None
    if len(found) > 1 or not isinstance(found[0][0], int):
        raise _damaged(store)
    return int(found[0][0])


def count_after(store: Store, generation: int) -> int:
    """Return the number of faces that have changed after a generation."""
    query = "SELECT count(*) FROM changes WHERE generation > ?"
    return int(store.database.value(query, (generation,)))


def count_outdated(store: Store, generation: int) -> int:
    """Return how many faces an index of this generation has that are now gone or changed."""
    query = "SELECT count(*) FROM changes WHERE generation > ?1 AND coalesce(added, 0) <= ?1"
    return int(store.database.value(query, (generation,)))


def changed_after(store: Store, generation: int) -> Ids:
    """Return the ids of the faces that have changed after a generation, int64 (n,).

    Faces that are gone are among them.
    """
    query = "SELECT face_id FROM changes WHERE generation > ? ORDER BY face_id"
    return np.array([face for (face,) in store.database.rows(query, (generation,))], np.int64)


def next_chunk(
    store: Store, base: int, column: Column, space: Space, most: int = CHUNK
) -> Chunk | None:
    """Return the oldest changes after a generation, or None if there are none.

    The outbox has the last generation of each face only. So if a chunk ends at generation g, every
    face with a generation up to g is in the chunk (or was in an earlier one) as it is now. A face
    that has changed before g and again after g is not: it comes in a later chunk, and until then a
    search knows that the engine has an outdated row of it, because its generation is above g.

    Args:
        store: The library.
        base: The generation of the engine, not below the start of the outbox.
        column: Which rows the engine has.
        space: Their space.
        most: Largest number of faces in a chunk.

    Raises:
        DamagedLibraryError: A row or a generation is damaged.
    """
    query = (
        f"SELECT face_id, changes.generation, {column} FROM changes "  # noqa: S608
        "LEFT JOIN faces ON id = face_id WHERE changes.generation > ? "
        "ORDER BY changes.generation LIMIT ?"
    )
    with store.database.snapshot():
        rows = store.database.rows(query, (base, most))
        to = store.generation()
    if len(rows) == most:
        to = _number(store, rows[-1][1])
    if to <= base:
        return None
    there = [row for row in rows if row[2] is not None]
    gone = [row for row in rows if row[2] is None]
    ids, generations = (np.array([row[i] for row in gone], np.int64) for i in (0, 1))
    return Chunk(to, _added(store, there, column, space), Removed(ids, generations))


def all_faces(store: Store, column: Column, space: Space) -> Iterator[Added]:
    """Yield all faces by id, at most `CHUNK` at a time, each part from one moment.

    Faces that change meanwhile are there in their old or their new state, or not at all. Their
    generation is above the one at the beginning, so `next_chunk` has them too.

    Raises:
        DamagedLibraryError: A row or a generation is damaged.
    """
    query = (
        f"SELECT id, coalesce(changes.generation, ?), {column} FROM faces "  # noqa: S608
        f"LEFT JOIN changes ON face_id = id WHERE id > ? AND {column} IS NOT NULL "
        "ORDER BY id LIMIT ?"
    )
    last, base = 0, start(store) or 0
    while rows := store.database.rows(query, (base, last, CHUNK)):
        yield _added(store, rows, column, space)
        last = rows[-1][0]


def check(store: Store) -> None:
    """Check every entry of the outbox.

    Raises:
        DamagedLibraryError: An entry is invalid, or there are entries that nothing needs.
    """
    first, generation = start(store), store.generation()
    valid = "typeof(generation) = 'integer' AND generation <= ? AND typeof(added) IN ('integer', "
    wrong = store.database.value(
        f"SELECT count(*) FROM changes WHERE NOT ({valid}'null'))",  # noqa: S608
        (generation,),
    )
    needed = store.database.value("SELECT count(*) FROM engines") or index_states(store.database)
    if wrong or (first is None) != (not needed) or (first is not None and first > generation):
        raise _damaged(store)


def restart(store: Store) -> None:
    """Empty the outbox and start it at the current generation.

    Each engine is then built again, and the index files are written again.
    """
    database = store.database
    with database.transaction():
        database.run("DELETE FROM changes")
        database.run("DELETE FROM outbox")
        drop_index_states(database)
        # One generation later: no engine counts as up to date.
        database.run(
            "INSERT INTO outbox SELECT number + 1 FROM generation "
            "WHERE EXISTS (SELECT 1 FROM engines)"
        )
        database.run("UPDATE generation SET number = number + 1")


def _added(store: Store, rows: Sequence[Row], column: Column, space: Space) -> Added:
    """Convert tuples of id, generation and row."""
    pairs = [(face, row) for face, _, row in rows]
    ids, found = stored_rows(pairs, column, space, store.directory)
    generations = [_number(store, generation) for _, generation, _ in rows]
    return Added(ids, found, np.array(generations, np.int64))


def _number(store: Store, value: object) -> int:
    if not isinstance(value, int):
        raise _damaged(store)
    return value


def _damaged(store: Store) -> DamagedLibraryError:
    return DamagedLibraryError(
        f"{store.directory}: its record of changes is damaged; to repair it: "
        f"facehash rebuild --library {quoted(store.directory)}"
    )
