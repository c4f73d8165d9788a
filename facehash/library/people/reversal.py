"""Take back what a statement has changed, see `facehash.library.people.journal.undo`.

Only what is as the statement has made it is taken back. Names of folders are no obstacle: they
follow from where photos lie, and what a person said counts for more. A folder or list that was read
since may have made somebody of the name of a person who was removed; both are one person then.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from facehash.library.people.changes import (
    MARKS,
    NOTHING,
    REJECTED,
    Change,
    State,
    as_key,
    read_names,
)
from facehash.library.people.former import follow_faces, park, unpark
from facehash.library.people.people import join_people
from facehash.library.storage.store import Store

_KEY = "digest = ? AND (x, y, width, height) = (?, ?, ?, ?)"


@dataclass
class Reversal:
    """What was taken back."""

    restored: int = 0  # faces that have their earlier name again, or none
    parked: int = 0  # names that wait for their photo again
    kept: int = 0  # faces that are gone or were changed since, and stay as they are


def reverse(store: Store, changes: Sequence[Change]) -> Reversal:
    """Give names and faces what they had before a statement, within a transaction.

    Args:
        store: The library, locked for writing.
        changes: All changes of the statement.
    """
    about_names = [one for one in changes if one.name is not None]
    successors = _free_names(store, about_names)
    _restore_names(store, about_names)
    _join_successors(store, successors)
    done = Reversal()
    for change in changes:
        if change.about_rejection:
            _restore_rejection(store, change)
        elif change.about_cluster:
            _restore_cluster(store, change)
        elif change.mark is not None:
            _restore_mark(store, change, MARKS[change.mark])
        elif change.about_forgotten:
            _restore_forgotten(store, change)
    # Also of faces that were added by hand, and are there again.
    for change in changes:
        if change.about_name:
            _restore_face(store, change, done)
    follow_faces(store)
    return done


def _free_names(store: Store, changes: Sequence[Change]) -> dict[int, tuple[int, str]]:
    """Take names away from people who were made since for names that are given back.

    Returns:
        For the ids of these people, whose name it was before and is again, and the name.
    """
    found = {}
    current = read_names(store)
    for change in changes:
        now, role = current.get(change.name or "", NOTHING)
        if (
            change.name is None or now is None or change.before is None or role != "name"
            or now in (change.before, change.after)
        ):  # fmt: skip
            continue
        # People whom only folders name. Of the same name, anybody: it is the same person.
        if change.before_as == "name" or not _is_said(store, now):
            found[now] = (change.before, change.name)
            # No name has this character, see check_name.
            store.database.run("UPDATE people SET name = '\n' || id WHERE id = ?", (now,))
    return found


def _is_said(store: Store, person: int) -> bool:
    """Return whether a person has said anything about somebody."""
    return bool(
        store.database.value(
            "SELECT EXISTS (SELECT 1 FROM faces WHERE person_id = ?1 AND named_by <> 'folders') "
            "OR EXISTS (SELECT 1 FROM parked WHERE person_id = ?1) "
            "OR EXISTS (SELECT 1 FROM rejections WHERE person_id = ?1)",
            (person,),
        )
    )


def _join_successors(store: Store, successors: dict[int, tuple[int, str]]) -> None:
    """Make the people of `_free_names` and those who have their names again one."""
    for successor, (person, name) in successors.items():
        if store.database.value("SELECT 1 FROM people WHERE id = ?", (person,)):
            join_people(store, successor, person)
        else:
            store.database.run("UPDATE people SET name = ? WHERE id = ?", (name, successor))


def _restore_names(store: Store, changes: Sequence[Change]) -> None:
    """Give people their earlier names, and bring those back who were merged or removed."""
    run, current = store.database.run, read_names(store)
    wanted = []
    for change in changes:
        now = current.get(change.name or "", NOTHING)
        old, new = (change.before, change.before_as), (change.after, change.after_as)
        # Somebody else may have got the name since.
        if now != old and now in (new, NOTHING):
            wanted.append((change.name, *old))
            if now[1] == "alias":
                run("DELETE FROM aliases WHERE name = ?", (change.name,))
    people = {person for (person,) in store.database.rows("SELECT id FROM people")}
    unchanged = {
        change.name
        for change in changes
        if (change.before, change.before_as) == (change.after, change.after_as)
    }
    names = [(name, who) for name, who, role in wanted if role == "name"]
    for name, person in names:
        # Of a person who has another name by now, only a change of this statement is undone.
        if person in people and name not in unchanged:
            run("UPDATE people SET name = ? WHERE id = ?", (name, person))
    for name, person in names:
        if person not in people:
            run("INSERT OR IGNORE INTO people (id, name) VALUES (?, ?)", (person, name))
    run_alias = "INSERT OR IGNORE INTO aliases SELECT ?, id FROM people WHERE id = ?"
    for name, person, role in wanted:
        if role == "alias":
            run(run_alias, (name, person))


def _restore_face(store: Store, change: Change, done: Reversal) -> None:
    """Give a face, or a face that the library does not have any more, the earlier name."""
    rows, run, key = store.database.rows, store.database.run, as_key(change)
    before, after = (change.before, change.before_as), (change.after, change.after_as)
    known = rows("SELECT 1 FROM people WHERE id = ?", (change.before,))
    face = rows(
        "SELECT faces.id, person_id, named_by FROM photos JOIN faces ON photo_id = photos.id "
        "WHERE digest = ? AND (x, y, faces.width, faces.height) = (?, ?, ?, ?)",
        key,
    )
    [now] = (
        [one[-2:] for one in face]
        or rows(
            f"SELECT person_id, named_by FROM parked WHERE {_KEY}",  # noqa: S608
            key,
        )
        or [NOTHING]
    )
    # A name that a person gave counts for more than one of a folder, or none.
    is_derived = not _was_said(after) and not _was_said(now)
    has_changed = now not in (before, after) and not (_was_said(before) and is_derived)
    if has_changed or (change.before is not None and not known):
        done.kept += 1
    elif face:
        run("UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?", (*before, face[0][0]))
        done.restored += 1
    elif change.before is not None and change.before_as in ("csv", "user"):
        park(store, key, change.before, change.before_as)
        done.restored += 1
        done.parked += 1
    elif unpark(store, [key]) or now == before:
        done.restored += 1
    else:
        done.kept += 1


def _was_said(state: State) -> bool:
    return state[1] in ("csv", "user")


def _restore_rejection(store: Store, change: Change) -> None:
    key = change[:5]
    if change.after_as == REJECTED:
        store.database.run(
            f"DELETE FROM rejections WHERE {_KEY} AND person_id = ?",  # noqa: S608
            (*key, change.after),
        )
    else:
        store.database.run(
            "INSERT OR IGNORE INTO rejections SELECT ?, ?, ?, ?, ?, id FROM people WHERE id = ?",
            (*key, change.before),
        )


def _restore_forgotten(store: Store, change: Change) -> None:
    """Let a photo in again that a backup has kept out."""
    store.database.run("DELETE FROM excluded WHERE digest = ?", (change.digest,))


def _restore_cluster(store: Store, change: Change) -> None:
    """Put a face back into its cluster, if it is still in the one that it was put into."""
    run, (digest, *box) = store.database.run, change[:5]
    run("INSERT OR IGNORE INTO clusters VALUES (?, ?)", (change.before, int(time.time())))
    run(
        "UPDATE cluster_faces SET cluster_id = ? WHERE cluster_id = ? AND face_id IN "
        "(SELECT faces.id FROM photos JOIN faces ON photo_id = photos.id "
        "WHERE digest = ? AND (x, y, faces.width, faces.height) = (?, ?, ?, ?))",
        (change.before, change.after, digest, *box),
    )


def _restore_mark(store: Store, change: Change, table: str) -> None:
    """Say again, or no longer, that a face is ignored or was added."""
    run, key = store.database.run, change[:5]
    if change.after_as is None:
        columns = "digest, x, y, width, height"
        run(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES (?, ?, ?, ?, ?)", key)  # noqa: S608
        return
    run(f"DELETE FROM {table} WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?)", key)  # noqa: S608
    if change.mark == "added":
        run(
            "DELETE FROM faces WHERE (x, y, width, height) = (?2, ?3, ?4, ?5) "
            "AND photo_id = (SELECT id FROM photos WHERE digest = ?1)",
            key,
        )
