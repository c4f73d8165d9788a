"""The people of a library: look up, list, name, merge and rename them."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from facehash.errors import InputError, did_you_mean
from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.store import Store

MAX_LENGTH = 200


@dataclass(frozen=True)
class Person:
    """A person with a name."""

    name: str
    faces: int
    photos: int
    face_id: int  # the face of the highest quality


def check_name(name: str, where: str = "name") -> str:
    """Return a person's name in Unicode form NFC, without surrounding spaces.

    Raises:
        InputError: Empty, longer than 200 characters, or not printable; starts with `where`.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain:
        raise InputError(f"{where}: a name must not be empty")
    if len(plain) > MAX_LENGTH:
        raise InputError(f"{where}: a name has at most {MAX_LENGTH} characters, got {len(plain)}")
    if not plain.isprintable():
        raise InputError(f"{where}: a name must be printable, got {plain!r}")
    return plain


def find_person(store: Store, name: str) -> int | None:
    """Return the id of the person with this current or earlier name, or None."""
    found = store.database.value(
        "SELECT id FROM people WHERE name = ?1 "
        "UNION ALL SELECT person_id FROM aliases WHERE name = ?1",
        (check_name(name),),
    )
    return None if found is None else int(found)


def get_person(store: Store, name: str) -> int:
    """Return the id of the person with this current or earlier name.

    Raises:
        LibraryError: Nobody has this name; the message has the most similar one.
    """
    found = find_person(store, name)
    if found is None:
        names = [known for (known,) in store.database.rows("SELECT name FROM people")]
        hint = did_you_mean(name, names) if names else " (nobody has a name yet)"
        raise LibraryError(f"{store.directory}: nobody is called {name!r}{hint}")
    return found


def get_or_add_person(store: Store, name: str) -> int:
    """Return the id of the person with this current or earlier name, a new one if there is none."""
    found = find_person(store, name)
    if found is None:
        return store.database.run("INSERT INTO people (name) VALUES (?)", (check_name(name),))
    return found


def list_people(store: Store) -> list[Person]:
    """Return everybody with a name, in the order of the names.

    Raises:
        DamagedLibraryError: A name is not text.
    """
    # With max(), SQLite takes the other columns from the row that has the maximum.
    rows = store.database.rows(
        "SELECT people.name, count(*), count(DISTINCT photo_id), faces.id, max(quality) "
        "FROM people JOIN faces ON faces.person_id = people.id GROUP BY people.id "
        "ORDER BY people.name"
    )
    for name, *_ in rows:
        if not isinstance(name, str):
            raise DamagedLibraryError(f"{store.directory}: a stored name is not text: {name!r:.60}")
    return [Person(*row[:4]) for row in rows]


def name_faces(store: Store, name: str, face_ids: Sequence[int]) -> None:
    """Give faces a name, which no folder or list of names overrides.

    Args:
        store: The library, locked for writing.
        name: A known person, or a new one.
        face_ids: The faces, by the ids that a search prints.

    Raises:
        InputError: A face does not exist, or the name is invalid.
    """
    check_name(name)
    store.faces(face_ids)
    with store.database.transaction():
        person = get_or_add_person(store, name)
        store.database.run_many(
            "UPDATE faces SET person_id = ?, named_by = 'user' WHERE id = ?",
            [(person, int(face_id)) for face_id in face_ids],
        )
        store.prune()


def merge_people(store: Store, names: Sequence[str], into: str) -> int:
    """Merge several people into one; their names become earlier names of that person.

    Args:
        store: The library, locked for writing.
        names: Who is the same person as `into`.
        into: Whose name remains.

    Returns:
        The number of faces with a new name.

    Raises:
        LibraryError: Nobody has one of the names, or a name is that of `into`.
    """
    database = store.database
    with database.transaction():
        remaining = get_person(store, into)
        moved = 0
        for name in names:
            person = get_person(store, name)
            current = _current_name(store, person)
            if person == remaining:
                if check_name(name) != current:
                    continue  # an earlier name: they were merged before
                raise LibraryError(f"{name!r} and {into!r} are the same person already")
            ids = (remaining, person)
            moved += database.run_many("UPDATE faces SET person_id = ? WHERE person_id = ?", [ids])
            database.run("UPDATE aliases SET person_id = ? WHERE person_id = ?", ids)
            database.run("DELETE FROM people WHERE id = ?", (person,))
            database.run("INSERT INTO aliases VALUES (?, ?)", (current, remaining))
    return moved


def rename_person(store: Store, old: str, new: str) -> None:
    """Change a person's name; folders and lists with the old name still mean this person.

    Raises:
        LibraryError: Nobody has the old name, or somebody else has the new one.
        InputError: The new name is not valid.
    """
    database, plain = store.database, check_name(new)
    with database.transaction():
        person = get_person(store, old)
        current = _current_name(store, person)
        if current == plain:
            return
        other = find_person(store, plain)
        if other not in (None, person):
            name = _current_name(store, other)
            if name != plain:
                raise LibraryError(f"{plain!r} is an earlier name of {name!r}")
            raise LibraryError(
                f"there is a {plain!r} already; facehash people merge makes both one person"
            )
        database.run("DELETE FROM aliases WHERE name = ?", (plain,))
        database.run("UPDATE people SET name = ? WHERE id = ?", (plain, person))
        database.run("INSERT INTO aliases VALUES (?, ?)", (current, person))


def _current_name(store: Store, person: int | None) -> object:
    return store.database.value("SELECT name FROM people WHERE id = ?", (person,))
