"""Suggestions: whose the faces without a name probably are.

Each face without a name is compared with the named faces, and Bayes' rule gives the probability of
the nearest person, see `facehash.calibration.identification`. A person whom the photo already shows
under that name, or whom somebody has rejected for this face, is not suggested. Ignored faces get no
suggestion, nor do faces with too little detail for the measured distances to hold.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.identification import (
    MIN_FACES,
    MIN_PEOPLE,
    Identification,
    Nearest,
    fit_labeled,
    identification_of,
    nearest_people,
    probabilities,
)
from facehash.library.people.compared import NOBODY, ComparedFaces
from facehash.library.people.edit import assign_name
from facehash.library.people.journal import statement
from facehash.library.people.people import check_name, get_person
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import StoredFace
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.vectors import Ids

AT_LEAST = 0.5
"""Probability from which a face is suggested by default."""


@dataclass(frozen=True)
class Suggestion:
    """A face without a name, and whose it probably is."""

    face: StoredFace
    name: str
    probability: float  # calibrated, 0 to 1
    distance: float  # to the nearest named face of this person
    nearest: int  # id of that face
    second: str | None  # the next person, or None if nobody else is near


@dataclass(frozen=True)
class Suggestions:
    """All suggestions for a library."""

    items: list[Suggestion]  # most probable first
    unnamed: int  # faces without a name that were compared
    without_detail: int  # faces without a name that have too little detail, and are not suggested
    calibration: str  # where the probabilities come from


def suggest(
    store: Store,
    *,
    at_least: float = AT_LEAST,
    name: str | None = None,
    faces: Sequence[int] | None = None,
) -> Suggestions:
    """Suggest names for the faces without one.

    Args:
        store: The library.
        at_least: Leave out suggestions that are less probable, 0 to 1.
        name: Only faces that are probably of this person.
        faces: Only these faces, by their ids. They are compared together with all others, because
            the share of known people counts.

    Returns:
        The suggestions; none if nobody has a name.

    Raises:
        LibraryError: Nobody has the name, a face does not exist, or distances of the library's
            embedder cannot be turned into probabilities.

    Example:
        >>> for one in suggest(store, at_least=0.9).items:  # doctest: +SKIP
        ...     print(one.face.id, one.name, f"{one.probability:.3f}")
        17 Aunt May 0.998
    """
    settings = store.settings()
    with store.database.snapshot():
        person = None if name is None else get_person(store, name)
        if faces is not None:
            store.faces(faces)
        compared = ComparedFaces.read(store, settings)
        asked, model, found = _compare(store, settings, compared)
        few = int(((compared.people == NOBODY) & ~compared.has_detail).sum())
        if model is None or found is None:
            source = "nobody has a name yet" if model is None else model.source
            return Suggestions([], len(asked), few, source)
        nearest, chances, owners = found
        order = np.argsort(-chances, axis=1, kind="stable")
        rows = np.arange(len(asked))
        best = order[:, 0]
        probability = chances[rows, best]
        wanted = probability >= at_least
        if person is not None:
            wanted &= owners[nearest.people[rows, best]] == person
        if faces is not None:
            wanted &= np.isin(compared.ids[asked], np.array(faces, np.int64))
        chosen = np.flatnonzero(wanted)
        chosen = chosen[np.argsort(-probability[chosen], kind="stable")]
        names: dict[int, str] = dict(store.database.rows("SELECT id, name FROM people"))
        named = np.flatnonzero(compared.people != NOBODY)
        items = []
        stored = store.faces([int(face) for face in compared.ids[asked[chosen]]])
        for face, row in zip(stored, chosen.tolist(), strict=True):
            first = best[row]
            second = order[row, 1] if chances.shape[1] > 1 else first
            has_second = second != first and chances[row, second] > 0
            items.append(
                Suggestion(
                    face,
                    names[int(owners[nearest.people[row, first]])],
                    float(probability[row]),
                    float(nearest.distances[row, first]),
                    int(compared.ids[named[nearest.faces[row, first]]]),
                    names[int(owners[nearest.people[row, second]])] if has_second else None,
                )
            )
        return Suggestions(items, len(asked), few, model.source)


def confirm(store: Store, pairs: Sequence[tuple[int, str]]) -> int:
    """Name faces as suggested, as one statement of the journal.

    Args:
        store: The library, locked for writing.
        pairs: Faces, by their ids, and names.

    Returns:
        The number of faces.

    Raises:
        LibraryError: A face does not exist.
        InputError: A name is not valid.
    """
    store.faces([face for face, _ in pairs])
    by_name: dict[str, list[int]] = defaultdict(list)
    for face, name in pairs:
        by_name[check_name(name)].append(int(face))
    with statement(store, "confirm"):
        for name, faces in by_name.items():
            assign_name(store, name, faces)
    return len({face for face, _ in pairs})


def reject(store: Store, face_ids: Sequence[int], name: str) -> int:
    """Remember that faces are not a person; the next person is suggested for them instead.

    A face that has the name loses it. No folder and no list gives it to the face again.

    Args:
        store: The library, locked for writing.
        face_ids: The faces, by their ids.
        name: The person.

    Returns:
        The number of faces of which this was not known.

    Raises:
        LibraryError: Nobody has the name, or a face does not exist.
    """
    person = get_person(store, name)
    store.faces(face_ids)
    ids = [(person, int(face)) for face in face_ids]
    with statement(store, "reject"):
        added = store.database.run_many(
            "INSERT OR IGNORE INTO rejections "
            "SELECT digest, x, y, faces.width, faces.height, ?1 "
            "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?2",
            ids,
        )
        store.database.run_many(
            "UPDATE faces SET person_id = NULL, named_by = NULL WHERE person_id = ? AND id = ?", ids
        )
        store.prune()
    return added


def name_automatically(store: Store, probability: float) -> list[Suggestion]:
    """Name all faces whose suggestion is at least this probable, as one statement of the journal.

    The names count like those of a list: a name given by hand replaces them.

    Args:
        store: The library, locked for writing.
        probability: The smallest probability, above 0.

    Returns:
        What was named.

    Raises:
        LibraryError: As for `suggest`.
    """
    items = suggest(store, at_least=probability).items
    by_name: dict[str, list[int]] = defaultdict(list)
    for one in items:
        by_name[one.name].append(one.face.id)
    with statement(store, "auto"):
        for name, faces in by_name.items():
            assign_name(store, name, faces, "csv")
    return items


_Found = tuple[Nearest, NDArray[np.float64], Ids]


def _compare(
    store: Store, settings: Settings, compared: ComparedFaces
) -> tuple[Ids, Identification | None, _Found | None]:
    """Compare the faces without a name with the people.

    Returns:
        The positions of the faces, the calibration (None if nobody has a name), and the nearest
        people, their probabilities and their ids; None without faces.
    """
    unnamed = compared.unnamed()
    asked = unnamed[~compared.is_ignored[unnamed]]
    named = np.flatnonzero(compared.people != NOBODY)
    if not len(named):
        return asked, None, None
    owners, people = np.unique(compared.people[named], return_inverse=True)
    model = _model(store, settings, compared, named, people)
    if not len(asked):
        return asked, model, None
    rows = compared.rows
    nearest = nearest_people(rows[asked], rows[named], people, compared.space)
    excluded = _excluded(store, compared, asked, owners[nearest.people])
    chances = probabilities(nearest, np.bincount(people), model, excluded).of_people
    return asked, model, (nearest, _once_per_photo(compared, asked, nearest, chances), owners)


def _model(
    store: Store, settings: Settings, compared: ComparedFaces, named: Ids, people: Ids
) -> Identification:
    model = identification_of(settings.embedder_identity)
    if model is None:
        model = fit_labeled(
            compared.rows[named],
            people,
            compared.space,
            f"measured on the {len(named):,} named faces of this library",
        )
    if model is None:
        raise LibraryError(
            f"{store.directory}: no probabilities are known for its embedder {settings.embedder}; "
            f"they are measured in the library itself when {MIN_PEOPLE} people have two or more "
            f"named faces, {MIN_FACES} in all"
        )
    return model


def _excluded(
    store: Store, compared: ComparedFaces, asked: Ids, candidates: Ids
) -> NDArray[np.bool_]:
    """Return which candidates (q, k) a face cannot be: rejected, or named in the same photo."""
    rejected = store.database.rows(_REJECTED)
    named = (compared.people != NOBODY) & (compared.photos >= 0)
    shown = np.stack([compared.photos[named], compared.people[named]], axis=1)
    by_face = np.array(rejected, np.int64).reshape(-1, 2)
    keys = np.broadcast_to(compared.ids[asked, None], candidates.shape)
    photos = np.broadcast_to(compared.photos[asked, None], candidates.shape)
    return _contains(by_face, keys, candidates) | _contains(shown, photos, candidates)


_REJECTED = """
    SELECT faces.id, rejections.person_id FROM rejections JOIN photos USING (digest)
    JOIN faces ON faces.photo_id = photos.id AND (faces.x, faces.y, faces.width, faces.height) =
        (rejections.x, rejections.y, rejections.width, rejections.height)"""


def _contains(pairs: Ids, first: Ids, second: Ids) -> NDArray[np.bool_]:
    """Return which elements of two arrays are one of the pairs (n, 2)."""
    if not len(pairs):
        return np.zeros(first.shape, bool)
    factor = int(max(pairs[:, 1].max(), second.max())) + 2
    return np.isin(first * factor + second, pairs[:, 0] * factor + pairs[:, 1])


def _once_per_photo(
    compared: ComparedFaces, asked: Ids, nearest: Nearest, chances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Leave each person to the most probable face of a photo; videos show a person repeatedly."""
    photos = compared.photos[asked]
    best = chances.argmax(axis=1)
    rows = np.arange(len(asked))
    value, person = chances[rows, best], nearest.people[rows, best]
    order = np.lexsort((-value, person, photos))
    order = order[photos[order] >= 0]
    again = (np.diff(photos[order]) == 0) & (np.diff(person[order]) == 0)
    result = chances.copy()
    later = order[1:][again]
    result[later, best[later]] = 0
    return result
