"""The journal: what a person said about names, and what it replaced, so that it can be undone.

A statement is one command: a naming, a merge, a list of names. It is stored as the difference
between the names before and after it, however the command made it. A face is meant by the digest of
its photo and its box, so that a statement can be undone when the photo has moved or come back, and
while its name is parked. `facehash.library.people.changes` describes what is stored.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from facehash.library.people.changes import (
    COLUMNS,
    Change,
    FaceKey,
    Snapshot,
)
from facehash.library.people.former import follow_faces, return_names
from facehash.library.people.reversal import reverse
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.store import SAID, Store

MOST = 100
"""Number of statements that are kept."""


@dataclass(frozen=True)
class Statement:
    """Something that a person said."""

    id: int
    kind: str  # the word for the command: name, unname, merge, reject, ignore, list, restore ...
    made: int  # seconds since 1970
    faces: int  # faces with another name than before, those of parked names included
    people: tuple[tuple[str | None, str | None, int], ...]  # name before, name after, faces
    renamed: tuple[tuple[str, str], ...]  # earlier and new names of people
    said: tuple[tuple[str, int], ...] = ()  # anything else in words, and the number of faces


@dataclass(frozen=True)
class Undone:
    """A statement that was taken back."""

    statement: Statement
    restored: int  # faces that have their earlier name again, or none
    parked: int  # those of them whose photo is not there: the names wait for it
    kept: int  # faces that are gone or were changed since, and stay as they are


@contextlib.contextmanager
def statement(store: Store, kind: str) -> Iterator[None]:
    """Write everything in the block, and its difference to before into the journal, or nothing.

    Args:
        store: The library, locked for writing.
        kind: The word for it in the list of statements.
    """
    with store.database.transaction():
        # Names of faces that have gone or come back are what they were before the statement.
        store.prune()
        return_names(store, waiting=False)
        before = Snapshot.of(store)
        yield
        follow_faces(store)
        changes = Snapshot.of(store).difference(store, before)
        if not changes:
            return
        run = store.database.run
        values = (kind, int(time.time()))
        made = run("INSERT INTO statements (kind, made) VALUES (?, ?)", values)
        store.database.run_many(
            f"INSERT INTO statement_changes (statement_id, {COLUMNS}) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(made, *change) for change in changes],
        )
        run(
            "DELETE FROM statements WHERE id NOT IN "
            "(SELECT id FROM statements ORDER BY id DESC LIMIT ?)",
            (MOST,),
        )


def list_statements(store: Store, most: int = MOST) -> list[Statement]:
    """Return the statements that can be undone, the newest first.

    Args:
        store: The library.
        most: The largest number of statements.

    Raises:
        DamagedLibraryError: A value has the wrong type.
    """
    query = "SELECT id, kind, made FROM statements ORDER BY id DESC LIMIT ?"
    rows = store.database.rows(query, (most,))
    names: dict[int | None, str] = dict(store.database.rows("SELECT id, name FROM people"))
    found = []
    for number, kind, made in rows:
        changes = _changes_of(store, number)
        texts = [kind, *(one.name for one in changes if one.name is not None)]
        about_people = [one for one in changes if not one.about_cluster]
        people = [who for one in about_people for who in (one.before, one.after) if who is not None]
        if not (
            all(isinstance(one, str) for one in texts)
            and all(isinstance(one, int) for one in people)
            and _is_time(made)
        ):
            raise DamagedLibraryError(f"{store.directory}: statement {number} is damaged")
        # As they are now, or as they were when the person was removed.
        known = {
            person: change.name
            for change in changes
            for person, role in (
                (change.before, change.before_as),
                (change.after, change.after_as),
            )
            if role == "name" and change.name is not None
        } | names
        counts: dict[tuple[str | None, str | None], int] = {}
        for change in changes:
            if change.about_name:
                pair = (known.get(change.before), known.get(change.after))
                counts[pair] = counts.get(pair, 0) + 1
        new_names = {
            change.after: change.name
            for change in changes
            if change.name is not None and change.after_as == "name" and change.before_as != "name"
        }
        renamed = tuple(
            (change.name, new_names[change.before])
            for change in changes
            if change.name is not None
            and change.before == change.after
            and (change.before_as, change.after_as) == ("name", "alias")
            and change.before in new_names
        )
        named = tuple((*pair, number) for pair, number in counts.items())
        renamed_faces = {one[:5] for one in changes if one.about_name}
        others = (one for one in changes if one[:5] not in renamed_faces)
        words = Counter(filter(None, (_in_words(one, known) for one in others)))
        said = tuple(sorted(words.items()))
        found.append(Statement(number, kind, made, sum(counts.values()), named, renamed, said))
    return found


def undo(store: Store, steps: int = 1) -> list[Undone]:
    """Take back the newest statements; each face and name gets what it had before.

    What was changed since in another way, by another list or folder, stays.

    Args:
        store: The library, locked for writing.
        steps: Number of statements.

    Returns:
        The statements, the newest first; fewer than `steps` if there are no more.

    Example:
        >>> [undone] = undo(store)  # doctest: +SKIP
        >>> undone.statement.kind, undone.restored  # doctest: +SKIP
        ('merge', 12)
    """
    undone = []
    for newest in list_statements(store, steps):
        with store.database.transaction():
            store.prune()
            return_names(store, waiting=False)
            changes = _changes_of(store, newest.id)
            done = reverse(store, changes)
            store.database.run("DELETE FROM statements WHERE id = ?", (newest.id,))
            store.prune()
        undone.append(Undone(newest, done.restored, done.parked, done.kept))
    return undone


# Tables about faces by the digest of the photo and the box, beside `parked`.
_BY_FACE = (*SAID, "former_faces", "added_faces")


def erase_people(store: Store, people: Iterable[int], names: Iterable[str]) -> None:
    """Delete every statement that mentions one of these people or names, within a transaction."""
    store.database.run_many(
        "DELETE FROM statements WHERE id IN "
        "(SELECT statement_id FROM statement_changes WHERE ?1 IN (before, after) "
        "AND before_as IS NOT 'cluster')",
        [(person,) for person in people],
    )
    store.database.run_many(
        "DELETE FROM statements WHERE id IN "
        "(SELECT statement_id FROM statement_changes WHERE name = ?)",
        [(name,) for name in names],
    )


def erase_faces(store: Store, faces: Iterable[FaceKey]) -> None:
    """Delete all that was said about faces, parked names aside, within a transaction."""
    keys = list(faces)
    for table in _BY_FACE:
        store.database.run_many(
            f"DELETE FROM {table} WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?)",  # noqa: S608
            keys,
        )
    _drop_empty(store)


def erase_photos(store: Store, digests: Iterable[bytes]) -> None:
    """Delete all that was said about faces of photos, parked names aside, in a transaction."""
    keys = [(digest,) for digest in digests]
    for table in _BY_FACE:
        store.database.run_many(f"DELETE FROM {table} WHERE digest = ?", keys)  # noqa: S608
    _drop_empty(store)


def erase_all(store: Store) -> int:
    """Delete the journal, and return how many statements it had."""
    return store.database.run_many("DELETE FROM statements WHERE ?", [(True,)])


def _drop_empty(store: Store) -> None:
    """Delete statements about faces of which no face is left."""
    store.database.run(
        "DELETE FROM statements WHERE kind <> 'rename' AND id NOT IN "
        "(SELECT statement_id FROM statement_changes WHERE digest IS NOT NULL)"
    )


def _in_words(change: Change, names: Mapping[int | None, str]) -> str | None:
    """Return what a change says that is not a name."""
    if change.about_rejection:
        name = names.get(change.before or change.after)
        if name is None:
            return None
        return f"may be {name} again" if change.after_as is None else f"not {name}"
    if change.about_cluster:
        return "in another cluster"
    if change.mark == "added":
        return "added" if change.before_as is None else "no longer added"
    if change.mark == "ignored":
        return "ignored" if change.before_as is None else "no longer ignored"
    return None


def _is_time(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 35


def _changes_of(store: Store, number: int) -> list[Change]:
    query = f"SELECT {COLUMNS} FROM statement_changes WHERE statement_id = ? ORDER BY rowid"  # noqa: S608
    return [Change(*row) for row in store.database.rows(query, (number,))]
