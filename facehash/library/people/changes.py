"""What a statement about names changes: the difference between two snapshots.

A row of ``statement_changes`` says one of these things:

=========  ======================================================================================
about      columns
=========  ======================================================================================
a face     digest and box; before, after: ids of people; before_as, after_as: origin of the name
a name     name; before, after: whose it was; before_as, after_as: ``name`` or ``alias``
rejection  digest and box; before or after: the person it is not; before_as or after_as:
           ``rejected``
mark       digest and box; before_as or after_as: ``ignored`` or ``added``, a key of `MARKS`
cluster    digest and box; before, after: ids of clusters; before_as, after_as: ``cluster``
a photo    digest; after_as: ``forgotten``, of a photo that a backup keeps out
=========  ======================================================================================

The names of all people that a statement mentions are rows too, also where nothing changed: a person
who has been removed since comes back under that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from facehash.library.storage.database import Row
from facehash.library.storage.store import Store

FaceKey = tuple[bytes, float, float, float, float]
"""The digest of a photo, and the box of a face in it."""
State = tuple[int | None, str | None]
NOTHING: State = (None, None)
REJECTED = "rejected"
CLUSTER = "cluster"
FORGOTTEN = "forgotten"
MARKS = {"ignored": "ignored", "added": "added_faces"}
"""What is said about a face alone: the word for it in the journal, and its table."""


class Change(NamedTuple):
    """A row of the table ``statement_changes``."""

    digest: bytes | None
    x: float | None
    y: float | None
    width: float | None
    height: float | None
    name: str | None
    before: int | None
    before_as: str | None
    after: int | None
    after_as: str | None

    @property
    def about_rejection(self) -> bool:
        """Whether the row is about a rejection."""
        return REJECTED in (self.before_as, self.after_as)

    @property
    def about_cluster(self) -> bool:
        """Whether the row is about the cluster of a face."""
        return CLUSTER in (self.before_as, self.after_as)

    @property
    def about_forgotten(self) -> bool:
        """Whether the row is about a photo that is kept out."""
        return self.after_as == FORGOTTEN

    @property
    def mark(self) -> str | None:
        """The key of `MARKS` that the row is about, or None."""
        role = self.before_as or self.after_as
        return role if role in MARKS else None

    @property
    def about_name(self) -> bool:
        """Whether the row is about the name of a face."""
        other = self.about_rejection or self.about_cluster or self.about_forgotten
        return self.digest is not None and not other and self.mark is None


COLUMNS = ", ".join(Change._fields)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a statement can change."""

    faces: Mapping[int, State]
    added: Mapping[int, FaceKey]  # faces that a person has added, which a statement may remove
    parked: Mapping[FaceKey, State]
    rejected: set[tuple[Any, ...]]  # a key of a face, and a person
    marked: Mapping[str, set[FaceKey]]  # by the keys of `MARKS`
    clusters: Mapping[int, int]  # of faces
    names: Mapping[str, State]
    forgotten: set[bytes]  # digests of photos

    @classmethod
    def of(cls, store: Store) -> Self:
        """Read the current names."""
        rows = store.database.rows
        return cls(
            {
                face: (person, named_by)
                for face, person, named_by in rows(
                    # By the index of people, unlike with IS NOT NULL; ids begin at 1.
                    "SELECT id, person_id, named_by FROM faces WHERE person_id > 0"
                )
            },
            {
                row[5]: as_key(row)
                for row in rows(
                    "SELECT photos.digest, faces.x, faces.y, faces.width, faces.height, faces.id "
                    "FROM added_faces "
                    "CROSS JOIN photos USING (digest) CROSS JOIN faces ON photo_id = photos.id AND "
                    "(faces.x, faces.y, faces.width, faces.height) = "
                    "(added_faces.x, added_faces.y, added_faces.width, added_faces.height)"
                )
            },
            {
                as_key(row): (row[5], row[6])
                for row in rows(
                    "SELECT digest, x, y, width, height, person_id, named_by FROM parked"
                )
            },
            set(rows("SELECT digest, x, y, width, height, person_id FROM rejections")),
            {
                mark: set(map(as_key, rows(f"SELECT digest, x, y, width, height FROM {table}")))  # noqa: S608
                for mark, table in MARKS.items()
            },
            dict(rows("SELECT face_id, cluster_id FROM cluster_faces")),
            read_names(store),
            {digest for (digest,) in rows("SELECT digest FROM excluded")},
        )

    def difference(self, store: Store, before: Self) -> list[Change]:
        """Return what has changed since an earlier snapshot."""
        blank = (None, None, None, None, None)
        changes = []
        for face in {**before.faces, **self.faces}:
            old, new = (one.faces.get(face, NOTHING) for one in (before, self))
            key = (before.added.get(face) or face_key(store, face)) if old != new else None
            if key is not None:
                changes.append(Change(*key, None, *old, *new))
        for spot in {**before.parked, **self.parked}:
            old, new = (one.parked.get(spot, NOTHING) for one in (before, self))
            if old != new:
                changes.append(Change(*spot, None, *old, *new))
        for row in self.rejected - before.rejected:
            changes.append(Change(*as_key(row), None, None, None, row[5], REJECTED))
        for row in before.rejected - self.rejected:
            changes.append(Change(*as_key(row), None, row[5], REJECTED, None, None))
        mentioned = {person for one in changes for person in (one.before, one.after)}
        for digest in self.forgotten - before.forgotten:
            changes.append(Change(digest, *blank[1:], None, None, None, None, FORGOTTEN))
        for mark in MARKS:
            then, now = before.marked[mark], self.marked[mark]
            changes += [Change(*key, None, None, None, None, mark) for key in now - then]
            changes += [Change(*key, None, None, mark, None, None) for key in then - now]
        for face in before.clusters.keys() & self.clusters.keys():
            pair = before.clusters[face], self.clusters[face]
            key = face_key(store, face) if pair[0] != pair[1] else None
            if key is not None:
                changes.append(Change(*key, None, pair[0], CLUSTER, pair[1], CLUSTER))
        for name in {**before.names, **self.names}:
            old, new = (one.names.get(name, NOTHING) for one in (before, self))
            if old != new or (new[1] == "name" and new[0] in mentioned):
                changes.append(Change(*blank, name, *old, *new))
        # A face may also wait for another content of its file.
        return list(dict.fromkeys(changes))


def face_key(store: Store, face_id: int) -> FaceKey | None:
    """Return the digest of the photo of a face, and its box, or None if there is no such face."""
    rows = store.database.rows(
        "SELECT digest, x, y, faces.width, faces.height "
        "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?",
        (face_id,),
    )
    return as_key(rows[0]) if rows else None


def as_key(row: Row) -> FaceKey:
    """Return the first five columns of a row: digest, x, y, width and height."""
    digest, x, y, width, height = row[:5]
    return digest, x, y, width, height


def read_names(store: Store) -> dict[str, State]:
    """Return all names and earlier names, with the person and ``name`` or ``alias``."""
    rows = store.database.rows(
        "SELECT name, person_id, 'alias' FROM aliases UNION ALL SELECT name, id, 'name' FROM people"
    )
    return {name: (person, role) for name, person, role in rows}
