"""The people of a library: who there is, and giving, joining and changing names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facehash.errors import did_you_mean
from facehash.library.people.names import check_name, person_called
from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.store import Store


@dataclass(frozen=True)
class Person:
    """Somebody with a name.

    Attributes:
        name: The name.
        faces: How many faces bear it.
        photos: On how many photos.
        face_id: The face of them that can be trusted most.
    """

    name: str
    faces: int
    photos: int
    face_id: int


def list_people(store: Store) -> list[Person]:
    """Return everybody with a name, by name.

    Raises:
        DamagedLibraryError: A name is no text.
    """
    # With max(), SQLite takes the other columns from the row that has the maximum.
    rows = store.database.rows(
        "SELECT people.name, count(*), count(DISTINCT photo_id), faces.id, max(quality) "
        "FROM people JOIN faces ON faces.person_id = people.id GROUP BY people.id "
        "ORDER BY people.name"
    )
    for name, *_ in rows:
        if not isinstance(name, str):
            raise DamagedLibraryError(
                f"{store.directory}: a name in it is no text but {name!r:.60}"
            )
    return [Person(*row[:4]) for row in rows]


def name_faces(store: Store, name: str, face_ids: Sequence[int]) -> None:
    """Say who some faces are; no folder or list overrules it.

    Args:
        store: The library, held for writing.
        name: The person; a new one where there is none of that name.
        face_ids: The faces, as a search shows them.

    Raises:
        InputError: No such face, or an impossible name.
    """
    plain = check_name(name)
    store.faces(face_ids)
    with store.database.transaction():
        person = person_called(store, plain)
        store.database.run_many(
            "UPDATE faces SET person_id = ?, named_by = 'user' WHERE id = ?",
            [(person, int(face_id)) for face_id in face_ids],
        )
        store.prune()


def merge_people(store: Store, names: Sequence[str], into: str) -> int:
    """Make several people one; the old names lead to the one from now on.

    Args:
        store: The library, held for writing.
        names: Who is the same person as `into`.
        into: Who remains.

    Returns:
        How many faces have another name than before.

    Raises:
        LibraryError: There is nobody of one of the names, or it is that of `into`.
    """
    with store.database.transaction():
        remaining = person_id(store, into)
        moved = 0
        for name in names:
            person = person_id(store, name)
            old = store.database.value("SELECT name FROM people WHERE id = ?", (person,))
            if person == remaining:
                if check_name(name) != old:
                    continue  # an earlier name: they were merged before
                raise LibraryError(f"{name!r} and {into!r} are one person already")
            moved += store.database.run_many(
                "UPDATE faces SET person_id = ? WHERE person_id = ?", [(remaining, person)]
            )
            store.database.run(
                "UPDATE aliases SET person_id = ? WHERE person_id = ?", (remaining, person)
            )
            store.database.run("DELETE FROM people WHERE id = ?", (person,))
            store.database.run("INSERT INTO aliases VALUES (?, ?)", (old, remaining))
    return moved


def rename_person(store: Store, old: str, new: str) -> None:
    """Change a name; a folder or list that says the old one means the same person still.

    Args:
        store: The library, held for writing.
        old: The name now.
        new: The name from now on.

    Raises:
        LibraryError: There is nobody of the old name, or already somebody of the new one.
        InputError: An impossible name.
    """
    plain = check_name(new)
    with store.database.transaction():
        person = person_id(store, old)
        called = store.database.value("SELECT name FROM people WHERE id = ?", (person,))
        if called == plain:
            return
        database = store.database
        holder = database.value("SELECT id FROM people WHERE name = ?", (plain,))
        if holder is not None:
            raise LibraryError(
                f"there is a {plain!r} already; facehash people merge makes both one person"
            )
        owner = database.value("SELECT person_id FROM aliases WHERE name = ?", (plain,))
        if owner not in (None, person):
            raise LibraryError(f"{plain!r} is an earlier name of somebody else")
        database.run("DELETE FROM aliases WHERE name = ?", (plain,))
        database.run("UPDATE people SET name = ? WHERE id = ?", (plain, person))
        database.run("INSERT INTO aliases VALUES (?, ?)", (called, person))


def person_id(store: Store, name: str) -> int:
    """Return the id of the person of that name, now or before.

    Raises:
        LibraryError: There is nobody of that name; the nearest one is told.
    """
    plain = check_name(name)
    found = store.database.value(
        "SELECT id FROM people WHERE name = ?1 "
        "UNION ALL SELECT person_id FROM aliases WHERE name = ?1",
        (plain,),
    )
    if found is None:
        names = [known for (known,) in store.database.rows("SELECT name FROM people")]
        hint = did_you_mean(plain, names) if names else " (nobody has a name yet)"
        raise LibraryError(f"{store.directory}: knows nobody called {plain!r}{hint}")
    return int(found)
