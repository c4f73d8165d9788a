"""Clusters of faces without a name: probably one person each, to be named or ignored at once.

Ids are stable: an update puts new faces into clusters that exist or into new ones, and never moves
a face from one cluster to another, so that a cluster means the same faces tomorrow. Faces that get
a name stay members, unseen, and are there again if the name is undone. Clusters follow from the
vectors and are not part of a backup; the ignore list is.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facehash.calibration.thresholds import threshold_of
from facehash.clustering.distances import cluster_distance
from facehash.clustering.linkage import NEW, average_linkage
from facehash.library.people.compared import ComparedFaces
from facehash.library.people.edit import assign_name
from facehash.library.people.ignore import ignore_faces, ignored_faces, unignore_faces
from facehash.library.people.journal import statement
from facehash.library.people.people import check_name, find_person
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.vectors import points_of, squared_of_points


@dataclass(frozen=True)
class Cluster:
    """A cluster of faces without a name."""

    id: int  # never used again
    faces: tuple[int, ...]  # ids of its faces without a name, of the highest quality first
    ignored: bool  # at least half of these faces are ignored


@dataclass(frozen=True)
class ClusterUpdate:
    """What an update did."""

    faces: int  # faces without a name that have enough detail
    joined: int  # of them, new in a cluster that existed
    new_clusters: int
    clustered: int  # of them, new in one of the new clusters
    alone: int  # of them, in no cluster
    without_detail: int  # faces without a name that have too little detail


def update_clusters(store: Store, distance: float | None = None) -> ClusterUpdate:
    """Put faces without a name into clusters, those that are in none yet.

    Two faces of one photo are never in the same new cluster. Ignored faces take part, so that new
    faces of somebody who is ignored join them.

    Args:
        store: The library, locked for writing.
        distance: The mean distance up to which clusters are merged. Default: measured for the
            embedder, see `facehash.clustering.distances`.

    Raises:
        LibraryError: No distance is known for the embedder of the library.

    Example:
        >>> update_clusters(store).new_clusters  # doctest: +SKIP
        31
    """
    settings = store.settings()
    if distance is None:
        known = threshold_of(settings.embedder_identity)
        if known is None:
            raise LibraryError(
                f"{store.directory}: no distance was measured for its embedder "
                f"{settings.embedder}; give one, the mean distance in a cluster, with --distance"
            )
        distance = cluster_distance(known.distance, settings.metric)
    database = store.database
    with database.transaction():
        compared = ComparedFaces.read(store, settings)
        chosen = compared.unnamed()
        few = int(((compared.people < 0) & ~compared.has_detail).sum())
        member: dict[int, int] = dict(
            database.rows("SELECT face_id, cluster_id FROM cluster_faces")
        )
        ids = compared.ids[chosen]
        before = np.array([member.get(face, NEW) for face in ids.tolist()], np.int64)
        after = average_linkage(
            points_of(compared.rows[chosen], compared.space),
            squared_of_points(distance, compared.space.metric),
            before,
            compared.photos[chosen],
        )
        new = np.flatnonzero((before == NEW) & (after != NEW))
        is_known = np.isin(after[new], before)
        numbers = {}
        for label in np.unique(after[new[~is_known]]).tolist():
            numbers[label] = database.run(
                "INSERT INTO clusters (made) VALUES (?)", (int(time.time()),)
            )
        database.run_many(
            "INSERT INTO cluster_faces VALUES (?, ?)",
            [
                (int(ids[i]), label if known else numbers[label])
                for i, label, known in zip(new, after[new].tolist(), is_known, strict=True)
            ],
        )
        database.run("DELETE FROM clusters WHERE id NOT IN (SELECT cluster_id FROM cluster_faces)")
    return ClusterUpdate(
        faces=len(ids),
        joined=int(is_known.sum()),
        new_clusters=len(numbers),
        clustered=int((~is_known).sum()),
        alone=int((after == NEW).sum()),
        without_detail=few,
    )


def list_clusters(store: Store, *, smallest: int = 2, ignored: bool = False) -> list[Cluster]:
    """Return clusters with faces without a name, the largest first.

    Args:
        store: The library.
        smallest: The smallest number of such faces.
        ignored: Return the ignored clusters instead of the others.
    """
    rows = store.database.rows(
        "SELECT cluster_id, faces.id FROM cluster_faces JOIN faces ON faces.id = face_id "
        "WHERE person_id IS NULL ORDER BY quality DESC, faces.id"
    )
    return [
        one
        for one in _clusters(store, rows)
        if len(one.faces) >= smallest and one.ignored == ignored
    ]


def get_cluster(store: Store, cluster_id: int) -> Cluster:
    """Return a cluster.

    Raises:
        LibraryError: There is no such cluster, or all of its faces have names.
    """
    rows = store.database.rows(
        "SELECT cluster_id, faces.id FROM cluster_faces JOIN faces ON faces.id = face_id "
        "WHERE person_id IS NULL AND cluster_id = ? ORDER BY quality DESC, faces.id",
        (int(cluster_id),),
    )
    if not rows:
        known = "SELECT 1 FROM cluster_faces WHERE cluster_id = ?"
        if store.database.value(known, (cluster_id,)):
            raise LibraryError(f"all faces of cluster {cluster_id} have a name")
        raise LibraryError(f"{store.directory}: there is no cluster {cluster_id}")
    return _clusters(store, rows)[0]


def name_cluster(store: Store, cluster_id: int, name: str) -> int:
    """Name the faces of a cluster, as one statement of the journal.

    Faces that are not this person, because somebody said so, stay without a name, and ignored faces
    do unless the whole cluster is ignored.

    Args:
        store: The library, locked for writing.
        cluster_id: The cluster.
        name: The name of a person, or a new one.

    Returns:
        The number of faces that were named.

    Raises:
        LibraryError: There is no such cluster.
        InputError: The name is not valid.
    """
    plain, cluster = check_name(name), get_cluster(store, cluster_id)
    ignored = set() if cluster.ignored else ignored_faces(store)
    person = find_person(store, plain)
    rejected = {face for (face,) in store.database.rows(_REJECTED, (person,))}
    faces = [face for face in cluster.faces if face not in ignored | rejected]
    if faces:
        with statement(store, "name"):
            assign_name(store, plain, faces)
    return len(faces)


def ignore_cluster(store: Store, cluster_id: int) -> int:
    """Ignore the faces of a cluster; returns and raises as `ignore_faces` and `get_cluster`."""
    return ignore_faces(store, get_cluster(store, cluster_id).faces)


def unignore_cluster(store: Store, cluster_id: int) -> int:
    """Ignore the faces of a cluster no longer, and return how many were ignored."""
    return unignore_faces(store, get_cluster(store, cluster_id).faces)


def split_cluster(store: Store, cluster_id: int, face_ids: Sequence[int]) -> int:
    """Move faces of a cluster into a new one, as one statement of the journal.

    Args:
        store: The library, locked for writing.
        cluster_id: The cluster.
        face_ids: Faces of it, but not all of its faces without a name.

    Returns:
        The id of the new cluster.

    Raises:
        LibraryError: There is no such cluster, a face is not in it, or no face would stay.
    """
    cluster = get_cluster(store, cluster_id)
    moved = {int(face) for face in face_ids}
    for face in sorted(moved - {*cluster.faces}):
        raise LibraryError(f"face {face} is not in cluster {cluster_id}, or has a name")
    if not moved or moved == {*cluster.faces}:
        raise LibraryError(
            f"cluster {cluster_id}: give some of its {len(cluster.faces)} faces, not all and not "
            "none"
        )
    with statement(store, "split"):
        new = store.database.run("INSERT INTO clusters (made) VALUES (?)", (int(time.time()),))
        store.database.run_many(
            "UPDATE cluster_faces SET cluster_id = ? WHERE face_id = ?",
            [(new, face) for face in sorted(moved)],
        )
    return new


# Faces that are not a person.
_REJECTED = """
    SELECT faces.id FROM rejections JOIN photos USING (digest)
    JOIN faces ON faces.photo_id = photos.id AND (faces.x, faces.y, faces.width, faces.height) =
        (rejections.x, rejections.y, rejections.width, rejections.height)
    WHERE rejections.person_id = ?"""


def _clusters(store: Store, rows: Sequence[tuple[int, int]]) -> list[Cluster]:
    """Return clusters from rows of cluster and face, the largest first."""
    members: dict[int, list[int]] = defaultdict(list)
    for cluster, face in rows:
        members[cluster].append(face)
    ignored = ignored_faces(store)
    found = [
        Cluster(cluster, tuple(faces), 2 * len(ignored.intersection(faces)) >= len(faces))
        for cluster, faces in members.items()
    ]
    return sorted(found, key=lambda one: (-len(one.faces), one.id))
