import pytest

from facehash.errors import InputError
from facehash.library.people.edit import (
    merge_people,
    name_faces,
    rename_person,
    split_person,
    unname_faces,
    unname_person,
)
from facehash.library.people.people import list_people
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


@pytest.fixture
def store(index, directory):
    index(names="folders")
    with Store.open(directory) as store:
        assert counts(store) == {"Ann": (2, 2), "Bo": (1, 1), "Cy": (2, 2)}
        yield store


def counts(store):
    return {person.name: (person.faces, person.photos) for person in list_people(store)}


def ids_of(store, name):
    return [face.id for face in store.faces() if face.name == name]


def test_a_name_given_by_hand_is_never_overwritten_by_a_folder(store, index):
    [bo] = [person for person in list_people(store) if person.name == "Bo"]
    name_faces(store, " Zoe\u0308 ", [bo.face_id])
    index(names="folders")
    assert counts(store) == {"Ann": (2, 2), "Cy": (2, 2), "Zoë": (1, 1)}


def test_merged_people_stay_merged_when_photos_are_added(store, index, photos):
    assert merge_people(store, ["Ann", "Bo"], "Cy") == (3, 0)
    assert merge_people(store, ["Ann", "Bo"], "Cy") == (0, 0)
    assert counts(store) == {"Cy": (5, 5)}
    save(photos / "Ann" / "new.png", draw(70))
    index(names="folders")
    assert counts(store) == {"Cy": (6, 6)}


def test_a_command_means_the_person_it_says_and_not_one_of_that_earlier_name(store, index, photos):
    bo = ids_of(store, "Bo")
    merge_people(store, ["Bo"], "Ann")
    # Only naming and renaming make the earlier name one of a person of its own.
    for call in (
        lambda: merge_people(store, ["Bo"], "Cy"),
        lambda: merge_people(store, ["Cy"], "Bo"),
        lambda: rename_person(store, "Bo", "Eve"),
        lambda: split_person(store, "Bo", bo, "Eve"),
    ):
        with pytest.raises(LibraryError, match="'Bo' is an earlier name of 'Ann'"):
            call()
    assert name_faces(store, "Bo", bo) == "Ann"
    assert counts(store) == {"Ann": (2, 2), "Bo": (1, 1), "Cy": (2, 2)}
    save(photos / "Bo" / "new.png", draw(70))
    index(names="folders")
    assert counts(store)["Bo"] == (2, 2)
    merge_people(store, ["Bo"], "Ann")
    assert rename_person(store, "Cy", "Bo") == "Ann"
    assert counts(store) == {"Ann": (4, 4), "Bo": (2, 2)}


def test_faces_are_split_off_a_person(store):
    first, second = ids_of(store, "Ann")
    assert split_person(store, "Ann", [second], "Eve") is None
    assert counts(store) == {"Ann": (1, 1), "Bo": (1, 1), "Cy": (2, 2), "Eve": (1, 1)}
    for faces, into, message in (
        ([second], "Bo", f"face {second} is not of 'Ann': it is of 'Eve'"),
        (ids_of(store, None), "Bo", "is not of 'Ann': it has no name"),
        ([first], "Ann", "'Ann' has these faces already"),
    ):
        with pytest.raises(LibraryError, match=message):
            split_person(store, "Ann", faces, into)


def test_a_face_without_its_name_does_not_get_it_back_from_its_folder(store, index, photos, ask):
    [face] = ids_of(store, "Bo")
    assert unname_faces(store, [face]) == 1 and unname_faces(store, [face]) == 0
    assert index(names="folders").named == 0
    save(photos / "Bo" / "new.png", draw(70))
    assert index(names="folders").named == 1
    assert counts(store)["Bo"] == (1, 1) and len(ask("SELECT * FROM rejections")) == 1
    # A name given by hand says more.
    name_faces(store, "Bo", [face])
    assert counts(store)["Bo"] == (2, 2) and ask("SELECT * FROM rejections") == []


def test_the_name_of_a_person_is_taken_from_all_faces(store):
    merge_people(store, ["Bo"], "Ann")
    assert unname_person(store, "Ann") == (3, 0)
    assert counts(store) == {"Cy": (2, 2)}
    with pytest.raises(LibraryError, match="nobody is called 'Bo'"):
        unname_person(store, "Bo")


def test_names_that_are_taken_unknown_or_invalid_are_errors(store):
    with pytest.raises(LibraryError, match="there is a 'Bo' already; facehash people merge"):
        rename_person(store, "Ann", "Bo")
    with pytest.raises(LibraryError, match="nobody is called 'Ana' .did you mean 'Ann'"):
        rename_person(store, "Ana", "Eve")
    for names in (["Ann"], ["Ann", "Bo"]):
        with pytest.raises(LibraryError, match="same person already"):
            merge_people(store, names, "Ann")
    assert counts(store)["Ann"] == (2, 2)
    for name in ("  ", "a\nb", "x" * 201):
        with pytest.raises(InputError, match="a name"):
            name_faces(store, name, [1])
