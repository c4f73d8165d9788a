"""The servers that have an index of a library, and the generations that were sent to them.

The database stores the address of a server without its password. A library may come from somebody
else, so every stored value is checked.

An engine is up to date if its generation is the library's. Only generations in the table ``pushes``
count: any other one was made by a copy of this library, for example by the library that was there
before a backup was restored, and such an index is built again.
"""

import re
import sqlite3
from dataclasses import dataclass

from facehash.errors import InputError, did_you_mean
from facehash.index.engines.address import Address
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.library.storage.index_states import prune_changes, start_changes
from facehash.library.storage.store import Column, Store
from facehash.printing import quoted

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Engine:
    """A server that has an index of a library.

    Attributes:
        name: Its name in this library.
        url: Its address, without a password.
        by: Which rows it has: ``"embedding"`` or ``"code"``.
        pending_erase: Number of requests to forget that are not yet erased there.
        generation: The last generation known of its index, or None if it was never filled.
    """

    name: str
    url: str
    by: Column
    pending_erase: int = 0
    generation: int | None = None

    @property
    def address(self) -> Address:
        """The address, with the password that the environment has for it."""
        return Address.parse(self.url).with_password(self.name)


def library_id(database: Database) -> str:
    """Return the id of a library, 32 hexadecimal digits; a copy of the library has the same.

    Raises:
        DamagedLibraryError: There is none.
    """
    found = database.rows("SELECT library FROM identity")
    value = found[0][0] if len(found) == 1 else None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _damaged(database, f"its id is {value!r:.60}")
    return value


def check_name(name: str) -> str:
    """Return the name of an engine unchanged.

    Raises:
        InputError: Not a lower-case word.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r}: an engine's name has 1 to 32 lower-case letters, digits, - and _"
        )
    return name


def list_engines(database: Database) -> list[Engine]:
    """Return the engines of a library by name.

    Raises:
        DamagedLibraryError: A stored value is invalid.
    """
    rows = database.rows(
        "SELECT name, url, by, pending_erase, generation FROM engines ORDER BY name"
    )
    found = []
    for name, url, by, pending, generation in rows:
        try:
            valid = (
                isinstance(pending, int)
                and pending >= 0
                and (generation is None or isinstance(generation, int))
                and by in ("embedding", "code")
                and Address.parse(url).password is None
                and check_name(name) == name
            )
        except (InputError, TypeError, AttributeError, ValueError):
            valid = False
        if not valid:
            raise _damaged(database, f"the record of its engine {name!r:.60} is invalid")
        found.append(Engine(name, url, by, pending, generation))
    return found


def get_engine(store: Store, name: str) -> Engine:
    """Return the engine of a library with this name.

    Raises:
        LibraryError: There is none; the message suggests the nearest one.
    """
    engines = {engine.name: engine for engine in list_engines(store.database)}
    if name not in engines:
        known = did_you_mean(name, engines)
        if not engines:
            known = f" (to add one: facehash engine add URL --library {quoted(store.directory)})"
        raise LibraryError(f"{store.directory}: has no engine {name!r}{known}")
    return engines[name]


def register(store: Store, engine: Engine) -> None:
    """Store a new engine; the first one starts the outbox.

    Raises:
        LibraryError: There is an engine with this name.
    """
    database = store.database
    try:
        with database.transaction():
            database.run(
                "INSERT INTO engines (name, url, by) VALUES (?, ?, ?)",
                (engine.name, engine.url, engine.by),
            )
            start_changes(database)
    except sqlite3.IntegrityError as error:
        raise LibraryError(
            f"{store.directory}: already has an engine {engine.name!r}; choose another --name"
        ) from error


def unregister(store: Store, name: str) -> None:
    """Delete an engine, and what only this engine needed of the outbox."""
    database = store.database
    with database.transaction():
        database.run("DELETE FROM engines WHERE name = ?", (name,))
        prune_changes(database)


def request_erase(database: Database, name: str | None = None) -> None:
    """Note for an engine, by default for each, that something must be erased there."""
    database.run(
        "UPDATE engines SET pending_erase = pending_erase + 1 WHERE name = coalesce(?, name)",
        (name,),
    )


def erased(database: Database, engine: Engine) -> None:
    """Note that everything was erased that was pending when `engine` was read."""
    database.run(
        "UPDATE engines SET pending_erase = 0 WHERE name = ? AND pending_erase = ?",
        (engine.name, engine.pending_erase),
    )


def begin_push(database: Database, name: str, generation: int) -> int:
    """Note that an engine may get this generation; return the id of the note.

    Raises:
        LibraryError: The engine was removed from the library meanwhile.
    """
    try:
        return database.run(
            "INSERT INTO pushes (engine, generation) VALUES (?, ?)", (name, generation)
        )
    except sqlite3.IntegrityError as error:
        raise LibraryError(f"{database.path.parent}: has no engine {name!r} any more") from error


def withdraw_push(database: Database, note: int) -> None:
    """Delete a note: the engine has surely not got this generation from its writer."""
    database.run("DELETE FROM pushes WHERE id = ?", (note,))


def note_generation(database: Database, name: str, generation: int | None) -> None:
    """Note the generation of an engine; None if its index must be filled from the start.

    Generations never decrease except in an index that is filled from the start, so notes about
    lower ones are deleted, and so is what every engine has of the outbox.
    """
    with database.transaction():
        database.run("UPDATE engines SET generation = ? WHERE name = ?", (generation, name))
        database.run(
            "DELETE FROM pushes WHERE engine = ? AND generation < ?", (name, generation or 0)
        )
        prune_changes(database)


def is_own(database: Database, name: str, generation: int) -> bool:
    """Return whether this library has sent this generation to an engine."""
    query = "SELECT 1 FROM pushes WHERE engine = ? AND generation = ?"
    return bool(database.value(query, (name, generation)))


def _damaged(database: Database, what: str) -> DamagedLibraryError:
    directory = database.path.parent
    return DamagedLibraryError(f"{directory}: damaged: {what}; restore a backup of the library")
