"""``facehash people suggest``, ``cluster`` and ``ignore``."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from facehash.library.people.edit import name_faces
from facehash.library.storage.store import Store
from tests.library import vector_library


@pytest.fixture
def faces(tmp_path):
    """A library of six people with four faces each; two faces of Ann and of Bo are named."""
    with Store.create(tmp_path / "lib") as store:
        ids = vector_library.fill(store, vector_library.people(6, 4))
        faces = np.array(ids).reshape(6, 4)
        name_faces(store, "Ann", faces[0, :2].tolist())
        name_faces(store, "Bo", faces[1, :2].tolist())
        with io.BytesIO() as file:
            Image.new("RGB", (20, 20), (200, 30, 30)).save(file, "JPEG")
            store.database.run("UPDATE crops SET jpeg = ?", (file.getvalue(),))
    return faces


@pytest.fixture
def people(facehash, tmp_path, faces):
    def people(*words, code=0):
        found, out, err = facehash("people", *words, "--library", tmp_path / "lib")
        assert found == code, (out, err)
        return out if code < 2 else err

    return people


def names(people):
    listed = json.loads(people("list", "--json"))["people"]
    return {one["name"]: one["faces"] for one in listed}


def test_suggestions_are_listed_confirmed_and_rejected(people, faces):
    lines = people("suggest").splitlines()
    assert len(lines) == 5
    assert lines[-1] == (
        "4 suggestions for 20 faces without a name; probabilities: measured on 2,264 photos of LFW"
    )
    first = json.loads(people("suggest", "--json"))
    assert first["schema"] == 1 and first["unnamed_faces"] == 20
    record = first["suggestions"][0]
    assert lines[0].startswith(f" 99.9 %  {record['name']}  #{record['face_id']} /photos/")
    assert f"like #{record['nearest']}, distance {record['distance']:.3f}" in lines[0]
    assert {one["name"] for one in first["suggestions"]} == {"Ann", "Bo"}
    out = people("suggest", "--confirm", faces[0, 2], faces[1, 3])
    assert out.endswith("2 faces named\n") and names(people) == {"Ann": 3, "Bo": 3}
    out = people("suggest", "--reject", faces[0, 3], "--person", "Ann")
    assert out == "1 face will not be suggested as Ann again\n"
    # Without a person, it is not whom the library suggests.
    people("suggest", "--reject", faces[1, 2])
    assert people("suggest", code=1).startswith("0 suggestions for 18 faces")
    people("suggest", "--reject", faces[0, 3], "--person", "Ann", code=1)
    assert "reject  1 face not Bo" in people("undo")
    assert json.loads(people("suggest", "--json"))["suggestions"][0]["name"] == "Bo"


def test_sure_faces_are_named_at_once_and_undone(people):
    out = people("suggest", "--auto", 0.9)
    assert out.endswith("4 faces named\n") and len(out.splitlines()) == 5
    assert names(people) == {"Ann": 4, "Bo": 4}
    assert "auto" in people("undo", "--list").splitlines()[0]
    people("undo")
    out = json.loads(people("suggest", "--all-above", 0.9, "--person", "Bo", "--json"))
    assert [one["name"] for one in out["named"]] == ["Bo", "Bo"]
    people("suggest", "--auto", 1, code=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--confirm"], "--confirm needs numbers of faces, for example --confirm 17 23"),
        (["--confirm", "--reject", "1"], "give one of --confirm and --reject"),
        (["--auto", "0"], "--auto 0 would name every face"),
        (["--auto", "0.9", "3"], "--auto is about all faces; give no numbers"),
        (["--auto", "1.5"], "'--auto': Input should be less than or equal to 1"),
        (["--confirm", "1"], "face 1: nobody is suggested for it"),
        (["--person", "An"], "nobody is called 'An' (did you mean 'Ann'?)"),
        (["99"], "there is no face 99"),
    ],
)
def test_wrong_use_is_one_line(people, words, message):
    err = people("suggest", *words, code=2)
    assert message in err and err.count("\n") == 1


def test_clusters_are_listed_named_split_and_ignored(people, faces, tmp_path):
    page = tmp_path / "clusters.html"
    lines = people("cluster", "--html", page).splitlines()
    assert lines[-1] == (
        "6 clusters; 0 faces added to earlier clusters, 20 faces to new ones, 0 faces alone"
    )
    assert sum(line.startswith("cluster ") for line in lines) == 6
    text = page.read_text()
    assert text.count("<h2>") == 6 and text.count("data:image/jpeg;base64,") == 20
    assert "<script" not in text
    found = json.loads(people("cluster", "--json"))
    assert found["update"]["joined"] == found["update"]["new_clusters"] == 0
    by_face = {face["face_id"]: one["id"] for one in found["clusters"] for face in one["faces"]}
    third, fourth = (by_face[int(faces[person, 0])] for person in (2, 3))
    assert people("cluster", third, "--name", "Cy") == "4 faces named Cy\n"
    assert names(people)["Cy"] == 4
    out = people("cluster", fourth, "--split", faces[3, 0], "--split", faces[3, 1])
    assert out == "2 faces moved to cluster 7\n"
    assert f"#{faces[3, 0]} /photos/" in people("cluster", 7)
    assert people("cluster", fourth, "--ignore") == "2 faces ignored\n"
    shown = people("cluster", "--ignored").splitlines()
    assert shown[0] == f"cluster {fourth}: 2 faces (ignored)"
    assert people("cluster").count("\ncluster ") + 1 == 5  # two others, Ann's, Bo's and the new one
    assert people("cluster", fourth, "--unignore") == "2 faces no longer ignored\n"
    assert "all faces of cluster" in people("cluster", third, code=2)
    for words, message in (
        (["--name", "Zoe"], "give the number of a cluster"),
        ([fourth, "--name", "Zoe", "--ignore"], "give one of --name, --ignore"),
        ([99, "--ignore"], "there is no cluster 99"),
        (["--html", tmp_path / "lib" / "library.db"], "must end in .html"),
    ):
        err = people("cluster", *words, code=2)
        assert message in err and err.count("\n") == 1


def test_faces_are_ignored_listed_and_no_longer_ignored(people, faces):
    some = faces[4, :2].tolist()
    assert people("ignore", *some) == "2 faces ignored\n"
    assert people("ignore", *some, code=1) == "0 faces ignored\n"
    assert people("ignore", "--list").splitlines()[-1] == "2 faces ignored"
    listed = json.loads(people("ignore", "--list", "--json"))["ignored"]
    assert [one["face_id"] for one in listed] == some
    assert people("suggest").splitlines()[-1].startswith("4 suggestions for 18 faces")
    assert people("unignore", some[0]) == "1 face no longer ignored\n"
    assert "give numbers of faces, or --list" in people("ignore", code=2)
    assert "face 1 is of 'Ann'" in people("ignore", 1, code=2)
    assert "unignore  1 face no longer ignored" in people("undo", "--list")
