"""Which index files belong to the database, and what has changed since they were written.

The triggers of the outbox record in which generation each face changed last (table ``changes``),
once there is a start (table ``outbox``). Engines need these changes, and so do the index files:
from them follows what differs between index files of an earlier generation and the faces.

Index files count only if the database has their generation together with the digest of their
manifest. Other files are of a copy of the library, for example of the one that was there before a
backup of the database was put back, and its changes have led elsewhere. The settings have these
pairs, one in general and two while index files are replaced.
"""

import json
from typing import NamedTuple

from facehash.library.storage.database import Database
from facehash.library.storage.settings import INDEX_STATES


class IndexState(NamedTuple):
    """Index files that belong to the database."""

    generation: int  # of the faces in them
    digest: str  # of their manifest


def index_states(database: Database) -> list[IndexState]:
    """Return the index files that belong to the database; damaged entries are omitted."""
    stored = database.value("SELECT value FROM settings WHERE key = ?", (INDEX_STATES,))
    try:
        pairs = [IndexState(int(one), str(other)) for one, other in json.loads(stored or "[]")]
    except (TypeError, ValueError):
        return []
    return pairs


def start_changes(database: Database) -> None:
    """Record changes from now on, within a transaction, unless this is done already."""
    database.run(
        "INSERT INTO outbox SELECT number FROM generation WHERE NOT EXISTS (SELECT 1 FROM outbox)"
    )


def add_index_state(database: Database, state: IndexState) -> None:
    """Note, within a transaction, index files that will replace the others."""
    start_changes(database)
    others = [one for one in index_states(database) if one != state]
    _write(database, [*others, state])


def keep_index_state(database: Database, state: IndexState) -> None:
    """Note, in a transaction, that the other index files are gone, and forget older changes."""
    if index_states(database) == [state]:
        return
    with database.transaction():
        _write(database, [state])
        prune_changes(database)


def drop_index_states(database: Database) -> None:
    """Note, within a transaction, that no index files belong to the database."""
    database.run("DELETE FROM settings WHERE key = ?", (INDEX_STATES,))


def prune_changes(database: Database) -> None:
    """Delete, within a transaction, the changes that neither an engine nor index files need."""
    needed = [generation for (generation,) in database.rows("SELECT generation FROM engines")]
    needed += [one.generation for one in index_states(database)]
    if not needed:
        database.run("DELETE FROM outbox")
        database.run("DELETE FROM changes")
    elif None not in needed:  # an engine that was never filled needs all
        database.run("DELETE FROM changes WHERE generation <= ?", (min(needed),))
        database.run("UPDATE outbox SET start = max(start, ?)", (min(needed),))


def _write(database: Database, states: list[IndexState]) -> None:
    database.run(
        "INSERT OR REPLACE INTO settings VALUES (?, ?)", (INDEX_STATES, json.dumps(states))
    )
