"""How probable it is that a face that is searched for is one of the people found."""

import numpy as np

from facehash.calibration.identification import Nearest, identification_of, probabilities
from facehash.library.query.results import QueryResult
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store


def probable_people(
    store: Store, settings: Settings, result: QueryResult, itself: int | None = None
) -> dict[str, float]:
    """Return the probability, 0 to 1, that the query is each of the people among the hits.

    Each person counts by the nearest of the hits, as for suggestions, see
    `facehash.calibration.identification`.

    Args:
        store: The library.
        settings: Its settings.
        result: What was found, not filtered by name.
        itself: The face that was searched for, if it is one of the library.

    Returns:
        Probabilities by name; none where distances of the search have none: of codes, or of an
        embedder that was not measured, or for a face with too little detail.

    Example:
        >>> [result] = library.search("aunt.png")
        >>> probable_people(library.store, library.settings, result)
        {}
    """
    model = identification_of(settings.embedder_identity)
    distances: dict[str, float] = {}
    for hit in result.hits:
        if hit.name is not None and hit.face_id != itself and hit.no_verdict is None:
            distances.setdefault(hit.name, hit.distance)
    if model is None or result.metric != settings.metric or not distances:
        return {}
    counted = "SELECT count(*) FROM faces JOIN people ON people.id = person_id WHERE name = ?"
    sizes = [int(store.database.value(counted, (name,))) for name in distances]
    others = int(store.database.value("SELECT count(*) FROM people")) - len(sizes)
    count = len(sizes)
    nearest = Nearest(
        np.arange(count)[None], np.array([*distances.values()])[None], np.zeros((1, count), int)
    )
    of_people = probabilities(nearest, np.array(sizes + [1] * max(others, 0)), model).of_people
    return dict(zip(distances, of_people[0].tolist(), strict=True))
