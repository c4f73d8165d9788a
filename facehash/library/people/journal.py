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
    MARKS,
    NOTHING,
    REJECTED,
    Change,
    FaceKey,
    Snapshot,
    read_names,
)
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.store import Store

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
    kept: int  # faces that are gone or were changed since, and stay as they are


@contextlib.contextmanager
def statement(store: Store, kind: str) -> Iterator[None]:
    """Write everything in the block, and its difference to before into the journal, or nothing.

    Args:
        store: The library, locked for writing.
        kind: The word for it in the list of statements.
    """
    with store.database.transaction():
        before = Snapshot.of(store)
        yield
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
            changes = _changes_of(store, newest.id)
            _restore_names(store, [one for one in changes if one.name is not None])
            about_faces = [one for one in changes if one.digest is not None]
            for change in about_faces:
                if change.mark == "added" and change.after_as is None:
                    _restore_mark(store, change, MARKS["added"])
            restored = [_restore_face(store, one) for one in about_faces if one.about_name]
            for change in about_faces:
                if change.about_rejection:
                    _restore_rejection(store, change)
                elif change.about_cluster:
                    _restore_cluster(store, change)
                elif change.mark is not None:
                    _restore_mark(store, change, MARKS[change.mark])
            store.database.run("DELETE FROM statements WHERE id = ?", (newest.id,))
            store.prune()
        kept = restored.count(False)
        undone.append(Undone(newest, len(restored) - kept, kept))
    return undone


# Tables about faces by the digest of the photo and the box, beside `parked`.
_BY_FACE = ("statement_changes", "rejections", "former_faces", *MARKS.values())


def move_face(store: Store, old: FaceKey, new: FaceKey) -> None:
    """Make all that was said about a face mean one of a changed photo, within a transaction."""
    for table in ("statement_changes", "rejections", "ignored"):
        store.database.run(
            f"UPDATE OR IGNORE {table} SET (digest, x, y, width, height) = (?, ?, ?, ?, ?) "  # noqa: S608
            "WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?)",
            (*new, *old),
        )


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


def _restore_names(store: Store, changes: list[Change]) -> None:
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


def _restore_face(store: Store, change: Change) -> bool:
    """Give a face or a parked name the earlier name; return False if it was changed since."""
    rows, run = store.database.rows, store.database.run
    key = change[:5]
    before, after = (change.before, change.before_as), (change.after, change.after_as)
    if change.before is not None and not rows(
        "SELECT 1 FROM people WHERE id = ?", (change.before,)
    ):
        return False
    face = rows(
        "SELECT faces.id, person_id, named_by FROM photos JOIN faces ON photo_id = photos.id "
        "WHERE digest = ? AND (x, y, faces.width, faces.height) = (?, ?, ?, ?)",
        key,
    )
    if face:
        [(face_id, *now)] = face
        if tuple(now) != after:
            return False
        run("UPDATE faces SET person_id = ?, named_by = ? WHERE id = ?", (*before, face_id))
        return True
    where = "digest = ? AND (x, y, width, height) = (?, ?, ?, ?)"
    if after == NOTHING and rows(f"SELECT 1 FROM added_faces WHERE {where}", key):  # noqa: S608
        # The removed face is made again, and then gets its name back.
        run(
            "INSERT OR IGNORE INTO parked (digest, x, y, width, height, person_id, named_by, "
            "faces, reason, since) VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'restored', ?)",
            (*key, change.before, change.before_as, int(time.time())),
        )
        return True
    parked = rows(f"SELECT person_id, named_by FROM parked WHERE {where}", key)  # noqa: S608
    if parked != [after]:
        return False
    if change.before_as in ("csv", "user"):
        run(f"UPDATE parked SET person_id = ?, named_by = ? WHERE {where}", (*before, *key))  # noqa: S608
    else:
        run(f"DELETE FROM parked WHERE {where}", key)  # noqa: S608
    return True


def _restore_rejection(store: Store, change: Change) -> None:
    key = change[:5]
    if change.after_as == REJECTED:
        store.database.run(
            "DELETE FROM rejections WHERE digest = ? AND (x, y, width, height) = (?, ?, ?, ?) "
            "AND person_id = ?",
            (*key, change.after),
        )
    else:
        store.database.run(
            "INSERT OR IGNORE INTO rejections SELECT ?, ?, ?, ?, ?, id FROM people WHERE id = ?",
            (*key, change.before),
        )


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
