"""What a person says about names: name, unname, split, merge and rename.

Every function is one statement of the journal, which `facehash.library.people.journal.undo` takes
back.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from facehash.library.people.changes import as_key
from facehash.library.people.former import unpark
from facehash.library.people.ignore import drop_ignored
from facehash.library.people.journal import statement
from facehash.library.people.people import (
    check_name,
    current_name,
    find_by_earlier_name,
    find_person,
    get_person,
    join_people,
)
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store


class Changed(NamedTuple):
    """What a statement changed."""

    faces: int
    parked: int  # names of photos that are gone or have changed


def name_faces(store: Store, name: str, face_ids: Sequence[int]) -> str | None:
    """Give faces a name, which no folder or list of names overrides.

    If the name is an earlier one of somebody, it is that of a new person from now on, for folders
    and lists too.

    Args:
        store: The library, locked for writing.
        name: The name of a person, or a new one.
        face_ids: The faces, by the ids that a search prints.

    Returns:
        Whose earlier name it was, or None.

    Raises:
        InputError: A face does not exist, or the name is invalid.

    Example:
        >>> name_faces(store, "Aunt May", [17, 23])  # doctest: +SKIP
    """
    check_name(name)
    store.faces(face_ids)
    with statement(store, "name"):
        return assign_name(store, name, face_ids)


def split_person(store: Store, name: str, face_ids: Sequence[int], into: str) -> str | None:
    """Give some faces of a person to another person, by default a new one.

    Args:
        store: The library, locked for writing.
        name: Who has the faces.
        face_ids: The faces, by the ids that a search prints.
        into: Who gets them.

    Returns:
        Whose earlier name `into` was, or None.

    Raises:
        LibraryError: Nobody has the name, or a face is not of this person.
        InputError: A face does not exist, or a name is invalid.
    """
    person, plain = get_person(store, name), check_name(into)
    current = current_name(store, person)
    if plain == current:
        raise LibraryError(f"{plain!r} has these faces already; give another name with --into")
    for face in store.faces(face_ids):
        if face.name != current:
            owner = "it has no name" if face.name is None else f"it is of {face.name!r}"
            raise LibraryError(f"face {face.id} is not of {current!r}: {owner}")
    with statement(store, "split"):
        return assign_name(store, into, face_ids)


def unname_faces(store: Store, face_ids: Sequence[int]) -> int:
    """Take the names of faces away, and remember that they are not these people.

    No folder and no list gives such a face the same name again; naming it by hand does.

    Args:
        store: The library, locked for writing.
        face_ids: The faces, by the ids that a search prints.

    Returns:
        The number of faces that had a name.

    Raises:
        InputError: A face does not exist.
    """
    store.faces(face_ids)
    ids = [(int(face),) for face in face_ids]
    with statement(store, "unname"):
        store.database.run_many(
            "INSERT OR IGNORE INTO rejections "
            "SELECT digest, x, y, faces.width, faces.height, person_id "
            "FROM faces JOIN photos ON photos.id = photo_id "
            "WHERE faces.id = ? AND person_id IS NOT NULL",
            ids,
        )
        changed = store.database.run_many(
            "UPDATE faces SET person_id = NULL, named_by = NULL "
            "WHERE id = ? AND person_id IS NOT NULL",
            ids,
        )
        store.prune()
    return changed


def unname_person(store: Store, name: str) -> Changed:
    """Take a person's name away from all faces and parked names; the faces stay.

    The earlier names go too. What faces are not this person is still known.

    Args:
        store: The library, locked for writing.
        name: The person.

    Returns:
        The numbers of faces that had the name, and of parked names.

    Raises:
        LibraryError: Nobody has the name.
    """
    with statement(store, "unname"):
        person = (get_person(store, name),)
        query = "SELECT digest, x, y, width, height FROM parked WHERE person_id = ?"
        parked = unpark(store, map(as_key, store.database.rows(query, person)))
        changed = store.database.run_many(
            "UPDATE faces SET person_id = NULL, named_by = NULL WHERE person_id = ?", [person]
        )
        store.database.run("DELETE FROM aliases WHERE person_id = ?", person)
        store.database.run(
            "DELETE FROM people WHERE id = ? AND id NOT IN (SELECT person_id FROM rejections)",
            person,
        )
    return Changed(changed, parked)


def merge_people(store: Store, names: Sequence[str], into: str) -> Changed:
    """Merge several people into one; their names become earlier names of that person.

    Args:
        store: The library, locked for writing.
        names: Who is the same person as `into`.
        into: Whose name remains.

    Returns:
        The numbers of faces and of parked names with a new name.

    Raises:
        LibraryError: Nobody has one of the names, or a name is that of `into`.
    """
    database = store.database
    with statement(store, "merge"):
        remaining = get_person(store, into)
        moved = parked = 0
        for name in names:
            if find_person(store, name) is None and (
                find_by_earlier_name(store, name) == remaining
            ):
                continue  # they were merged before
            person = get_person(store, name)
            if person == remaining:
                raise LibraryError(f"{name!r} and {into!r} are the same person already")
            ids = (remaining, person)
            current = current_name(store, person)
            moved += database.run_many("UPDATE faces SET person_id = ? WHERE person_id = ?", [ids])
            parked += database.run_many(
                "UPDATE parked SET person_id = ? WHERE person_id = ?", [ids]
            )
            join_people(store, person, remaining)
            database.run("INSERT INTO aliases VALUES (?, ?)", (current, remaining))
        _drop_contradicted(store, remaining)
    return Changed(moved, parked)


def rename_person(store: Store, old: str, new: str) -> str | None:
    """Change a person's name; folders and lists with the old name still mean this person.

    If the new name is an earlier one of somebody else, it is this person's from now on.

    Returns:
        Whose earlier name it was, or None.

    Raises:
        LibraryError: Nobody has the old name, or somebody else has the new one.
        InputError: The new name is not valid.
    """
    database, plain = store.database, check_name(new)
    with statement(store, "rename"):
        person = get_person(store, old)
        current = current_name(store, person)
        if current == plain:
            return None
        other = find_person(store, plain)
        if other is not None:
            used = (
                "SELECT EXISTS (SELECT 1 FROM faces WHERE person_id = ?1) "
                "OR EXISTS (SELECT 1 FROM parked WHERE person_id = ?1)"
            )
            if database.value(used, (other,)):
                raise LibraryError(
                    f"there is a {plain!r} already; facehash people merge makes both one person"
                )
            # Somebody of whom only earlier names, and faces that are not theirs, are known.
            join_people(store, other, person)
        owner = find_by_earlier_name(store, plain)
        database.run("DELETE FROM aliases WHERE name = ?", (plain,))
        database.run("UPDATE people SET name = ? WHERE id = ?", (plain, person))
        database.run("INSERT INTO aliases VALUES (?, ?)", (current, person))
        _drop_contradicted(store, person)
        return None if owner in (None, person) else current_name(store, owner)


def assign_name(
    store: Store,
    name: str,
    face_ids: Sequence[int],
    named_by: Literal["user", "csv"] = "user",
) -> str | None:
    """Do as `name_faces`, within a statement of the journal."""
    database, plain = store.database, check_name(name)
    person, owner = find_person(store, plain), None
    if person is None:
        owner = current_name(store, find_by_earlier_name(store, plain))
        database.run("DELETE FROM aliases WHERE name = ?", (plain,))
        person = database.run("INSERT INTO people (name) VALUES (?)", (plain,))
    database.run_many(
        "UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?",
        [(person, named_by, int(face_id)) for face_id in face_ids],
    )
    _drop_contradicted(store, person)
    drop_ignored(store, face_ids)
    store.prune()
    return owner


def _drop_contradicted(store: Store, person: int) -> None:
    """Drop what says that a face is not this person, if the face has the person's name now."""
    store.database.run(
        """DELETE FROM rejections WHERE person_id = ?1 AND (
            EXISTS (SELECT 1 FROM photos JOIN faces ON photo_id = photos.id
                WHERE photos.digest = rejections.digest AND faces.person_id = ?1
                AND (faces.x, faces.y, faces.width, faces.height) =
                (rejections.x, rejections.y, rejections.width, rejections.height))
            OR EXISTS (SELECT 1 FROM parked
                WHERE parked.digest = rejections.digest AND parked.person_id = ?1
                AND (parked.x, parked.y, parked.width, parked.height) =
                (rejections.x, rejections.y, rejections.width, rejections.height)))""",
        (person,),
    )
