import numpy as np
import pytest

from facehash.library.people.edit import name_faces
from facehash.library.people.ignore import ignored_faces
from facehash.library.people.people import list_people
from facehash.library.storage.store import Store
from tests.library import vector_library

PEOPLE, FACES = 12, 4


@pytest.fixture
def faces(directory):
    """Four faces each of twelve people, of whom eight are known by two faces."""
    with Store.create(directory) as store:
        ids = vector_library.fill(store, vector_library.people(PEOPLE, FACES))
        faces = np.array(ids).reshape(PEOPLE, FACES)
        for person in range(8):
            name_faces(store, f"Person {person}", faces[person, :2].tolist())
    return faces


@pytest.fixture
def page(visit, directory, faces):
    return visit(library=directory)


@pytest.fixture
def library(directory):
    return directory


def names(library):
    with Store.open(library) as store:
        return {one.name: one.faces for one in list_people(store)}


def test_suggestions_are_confirmed_rejected_and_undone(page, library, faces):
    found = page.get("/api/v1/suggestions?most=100").json()
    assert (found["total"], found["unnamed"], len(found["suggestions"])) == (16, 32, 16)
    expected = {int(face): f"Person {who}" for who in range(8) for face in faces[who, 2:]}
    assert {one["face_id"]: one["name"] for one in found["suggestions"]} == expected
    first, second = found["suggestions"][:2]
    assert first["nearest_face_id"] in faces[:8, :2] and first["probability"] > 0.99
    text = page.get("/review").text
    assert text.count('class="card suggestion"') == 16 and "LFW" in text
    page.form("/review/answer", face=first["face_id"], name=first["name"], do="yes")
    assert names(library)[first["name"]] == 3
    answer = {"face_id": second["face_id"], "name": second["name"]}
    assert page.change("POST", "/api/v1/suggestions/reject", json=answer).status_code == 200
    left = page.get("/api/v1/suggestions?most=100").json()["suggestions"]
    gone = {first["face_id"], second["face_id"]}
    assert {one["face_id"] for one in left} == expected.keys() - gone
    newest = page.get("/api/v1/statements").json()[0]
    assert newest["kind"] == "reject"
    page.form("/people/undo", statement=newest["id"])
    left = page.get("/api/v1/suggestions?most=100").json()["suggestions"]
    assert {one["face_id"] for one in left} == expected.keys() - {first["face_id"]}
    assert page.form("/review/answer", face=1, name="Person 0", do="maybe").status_code == 400


def test_a_face_is_ignored_and_asked_about_again(page, library):
    face = page.get("/api/v1/suggestions").json()["suggestions"][0]["face_id"]
    page.form("/review/answer", face=face, name="Person 0", do="ignore")
    with Store.open(library) as store:
        assert ignored_faces(store) == {face}
    assert page.get("/api/v1/suggestions").json()["total"] == 15
    page.change("POST", "/api/v1/ignored/remove", json={"face_ids": [face]})
    assert page.get("/api/v1/suggestions").json()["total"] == 16


def test_a_group_of_unknown_faces_is_named_at_once_but_for_one(page, library, faces):
    assert page.get("/review/unknown").status_code == 200
    assert page.form("/review/group").headers["location"] == "/review/unknown"
    found = page.get("/api/v1/clusters?most=50").json()
    groups = {frozenset(one["face_ids"]): one["id"] for one in found["clusters"]}
    unknown = {frozenset(faces[who].tolist()) for who in range(8, 12)}
    assert unknown <= groups.keys()
    assert "Name of this group of 4 faces" in page.get("/review/unknown").text
    members = faces[8].tolist()
    group = groups[frozenset(members)]
    page.form(f"/review/unknown/{group}", do="name", name="Zoë", other=members[3])
    assert names(library)["Zoë"] == 3
    other = groups[frozenset(faces[9].tolist())]
    page.form(f"/review/unknown/{other}", do="ignore")
    ids = {one["id"] for one in page.get("/api/v1/clusters?most=50").json()["clusters"]}
    assert not {group, other} & ids
    hidden = page.get("/api/v1/clusters?ignored=true").json()["clusters"]
    assert [one["id"] for one in hidden] == [other]
    assert "Show again" in page.get("/review/unknown?ignored=1").text
    page.change("POST", f"/api/v1/clusters/{other}/show")
    assert page.get("/api/v1/clusters?ignored=true").json()["total"] == 0
    assert page.form(f"/review/unknown/{group}", do="name", name="").status_code == 400
    assert page.form("/review/unknown/999", do="name", name="X").status_code in (400, 404)


def test_a_library_without_probabilities_says_why(visit, tmp_path):
    with Store.create(tmp_path / "other") as store:
        ids = vector_library.fill(store, vector_library.people(3, 3), vector_library.OTHER)
        name_faces(store, "Ann", ids[:2])
    page = visit(library=tmp_path / "other")
    answer = page.get("/review")
    assert answer.status_code == 200 and str(tmp_path) not in answer.text
    assert "no suggestions for this library" in answer.text
    assert page.form("/review/group").status_code == 400
