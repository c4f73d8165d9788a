"""Review: suggestions to confirm or reject, and clusters of unknown faces."""

from collections.abc import Sequence

from facehash.library.people import clusters, suggest
from facehash.library.people.ignore import ignore_faces, unignore_faces
from facehash.library.query import browse
from facehash.library.storage.store import Store
from facehash.web import models
from facehash.web.state import State

PAGE = 24
CLUSTERS = 12
_SHOWN_FACES = 60


async def list_suggestions(
    state: State, at_least: float = suggest.AT_LEAST, most: int = PAGE
) -> models.SuggestionsPage:
    """Return whose the faces without a name probably are, the most probable first.

    Raises:
        LibraryError: The distances of the library cannot be turned into probabilities.
    """

    def task(store: Store) -> models.SuggestionsPage:
        found = suggest.suggest(store, at_least=at_least)
        items = found.items[:most]
        ids = [one.face.id for one in items] + [one.nearest for one in items]
        places = browse.places_of(store, ids)
        return models.SuggestionsPage(
            total=len(found.items),
            unnamed=found.unnamed,
            calibration=found.calibration,
            suggestions=[
                models.SuggestionInfo(
                    face_id=one.face.id,
                    photo_id=places[one.face.id].photo_id,
                    name=one.name,
                    person_id=places[one.nearest].person_id,
                    probability=one.probability,
                    distance=one.distance,
                    nearest_face_id=one.nearest,
                    second=one.second,
                )
                for one in items
                if one.face.id in places and one.nearest in places
            ],
        )

    return await state.threads.read(task)


async def confirm(state: State, face: int, name: str) -> models.Done:
    """Name a face as suggested."""

    def task(store: Store) -> models.Done:
        suggest.confirm(store, [(face, name)])
        return models.Done(message=f"this is {name}")

    return await state.threads.write(task)


async def reject(state: State, face: int, name: str) -> models.Done:
    """Remember that a face is not a person; the next person is suggested for it instead."""

    def task(store: Store) -> models.Done:
        suggest.reject(store, [face], name)
        return models.Done(message=f"this is not {name}")

    return await state.threads.write(task)


async def ignore(state: State, face_ids: Sequence[int]) -> models.Done:
    """Ignore faces without a name: nobody is asked about them any more."""

    def task(store: Store) -> models.Done:
        return models.Done(message=f"{ignore_faces(store, sorted(set(face_ids)))} faces ignored")

    return await state.threads.write(task)


async def unignore(state: State, face_ids: Sequence[int]) -> models.Done:
    """Ignore faces no longer."""

    def task(store: Store) -> models.Done:
        number = unignore_faces(store, sorted(set(face_ids)))
        return models.Done(message=f"{number} faces shown again")

    return await state.threads.write(task)


async def list_clusters(
    state: State, start: int = 0, most: int = CLUSTERS, *, ignored: bool = False
) -> models.ClustersPage:
    """Return groups of faces that are probably of one person each, the largest first."""

    def task(store: Store) -> models.ClustersPage:
        found = clusters.list_clusters(store, ignored=ignored)
        return models.ClustersPage(
            total=len(found),
            clusters=[
                models.ClusterInfo(
                    id=one.id, size=len(one.faces), face_ids=list(one.faces[:_SHOWN_FACES])
                )
                for one in found[start : start + most]
            ],
        )

    return await state.threads.read(task)


async def update_clusters(state: State) -> models.Done:
    """Group the unknown faces that are in no group yet.

    Raises:
        LibraryError: No distance is known for the embedder of the library.
    """

    def task(store: Store) -> models.Done:
        done = clusters.update_clusters(store)
        return models.Done(
            message=f"{done.new_clusters:,} new groups; {done.joined:,} faces joined others"
        )

    return await state.threads.write(task)


async def name_cluster(
    state: State, cluster: int, name: str, exclude: Sequence[int] = ()
) -> models.Renamed:
    """Name all faces of a group at once.

    Args:
        state: The server.
        cluster: The group.
        name: The name of a person, or a new one.
        exclude: Faces of it that are somebody else; they form a group of their own.
    """

    def task(store: Store) -> models.Renamed:
        others = sorted(set(exclude))
        if others:
            clusters.split_cluster(store, cluster, others)
        number = clusters.name_cluster(store, cluster, name)
        return models.Renamed(
            message=f"{number:,} faces named {name.strip()}",
            person_id=browse.person_of_name(store, name.strip()),
        )

    return await state.threads.write(task)


async def ignore_cluster(state: State, cluster: int, *, again: bool = False) -> models.Done:
    """Ignore the faces of a group, or with `again` show them again."""

    def task(store: Store) -> models.Done:
        if again:
            number = clusters.unignore_cluster(store, cluster)
            return models.Done(message=f"{number:,} faces shown again")
        return models.Done(message=f"{clusters.ignore_cluster(store, cluster):,} faces ignored")

    return await state.threads.write(task)
