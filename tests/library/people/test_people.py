import pytest

from facehash.errors import InputError
from facehash.library.people.people import list_people, merge_people, name_faces, rename_person
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


def test_a_name_given_by_hand_is_never_overwritten_by_a_folder(store, index):
    [bo] = [person for person in list_people(store) if person.name == "Bo"]
    name_faces(store, " Zoe\u0308 ", [bo.face_id])
    index(names="folders")
    assert counts(store) == {"Ann": (2, 2), "Cy": (2, 2), "Zoë": (1, 1)}


def test_merged_people_stay_merged_when_photos_are_added(store, index, photos):
    assert merge_people(store, ["Ann", "Bo"], "Cy") == 3
    assert merge_people(store, ["Ann", "Bo"], "Cy") == 0 == merge_people(store, ["Bo"], "Ann")
    assert counts(store) == {"Cy": (5, 5)}
    save(photos / "Ann" / "new.png", draw(70))
    index(names="folders")
    assert counts(store) == {"Cy": (6, 6)}


def test_names_that_are_taken_unknown_or_invalid_are_errors(store):
    with pytest.raises(LibraryError, match="there is a 'Bo' already; facehash people merge"):
        rename_person(store, "Ann", "Bo")
    with pytest.raises(LibraryError, match="nobody is called 'Ana' .did you mean 'Ann'"):
        rename_person(store, "Ana", "Eve")
    for names in (["Ann"], ["Ann", "Bo"]):
        with pytest.raises(LibraryError, match="same person already"):
            merge_people(store, names, "Ann")
    assert counts(store)["Ann"] == (2, 2)
    merge_people(store, ["Ann"], "Bo")
    with pytest.raises(LibraryError, match="'Ann' is an earlier name of 'Bo'"):
        rename_person(store, "Cy", "Ann")
    for name in ("  ", "a\nb", "x" * 201):
        with pytest.raises(InputError, match="a name"):
            name_faces(store, name, [1])
