import json
import re
import shutil

import pytest

from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


@pytest.fixture
def people(facehash, library):
    """Run a command of ``facehash people``; return its output, which must be without errors."""

    def people(*words):
        code, out, err = facehash("people", *words, "--library", library)
        assert (code, err) == (0, ""), (out, err)
        return out

    return people


@pytest.fixture
def ids(library):
    """Return the numbers of the faces of a person."""

    def ids(name):
        with Store.open(library) as store:
            return [face.id for face in store.faces() if face.name == name]

    return ids


def test_people_are_listed_named_merged_and_renamed(facehash, people, library, photos):
    assert people("list").splitlines() == [
        "Ann       2 faces on 2 photos",
        "Bo         1 face on 1 photo",
        "Cy        2 faces on 2 photos",
        "3 people; 2 faces without a name",
    ]
    _, out, _ = facehash("search", photos / "party.png", "--library", library, "-k", 1)
    faces = re.findall(r"#(\d+)", out)
    assert people("name", "Dora", *faces) == "2 faces named Dora\n"
    assert people("merge", "Ann", "Bo", "--into", "Cy") == "3 faces named Cy\n"
    assert people("rename", "Cy", "Cyd") == "Cy is now Cyd\n"
    assert [line.split()[:2] for line in people("list").splitlines()[:2]] == [
        ["Cyd", "5"],
        ["Dora", "2"],
    ]


def test_messages_are_about_what_is_stored(people, ids):
    [bo] = ids("Bo")
    people("merge", "Bo", "--into", "Ann")
    # Printed once per face, with the stored form of the name.
    assert people("name", " Bo ", bo, bo) == (
        "1 face named Bo\n"
        "Bo was an earlier name of Ann; folders and lists with this name no longer mean Ann\n"
    )
    assert people("list").splitlines()[:2] == [
        "Ann       2 faces on 2 photos",
        "Bo         1 face on 1 photo",
    ]
    assert people("split", "Ann", ids("Ann")[0], "--into", "Eve") == (
        "1 face named Eve; 1 face left of Ann\n"
    )
    assert people("unname", ids("Eve")[0]) == "1 face without a name now\n"
    assert people("unname", "--person", "Cy") == "2 faces without a name now\n"


def test_commands_are_listed_and_undone(people, facehash, library, ids):
    before = people("list")
    people("merge", "Bo", "--into", "Ann")
    people("rename", "Ann", "Anna")
    listed = people("undo", "--list").splitlines()
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.fullmatch(f"  1  {date}  rename  Ann -> Anna", listed[0])
    assert re.fullmatch(f"  2  {date}  merge  1 face: Bo -> Anna", listed[1])
    out = people("undo", "--steps", 2)
    assert re.fullmatch(f"undone: {date}  rename  Ann -> Anna\nundone: .*merge.*\n", out)
    assert people("list") == before
    for words in (("undo",), ("undo", "--list"), ("purge",)):
        code, out, _ = facehash("people", *words, "--library", library)
        assert code == 1, out


def test_parked_names_are_reported_listed_and_purged(people, facehash, library, photos, ids):
    people("name", "Dora", *ids(None))
    people("name", "Bob", *ids("Bo"))
    shutil.move(photos / "party.png", photos.parent / "away.png")
    index = ("index", photos, "--library", library, "--workers", 1)
    code, out, err = facehash(*index)
    assert code == 0 and "names given: 1 kept, 2 parked until the photo is back\n" in out
    assert err.count(f"parked: Dora, the photo {photos}/party.png is gone\n") == 2
    assert facehash(*index)[1].endswith("names given: 1 kept, 2 parked earlier\n")
    assert people("list").endswith("2 names parked until the photo is back (--parked)\n")
    assert people("list", "--parked").splitlines() == [
        f"Dora  the photo is gone: {photos}/party.png",
        f"Dora  the photo is gone: {photos}/party.png",
        "2 names parked",
    ]
    listed = json.loads(people("list", "--json"))
    assert listed["schema"] == 1 and listed["unnamed_faces"] == 0
    assert [one["name"] for one in listed["people"]] == ["Ann", "Bob", "Cy"]
    assert {(one["name"], one["reason"]) for one in listed["parked"]} == {("Dora", "gone")}
    assert people("unname", "--person", "Dora") == (
        "0 faces without a name now\n2 parked names taken away too (facehash people undo)\n"
    )
    assert people("undo").endswith("2 names parked until the photo is back\n")
    people("name", "Eve", *ids("Bob"))
    assert people("merge", "Dora", "--into", "Eve") == "0 faces named Eve\n2 parked names too\n"
    assert people("unname", "--person", "Eve").endswith(
        "no longer known: the earlier name Dora of Eve\n"
    )
    people("undo", "--steps", 3)
    shutil.move(photos.parent / "away.png", photos / "new.png")
    assert "names given: 1 kept, 2 given back\n" in facehash(*index)[1]
    (photos / "new.png").unlink()
    facehash(*index)
    assert people("purge") == "2 parked names deleted\n"
    assert people("purge", "--history") == (
        "0 parked names deleted\n1 statement deleted from the history\n"
    )


def test_earlier_names_are_in_the_json(people):
    people("rename", "Bo", "Bob")
    listed = json.loads(people("list", "--json"))["people"]
    assert listed[1] == {
        "name": "Bob", "earlier_names": ["Bo"], "faces": 1, "photos": 1, "face_id": 3,
    }  # fmt: skip


def test_mistakes_are_one_line(facehash, library):
    for words in (
        ("rename", "Ana", "X"),
        ("merge", "Ann", "--into", "Nobody"),
        ("name", "Ann", "99"),
        ("unname",),
        ("unname", "1", "--person", "Ann"),
        ("split", "Ann", "99", "--into", "X"),
        ("purge", "--person", "Nobody"),
    ):
        code, _, err = facehash("people", *words, "--library", library)
        assert (code, err.count("\n")) == (2, 1), (words, err)


def test_lists_report_what_they_did(facehash, library, photos, tmp_path):
    file = tmp_path / "names.csv"
    index = ("index", photos, "--library", library, "--workers", 1, "--names", f"csv:{file}")
    file.write_text("path,name\nparty.png,Dora\nBo/0.png,Bob\nno.png,X\n")
    code, out, err = facehash(*index)
    assert code == 0 and out.endswith("1 face named\n1 face renamed\n")
    assert err == f"in the list of names, but no such face: {photos}/no.png\n"
    file.write_text("path,name\nparty.png,Dorothy\n")
    out = facehash(*index)[1]
    assert "1 face not named anew, because of a name or a" in out
    assert out.startswith("0 new photos") and "--replace-names" in out
    out = facehash(*index, "--replace-names")[1]
    assert out.endswith("1 face renamed\n1 face without a name now\n")
    file.write_text("path,name\nno.png,X\n")
    code, out, err = facehash(*index)
    assert (code, out, err.count("\n")) == (2, "", 1)
    file.write_text("path,name,face\nparty.png,X,3\n")
    code, _, err = facehash(*index)
    assert code == 2 and err.endswith("facehash: no line of the list names a face of the library\n")


def test_a_missing_folder_exits_with_3_and_is_named(facehash, library, photos, tmp_path):
    shutil.move(photos / "Cy", tmp_path / "away")
    index = ("index", photos, "--library", library, "--workers", 1)
    code, out, err = facehash(*index)
    assert code == 3 and "removed" not in out
    assert err == (
        f"kept: 2 files of {photos}/Cy, where none is left; is a drive missing? (--allow-missing "
        "removes them)\n"
    )
    code, out, _ = facehash(*index, "--allow-missing")
    assert code == 0 and "2 files removed" in out


def test_a_photo_in_two_folders_is_named(facehash, library, photos):
    save(photos / "Bo" / "same.png", draw(80))
    shutil.copy(photos / "Bo" / "same.png", photos / "Cy" / "same.png")
    words = ("index", photos, "--library", library, "--workers", 1, "--names", "folders")
    code, _, err = facehash(*words)
    assert code == 0
    assert err == f"no name, because it is in the folders of two people: {photos}/Bo/same.png\n"
