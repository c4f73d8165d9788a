"""Parked names: names that a person gave to faces of photos that are gone or have changed.

Whatever removes a photo parks these names first, see `facehash.library.storage.store.Store.prune`.
At the end of every index run `give_back` looks for their faces:

* A photo with the same content, wherever it is, gives its faces their names back by their boxes.
* At the same path with another content, a caption written into the file for example, a name goes
  to the face whose vector is within the threshold of the embedder; of several the nearest gets it,
  and the box decides between distances that are about equal. For an embedder without a known
  threshold, and for faces with too little detail for it, the vectors must be the same up to
  rounding.

All other names stay parked until their photo comes back, or until they are purged. A parked name
consists of the digest of the photo, the box and the name. The vector is kept only while the library
has another content at the path of the photo.

What else a person said about a face, who it is not for example, follows it in the same way, also
if the face has no name; see `facehash.library.people.former`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facehash.calibration.thresholds import SMALLEST, threshold_of
from facehash.images.face import Box, overlap
from facehash.images.quality import stored_width
from facehash.index.exact import ExactIndex
from facehash.library.people.changes import FaceKey, as_key
from facehash.library.people.former import (
    Face,
    Pair,
    assign,
    find_faces_again,
    return_names,
)
from facehash.library.people.journal import erase_faces
from facehash.library.people.people import get_person
from facehash.library.storage.database import DamagedLibraryError, Row
from facehash.library.storage.records import path_of
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import Space

_ROUNDING = 1e-4
"""Distance of equal faces by cosine, or as a share of the length of their vectors."""
_ROUNDED_BITS = 0.01
"""Share of the bits of equal faces that differ."""
_TIE = 0.1
"""Distances that differ by less than this share of the threshold are about equal."""


@dataclass(frozen=True)
class ParkedName:
    """A name without a face."""

    name: str
    digest: bytes  # SHA-256 of the photo
    box: Box
    path: Path | None  # where the photo was
    reason: str  # "gone", "changed" (the file has another content), "restored" (from a backup)
    since: int  # seconds since 1970


@dataclass(frozen=True)
class KeptNames:
    """What an index run did with the names that a person gave."""

    kept: int  # names of faces that are as they were
    returned: int  # parked names whose photo came back
    carried: int  # names carried over to the changed content of a file
    parked: tuple[ParkedName, ...]  # names that this run parked
    waiting: int  # all parked names, those of earlier runs included


@dataclass(frozen=True)
class Purged:
    """What was deleted about photos that are gone."""

    names: int
    corrections: int  # faces without a name about which something else was said


_KEY = "digest = ? AND (x, y, width, height) = (?, ?, ?, ?)"


def list_parked(store: Store) -> list[ParkedName]:
    """Return all parked names, by name and path.

    Raises:
        DamagedLibraryError: A value has the wrong type.
    """
    rows = store.database.rows(
        "SELECT name, digest, x, y, width, height, path, reason, since "
        "FROM parked JOIN people ON people.id = person_id ORDER BY name, path, digest, x, y"
    )
    return [_parked(store, row) for row in rows]


def _parked(store: Store, row: Row) -> ParkedName:
    name, digest, *box, path, reason, since = row
    if not (
        isinstance(name, str)
        and isinstance(digest, bytes)
        and all(isinstance(one, float) and np.isfinite(one) for one in box)
        and reason in ("gone", "changed", "restored")
        and isinstance(since, int)
    ):
        raise DamagedLibraryError(f"{store.directory}: a parked name is damaged: {name!r:.60}")
    x, y, width, height = box
    where = None if path is None else path_of(path)
    return ParkedName(name, digest, (x, y, width, height), where, reason, since)


def parked_keys(store: Store) -> set[FaceKey]:
    """Return the digests and boxes of all parked names."""
    rows = store.database.rows("SELECT digest, x, y, width, height FROM parked")
    return {as_key(row) for row in rows}


def give_back(store: Store, settings: Settings, before: set[FaceKey]) -> KeptNames:
    """Give parked names to the faces that they belong to, and count names.

    Args:
        store: The library, locked for writing, after `Store.prune`.
        settings: Its settings.
        before: The names that were parked when the run began, see `parked_keys`.
    """
    database = store.database
    carried = returned = 0
    with database.transaction():
        carried = _carry_over(store, settings)
        returned = return_names(store)
        find_faces_again(store)
        for table in ("parked", "former_faces"):
            database.run(
                f"UPDATE {table} SET vector = NULL WHERE vector IS NOT NULL "  # noqa: S608
                "AND (path IS NULL OR path NOT IN (SELECT path FROM paths))"
            )
        database.run(_UNNAME_REJECTED)
        store.prune()
    parked = list_parked(store)
    named = database.value("SELECT count(*) FROM faces WHERE named_by IN ('csv', 'user')")
    return KeptNames(
        kept=named - carried - returned,
        returned=returned,
        carried=carried,
        parked=tuple(one for one in parked if (one.digest, *one.box) not in before),
        waiting=len(parked),
    )


def purge(store: Store, name: str | None = None) -> Purged:
    """Delete parked names for good; the journal no longer mentions them.

    Args:
        store: The library, locked for writing.
        name: Whose. Default: everybody's, with everything else that was said about faces of photos
            that are gone.

    Raises:
        LibraryError: Nobody has this name.
    """
    rows, columns = store.database.rows, "SELECT digest, x, y, width, height FROM"
    with store.database.transaction():
        if name is None:
            found = rows(f"{columns} parked")
        else:
            found = rows(f"{columns} parked WHERE person_id = ?", (get_person(store, name),))
        keys = {as_key(row) for row in found}
        others = set()
        if name is None:
            gone = "WHERE digest NOT IN (SELECT digest FROM photos)"
            for table in ("rejections", "ignored", "former_faces"):
                others |= {as_key(row) for row in rows(f"{columns} {table} {gone}")}
        store.database.run_many(f"DELETE FROM parked WHERE {_KEY}", keys)  # noqa: S608
        erase_faces(store, keys | others)
        store.prune()
    return Purged(len(keys), len(others - keys))


# What a person said counts for more than a folder.
_UNNAME_REJECTED = """
    UPDATE faces SET person_id = NULL, named_by = NULL WHERE named_by = 'folders' AND id IN (
        SELECT faces.id FROM rejections CROSS JOIN photos USING (digest)
        JOIN faces ON faces.photo_id = photos.id AND faces.person_id = rejections.person_id
        AND (faces.x, faces.y, faces.width, faces.height) =
        (rejections.x, rejections.y, rejections.width, rejections.height))"""


def _carry_over(store: Store, settings: Settings) -> int:
    """Give names to the faces of files that have another content now; return their number."""
    column = "code" if settings.metric == "hamming" else "embedding"
    rows = store.database.rows(
        "WITH former AS (SELECT path, digest, x, y, width, height, person_id, named_by, vector, "  # noqa: S608
        "quality, score FROM parked UNION ALL SELECT path, digest, x, y, width, height, NULL, "
        "NULL, vector, quality, score FROM former_faces) "
        "SELECT path, former.digest, former.x, former.y, former.width, former.height, "
        "former.person_id, former.named_by, former.vector, photos.digest, faces.id, faces.x, "
        f"faces.y, faces.width, faces.height, faces.person_id, faces.named_by, faces.{column}, "
        "former.quality, former.score, faces.quality, faces.score "
        "FROM former JOIN paths USING (path) JOIN photos ON photos.id = paths.photo_id "
        "JOIN faces ON faces.photo_id = photos.id "
        f"WHERE photos.digest <> former.digest AND vector IS NOT NULL AND {column} IS NOT NULL"
    )
    by_path: dict[bytes, list[Row]] = defaultdict(list)
    for path, *rest in rows:
        by_path[path].append(tuple(rest))
    return sum(assign(store, _near(store, settings, group)) for group in by_path.values())


def _near(store: Store, settings: Settings, rows: list[Row]) -> list[Pair]:
    """Return the pairs of a parked name and a face that are near enough."""
    pairs = []
    for row in rows:
        key, (person, named_by, vector, digest, face_id), rest = row[:5], row[5:10], row[10:]
        box, (owner, owner_by, stored, *details) = rest[:4], rest[4:]
        distance, limit = _distance(store, settings, vector, stored)
        old, new = details[:2], details[2:]
        if not (_has_detail(old, settings) and _has_detail(new, settings)):
            limit = _rounding(settings.space, vector)
        if distance <= limit:
            face = Face(face_id, as_key((digest, *box)), owner, owner_by)
            step = round(distance / max(limit * _TIE, 1e-9))
            order = (step, -overlap(key[1:], box), distance)
            pairs.append(Pair(order, as_key(key), person, named_by, face))
    return pairs


def _distance(store: Store, settings: Settings, first: Any, second: Any) -> tuple[float, float]:
    """Return the distance of two stored rows, and the distance within which they are one face."""
    space = settings.space
    length = space.width * space.dtype.itemsize
    if not all(isinstance(one, bytes) and len(one) == length for one in (first, second)):
        raise DamagedLibraryError(f"{store.directory}: the vector of a parked name is damaged")
    a, b = (np.frombuffer(one, space.dtype)[None] for one in (first, second))
    index = ExactIndex.build(a, np.zeros(1, np.int64), space)
    distance = float(index.search(b, 1).distances[0, 0])
    known = threshold_of(settings.embedder_identity)
    return distance, _rounding(space, first) if known is None else known.distance


def _rounding(space: Space, stored: bytes) -> float:
    """Return the largest distance of two rows of the same face."""
    if space.metric == "hamming":
        return _ROUNDED_BITS * space.dimension
    length = float(np.linalg.norm(np.frombuffer(stored, space.dtype)))
    return _ROUNDING * (1.0 if space.metric == "cosine" else length)


def _has_detail(stored: Sequence[Any], settings: Settings) -> bool:
    """Return whether the threshold holds for a face with this quality and score."""
    quality, score = stored
    if not all(isinstance(one, float) for one in stored):
        return False
    return stored_width(quality, score, settings.side) >= SMALLEST
