"""The people of a library: look them up, and list them.

A person has one name. Earlier names, of a person who was renamed or merged, steer folders and lists
of names only; a command means the person who has the name now.
"""

import unicodedata
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
    """Return the id of the person who has this name now, or None."""
    found = store.database.value("SELECT id FROM people WHERE name = ?", (check_name(name),))
    return None if found is None else int(found)


def find_by_earlier_name(store: Store, name: str) -> int | None:
    """Return the id of the person who had this name earlier, or None."""
    query = "SELECT person_id FROM aliases WHERE name = ?"
    found = store.database.value(query, (check_name(name),))
    return None if found is None else int(found)


def get_person(store: Store, name: str) -> int:
    """Return the id of the person who has this name now.

    Raises:
        LibraryError: Nobody has this name; the message has the most similar one, or who had it.
    """
    found = find_person(store, name)
    if found is None:
        earlier = find_by_earlier_name(store, name)
        if earlier is not None:
            owner = current_name(store, earlier)
            raise LibraryError(f"{check_name(name)!r} is an earlier name of {owner!r}")
        names = [known for (known,) in store.database.rows("SELECT name FROM people")]
        hint = did_you_mean(name, names) if names else " (nobody has a name yet)"
        raise LibraryError(f"{store.directory}: nobody is called {name!r}{hint}")
    return found


def get_or_import_person(store: Store, name: str) -> int:
    """Return the person that a folder or a list means: by the current or an earlier name, or new.

    Must run in a transaction.
    """
    found = find_person(store, name)
    if found is None:
        found = find_by_earlier_name(store, name)
    if found is None:
        return store.database.run("INSERT INTO people (name) VALUES (?)", (check_name(name),))
    return found


def current_name(store: Store, person: int | None) -> str | None:
    """Return the name of a person, or None if there is no such person."""
    name = store.database.value("SELECT name FROM people WHERE id = ?", (person,))
    return name if isinstance(name, str) else None


def join_people(store: Store, person: int, remaining: int) -> None:
    """Make two people one: the names, parked names, and what faces are not, in a transaction.

    The name of the first person is nobody's afterwards.
    """
    run, ids = store.database.run, (remaining, person)
    run("UPDATE faces SET person_id = ? WHERE person_id = ?", ids)
    run("UPDATE parked SET person_id = ? WHERE person_id = ?", ids)
    run("UPDATE OR IGNORE rejections SET person_id = ? WHERE person_id = ?", ids)
    run("UPDATE aliases SET person_id = ? WHERE person_id = ?", ids)
    run("DELETE FROM people WHERE id = ?", (person,))


def list_people(store: Store) -> list[Person]:
    """Return everybody with a name and a face, in the order of the names.

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


def earlier_names(store: Store) -> dict[str, list[str]]:
    """Return the earlier names of people, by their names."""
    found: dict[str, list[str]] = {}
    query = (
        "SELECT people.name, aliases.name FROM aliases JOIN people ON people.id = person_id "
        "ORDER BY aliases.name"
    )
    for name, earlier in store.database.rows(query):
        found.setdefault(name, []).append(earlier)
    return found
