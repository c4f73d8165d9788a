"""Whether training has seen what a model is about to be scored on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facehash.dataset import ROLES, FaceDataset
from facehash.errors import InputError
from facehash.runs.fingerprint import picture_hashes, recorded

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel

Flags = NDArray[np.bool_]


class LeakError(InputError):
    """A score that would mislead, because training has seen what it is measured on."""


def find_leaks(
    faces: FaceDataset, trained_people: Collection[str], training_images: str | None
) -> list[str] | None:
    """Find what keeps the score of a model on a data set from meaning what its protocol says.

    * Queries that are training images of the model, under every protocol. The gallery of ``"seen"``
      is the training set, which is no leak. Nor is a query with the pixels of another image that
      this very split trains on: the data set holds a picture twice, and the report counts that.
    * Under ``"seen"``: people among the queries whom the model was not trained on.
    * Under every other protocol: people in gallery or queries whom it was trained on.

    People are compared by name. Names that are only digits are mostly numbers of classes, and every
    data set has a class 0. Such a person is the one in training only if an image was trained on.

    Args:
        faces: The data set with its roles, at the side of the model.
        trained_people: Names of the people that the model was trained on.
        training_images: The record of its training images, see `facehash.runs.fingerprint`; None
            if it has none.

    Returns:
        One line for each kind of leak, empty if there is none. None if there is no record, so that
        nothing is known about images, and the names show no leak.

    Raises:
        InputError: The record is damaged.
    """
    trained, copies = np.zeros((2, len(faces.labels)), bool)
    if training_images is not None:
        rows = np.unique(np.concatenate([getattr(faces, role) for role in ROLES]))
        hashes = np.zeros(len(faces.labels), np.uint64)
        hashes[rows] = picture_hashes(faces.items, rows)
        trained[rows] = recorded(training_images, hashes[rows])
        copies[rows] = np.isin(hashes[rows], hashes[faces.train])
        copies[faces.train] = False
    names = {name: name.isdecimal() for name in trained_people}
    leaks = _trained_queries(faces, trained & ~copies)
    if faces.protocol == "seen":
        leaks += _new_people(faces, names, trained if training_images is not None else None)
    else:
        leaks += _known_people(faces, names, trained & ~copies)
    return leaks if leaks or training_images is not None else None


def check_leaks(
    name: object, model: HashModel, faces: FaceDataset, allow: bool = False
) -> list[str] | None:
    """Return the leaks of a model on a data set, or refuse to score it.

    Args:
        name: The model, with which the message starts.
        model: The model.
        faces: The data set with its roles, at the side of the model.
        allow: Whether leaks are returned; otherwise they are an error.

    Returns:
        As `find_leaks`.

    Raises:
        LeakError: There are leaks, and `allow` is false.
        InputError: The model's record of its training images is damaged.
    """
    leaks = find_leaks(faces, model.trained_people, model.training_images)
    if leaks and not allow:
        raise LeakError(
            f"{name}: {'; '.join(leaks)}; score data that fits the protocol "
            "(evaluate.py --allow-leaks scores this and marks the result)"
        )
    return leaks


def _trained_queries(faces: FaceDataset, trained: Flags) -> list[str]:
    """Count the queries that are training images."""
    found = faces.query[trained[faces.query]]
    if not len(found):
        return []
    return [
        f"{len(found):,} of {len(faces.query):,} queries were trained on, for example image "
        f"{found[0]}, of {faces.identities[faces.labels[found[0]]]!r}"
    ]


def _known_people(faces: FaceDataset, trained: dict[str, bool], images: Flags) -> list[str]:
    """Count the people, who should be new, with a known name or a known image."""
    rows = np.concatenate([faces.gallery, faces.query])
    with_image = set(faces.labels[rows[images[rows]]].tolist())
    people = np.unique(faces.labels[rows]).tolist()
    known = [
        person
        for person in people
        if person in with_image or trained.get(faces.identities[person]) is False
    ]
    return _count(faces, known, len(people), "were trained on")


def _new_people(faces: FaceDataset, trained: dict[str, bool], images: Flags | None) -> list[str]:
    """Count the people, who should be known, with a new name, or a number and only new images."""
    with_image = None if images is None else set(faces.labels[images].tolist())
    people = np.unique(faces.labels[faces.query]).tolist()
    new = []
    for person in people:
        is_number = trained.get(faces.identities[person])
        unproved = with_image is not None and person not in with_image
        if is_number is None or (is_number and unproved):
            new.append(person)
    return _count(faces, new, len(people), "were not in the training set")


def _count(faces: FaceDataset, people: list[int], total: int, what: str) -> list[str]:
    if not people:
        return []
    return [
        f"the protocol is {faces.protocol!r}, but {len(people):,} of {total:,} people {what}, for "
        f"example {faces.identities[people[0]]!r}"
    ]
