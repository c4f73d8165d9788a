import dataclasses

import numpy as np
import pytest

from facehash.library.people.edit import name_faces, unname_faces
from facehash.library.people.ignore import ignore_faces
from facehash.library.people.journal import list_statements, undo
from facehash.library.people.suggest import confirm, name_automatically, reject, suggest
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from tests.library import vector_library
from tests.library.vector_library import OTHER, fill

PEOPLE, FACES = 12, 4
NAMES = [f"Person {number}" for number in range(PEOPLE)]


@pytest.fixture
def store(directory):
    with Store.create(directory) as store:
        yield store


@pytest.fixture
def faces(store):
    """Four faces each of twelve people, of whom eight are known by two faces."""
    ids = fill(store, vector_library.people(PEOPLE, FACES))
    faces = np.array(ids).reshape(PEOPLE, FACES)
    for person in range(8):
        name_faces(store, NAMES[person], faces[person, :2].tolist())
    return faces


def of(suggestions):
    return {one.face.id: one.name for one in suggestions.items}


def test_faces_of_known_people_are_suggested_and_no_others(store, faces):
    found = suggest(store)
    assert of(found) == {face: NAMES[person] for person in range(8) for face in faces[person, 2:]}
    assert (found.unnamed, found.without_detail) == (32, 0)
    assert found.calibration == "measured on 2,264 photos of LFW"
    chances = [one.probability for one in found.items]
    assert chances == sorted(chances, reverse=True) and 0.99 < chances[-1] < 1
    rows = dict(zip(faces.ravel().tolist(), vector_library.people(PEOPLE, FACES), strict=True))
    for one in found.items:
        named = [face for face in rows if NAMES[faces.tolist().index(row_of(faces, face))]
                 == one.name and face in faces[:, :2]]  # fmt: skip
        distances = {face: 1 - float(rows[face] @ rows[one.face.id]) for face in named}
        assert one.nearest == min(distances, key=distances.get)
        assert one.distance == pytest.approx(distances[one.nearest], abs=1e-6)
        assert one.second != one.name
    only = suggest(store, name="Person 3", faces=[*faces[3].tolist(), *faces[4].tolist()])
    assert of(only) == dict.fromkeys(faces[3, 2:], "Person 3")
    assert suggest(store, at_least=1.01).items == []


def row_of(faces, face):
    return next(row for row in faces.tolist() if face in row)


def test_suggestions_are_confirmed_and_undone(store, faces):
    pairs = [(one.face.id, one.name) for one in suggest(store).items if one.name != "Person 0"]
    assert confirm(store, pairs) == 14
    assert [face.named_by for face in store.faces([pairs[0][0]])] == ["user"]
    assert set(of(suggest(store)).values()) == {"Person 0"}
    assert list_statements(store)[0].kind == "confirm"
    undo(store)
    assert len(suggest(store).items) == 16


def test_a_rejected_suggestion_never_comes_back_until_it_is_undone(store, faces):
    face = int(faces[2, 2])
    assert reject(store, [face], "Person 2") == 1 and reject(store, [face], "Person 2") == 0
    assert face not in of(suggest(store)) and len(suggest(store).items) == 15
    newest = list_statements(store)[0]
    assert (newest.kind, newest.said) == ("reject", (("not Person 2", 1),))
    undo(store)
    assert of(suggest(store))[face] == "Person 2"
    # What was taken away by hand is a rejection too.
    name_faces(store, "Person 2", [face])
    unname_faces(store, [face])
    assert face not in of(suggest(store))


def test_the_next_person_is_suggested_instead(store):
    rows = vector_library.people(3, 4)
    ids = np.array(fill(store, np.concatenate([rows, rows[:4]]))).reshape(4, 4)
    name_faces(store, "Ann", ids[0].tolist())
    name_faces(store, "Twin", ids[3, :2].tolist())
    face = int(ids[3, 2])
    first = of(suggest(store, at_least=0.1))[face]
    second = {"Ann": "Twin", "Twin": "Ann"}[first]
    assert suggest(store, at_least=0.1, faces=[face]).items[0].second == second
    reject(store, [face], first)
    assert of(suggest(store, at_least=0.1))[face] == second
    # A face loses the name that it is rejected for.
    assert reject(store, ids[0, :1].tolist(), "Ann") == 1
    assert store.faces(ids[0, :1].tolist())[0].name is None


def test_faces_are_named_automatically_above_a_probability(store, faces):
    [least, *_] = [one.probability for one in suggest(store).items[::-1]]
    assert name_automatically(store, 1.01) == []
    named = name_automatically(store, least + 1e-12)
    assert len(named) == 15
    stored = {face.id: face for face in store.faces()}
    assert all(stored[one.face.id].name == one.name for one in named)
    # Like the names of a list: a name given by hand replaces them.
    assert {stored[one.face.id].named_by for one in named} == {"csv"}
    assert list_statements(store)[0].kind == "auto"
    undo(store)
    assert len(suggest(store).items) == 16


def test_ignored_faces_and_faces_without_detail_are_not_suggested(store, faces, ask):
    ignore_faces(store, faces[0, 2:].tolist())
    store.database.run("UPDATE faces SET quality = 0.05 WHERE id = ?", (int(faces[1, 2]),))
    found = suggest(store)
    assert set(faces[0, 2:]).isdisjoint(of(found)) and faces[1, 2] not in of(found)
    assert (found.unnamed, found.without_detail, len(found.items)) == (29, 1, 13)
    assert len(name_automatically(store, 0.5)) == 13


def test_a_person_is_on_a_photo_once_but_repeatedly_in_a_video(store):
    rows = vector_library.people(2, 4)
    ids = fill(store, rows, photos=[0, 1, 1, 2, 3, 4, 5, 6])
    name_faces(store, "Ann", ids[:1])
    name_faces(store, "Bo", ids[4:6])
    assert set(of(suggest(store))) & {*ids[1:4]} in ({ids[1], ids[3]}, {ids[2], ids[3]})
    # Ann's name on the photo leaves nobody for the other face.
    name_faces(store, "Ann", ids[1:2])
    assert set(of(suggest(store))) & {*ids[1:4]} == {ids[3]}
    store.database.run("UPDATE faces SET seconds = id WHERE photo_id = "
                       "(SELECT photo_id FROM faces WHERE id = ?)", (ids[1],))  # fmt: skip
    assert set(of(suggest(store))) & {*ids[1:4]} == {ids[2], ids[3]}


def test_without_names_there_are_no_suggestions(store):
    fill(store, vector_library.people(2, 3))
    found = suggest(store)
    assert (found.items, found.unnamed, found.calibration) == ([], 6, "nobody has a name yet")
    assert name_automatically(store, 0.9) == []


def test_another_embedder_is_calibrated_on_the_names_of_the_library(store):
    rows = vector_library.people(30, 6)
    ids = np.array(fill(store, rows, OTHER)).reshape(30, 6)
    for person in range(19):
        name_faces(store, f"Person {person}", ids[person, :5].tolist())
    with pytest.raises(LibraryError, match="embedder other; they are measured .* 20 people"):
        suggest(store)
    for person in range(19, 25):
        name_faces(store, f"Person {person}", ids[person, :5].tolist())
    found = suggest(store, at_least=0.9)
    assert found.calibration == "measured on the 125 named faces of this library"
    assert of(found) == {int(ids[person, 5]): f"Person {person}" for person in range(25)}


@pytest.mark.parametrize("metric", ["hamming", "euclidean"])
def test_codes_and_euclidean_vectors_have_suggestions_too(store, metric):
    rows = vector_library.people(30, 6)
    settings = dataclasses.replace(OTHER, metric=metric)
    ids = np.array(fill(store, rows, settings)).reshape(30, 6)
    if metric == "hamming":
        codes = np.packbits(rows > 0, axis=1, bitorder="little")
        for face, code in zip(ids.ravel().tolist(), codes, strict=True):
            store.database.run(
                "UPDATE faces SET code = ?, embedding = NULL WHERE id = ?", (code.tobytes(), face)
            )
    for person in range(25):
        name_faces(store, f"Person {person}", ids[person, :5].tolist())
    found = suggest(store, at_least=0.9)
    assert len(found.items) > 15
    assert all(one.face.id == ids[int(one.name.split()[1]), 5] for one in found.items)


def test_unknown_people_and_faces_are_errors(store, faces):
    with pytest.raises(LibraryError, match="nobody is called 'Zoe'"):
        suggest(store, name="Zoe")
    with pytest.raises(LibraryError, match="nobody is called 'Zoe'"):
        reject(store, [1], "Zoe")
    for wrong in (
        lambda: suggest(store, faces=[999]),
        lambda: confirm(store, [(999, "Ann")]),
        lambda: reject(store, [999], "Person 1"),
    ):
        with pytest.raises(LibraryError, match="there is no face 999"):
            wrong()
