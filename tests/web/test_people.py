import html
import re

from facehash.library.people.people import list_people
from facehash.library.storage.store import Store
from tests.conftest import ROOT
from tests.library.conftest import draw, save, traces, what_is_stored_of


def names(library):
    with Store.open(library) as store:
        return {one.name: one.faces for one in list_people(store)}


def ids(page):
    return {one["name"]: one["id"] for one in page.get("/api/v1/people").json()["people"]}


def test_people_are_shown_with_their_best_face_and_photos_by_date(page):
    found = page.get("/api/v1/people").json()
    assert (found["total"], found["unnamed_faces"]) == (3, 2)
    ann = ids(page)["Ann"]
    details = page.get(f"/api/v1/people/{ann}").json()
    assert [one["file"] for one in details["photo_list"]] == ["1.png", "0.png"]
    assert details["photo_list"][0]["path"] is None
    text = page.get("/people").text
    assert all(f">{name}</b>" in text for name in ("Ann", "Bo", "Cy"))
    assert page.get(f"/people/{ann}").status_code == 200
    assert page.get(f"/faces/{found['people'][0]['face_id']}/crop").content[:2] == b"\xff\xd8"
    assert page.get("/people/99").status_code == page.get("/api/v1/people/99").status_code == 404


def test_rename_merge_with_preview_and_undo(page, library):
    known = ids(page)
    answer = page.form(f"/people/{known['Ann']}/rename", name="Aunt Ann")
    assert answer.headers["location"] == f"/people/{known['Ann']}"
    assert "Ann is now Aunt Ann." in page.get(answer.headers["location"]).text
    preview = page.get(f"/people/merge?person={known['Ann']}&person={known['Bo']}").text
    assert "All 3 faces will be called <b>Aunt Ann</b>" in preview
    assert names(library) == {"Aunt Ann": 2, "Bo": 1, "Cy": 2}
    page.form("/people/merge", person=known["Bo"], into=known["Ann"])
    assert names(library) == {"Aunt Ann": 3, "Cy": 2}
    newest = page.get("/api/v1/statements").json()[0]
    assert newest["kind"] == "merge" and newest["text"] == "merged: 1 face: Bo → Aunt Ann"
    assert page.form("/people/undo", statement=newest["id"]).status_code == 303
    assert names(library) == {"Aunt Ann": 2, "Bo": 1, "Cy": 2}
    # A second window still shows the button.
    late = page.form("/people/undo", statement=newest["id"])
    assert late.status_code == 409 and "undone already" in late.text
    assert names(library) == {"Aunt Ann": 2, "Bo": 1, "Cy": 2}


def test_names_that_wait_for_a_photo_are_counted_in_a_merge_and_its_undo(
    page, library, index, photos
):
    known = ids(page)
    [face] = page.get(f"/api/v1/people/{known['Bo']}").json()["photo_list"][0]["face_ids"]
    cy = page.get(f"/api/v1/people/{known['Cy']}").json()["photo_list"]
    both = [face, cy[0]["face_ids"][0]]
    eve = page.change("POST", "/api/v1/names", json={"name": "Eve", "face_ids": both}).json()
    (photos / "Cy" / cy[0]["file"]).unlink()
    index()
    merge = {"people": [eve["person_id"]], "into": known["Ann"]}
    done = page.change("POST", "/api/v1/merge", json=merge).json()
    assert done["message"] == "Eve merged into Ann; 1 name waits for a photo"
    newest = page.get("/api/v1/statements").json()[0]["id"]
    undone = page.change("POST", f"/api/v1/statements/{newest}/undo").json()["message"]
    assert undone == "undone: merged: 2 faces: Eve → Ann; 1 name waits until the photo is back"
    assert names(library)["Eve"] == 1


def test_what_cannot_be_undone_any_more_is_counted(page, library):
    face = page.get(f"/api/v1/people/{ids(page)['Bo']}").json()["photo_list"][0]["face_ids"][0]
    page.change("POST", "/api/v1/names", json={"name": "Eve", "face_ids": [face]})
    newest = page.get("/api/v1/statements").json()[0]["id"]
    with Store.open(library) as store:  # as a list of names does that was read meanwhile
        store.database.run("INSERT INTO people (name) VALUES ('Other')")
        store.database.run(
            "UPDATE faces SET named_by = 'csv', person_id = "
            "(SELECT id FROM people WHERE name = 'Other') WHERE id = ?",
            (face,),
        )
    undone = page.change("POST", f"/api/v1/statements/{newest}/undo").json()["message"]
    assert undone.endswith("; not undone for 1 face, gone or changed since then")


def test_every_kind_of_statement_has_words():
    from facehash.library.people.names import parse_names
    from facehash.web.service.people import _KINDS

    source = "".join(path.read_text() for path in (ROOT / "facehash" / "library").rglob("*.py"))
    kinds = set(re.findall(r'statement\(store, "([\w-]+)"', source)) | {"list"}
    kinds |= {parse_names(kind, ROOT).kind for kind in ("xmp", "picasa", "takeout")}
    assert {"merge", "ignore", "xmp"} < kinds and kinds <= _KINDS.keys()
    # Nobody should have to know the name of an option.
    assert not {"xmp", "takeout", "csv"} & set(" ".join(_KINDS.values()).split())


def test_statements_say_what_was_said_about_faces(page):
    page.change("POST", "/api/v1/ignored", json={"face_ids": [6, 7]})
    [newest] = [one["text"] for one in page.get("/api/v1/statements").json()[:1]]
    assert newest == "ignored: 2 faces"
    page.change("POST", "/api/v1/suggestions/reject", json={"face_id": 6, "name": "Ann"})
    assert page.get("/api/v1/statements").json()[0]["text"] == "rejected: 1 face not Ann"


def test_merging_one_person_says_what_is_missing(page):
    one = ids(page)["Bo"]
    answer = page.get(f"/people/merge?person={one}")
    assert answer.headers["location"] == "/people"
    assert "at least two people" in page.get("/people").text
    assert page.form("/people/merge", person=one, into=one).status_code == 400


def test_faces_are_split_and_unnamed(page, library):
    cy = ids(page)["Cy"]
    first, second = page.get(f"/api/v1/people/{cy}").json()["photo_list"]
    [face], [other] = first["face_ids"], second["face_ids"]
    answer = page.form(f"/people/{cy}/faces", face=face, do="split", name="Dora")
    assert "1 face of Cy named Dora." in page.get(answer.headers["location"]).text
    assert names(library) == {"Ann": 2, "Bo": 1, "Cy": 1, "Dora": 1}
    answer = page.form(f"/people/{cy}/faces", face=other, do="unname")
    assert answer.headers["location"] == "/people"  # nothing is left of Cy
    assert names(library) == {"Ann": 2, "Bo": 1, "Dora": 1}
    assert page.form(f"/people/{cy}/faces", do="unname").status_code == 400


def test_a_face_of_a_photo_is_named_and_unnamed(page, library):
    listed = page.get("/api/v1/photos").json()["photos"]
    [photo] = [one["id"] for one in listed if one["file"] == "party.png"]
    faces = page.get(f"/api/v1/photos/{photo}").json()["faces"]
    assert [one["name"] for one in faces] == [None, None]
    page.form(f"/photos/{photo}/name", face=faces[1]["id"], name="  Zoë & <b>", do="name")
    assert names(library)["Zoë & <b>"] == 1
    text = page.get(f"/photos/{photo}").text
    assert html.escape("Zoë & <b>") in text and '<b>"' not in text
    page.form(f"/photos/{photo}/name", face=faces[1]["id"], do="unname")
    assert "Zoë & <b>" not in names(library)
    empty = page.form(f"/photos/{photo}/name", face=faces[1]["id"], name="", do="name")
    assert empty.status_code == 400 and "must not be empty" in empty.text


def test_nothing_is_left_of_a_person_who_is_forgotten(page, library, photos):
    known = ids(page)
    page.get("/api/v1/faces/1/similar")  # the searching thread maps the index
    for photo in page.get("/api/v1/photos").json()["photos"]:
        page.get(f"/photos/{photo['id']}/thumbnail")
    needles = [*filter(None, what_is_stored_of(library, "Cy")), b"/Cy/"]
    assert traces(library, *needles) == needles and any((library / "thumbnails").iterdir())
    assert "cannot be undone" in page.get(f"/people/{known['Cy']}/forget").text
    done = page.form(f"/people/{known['Cy']}/forget")
    assert "2 faces and 2 photos are deleted" in done.text and "no name, picture" in done.text
    assert traces(library, *needles) == [] and not any((library / "thumbnails").iterdir())
    hits = page.get("/api/v1/faces/1/similar?k=50").json()["hits"]
    assert {one["name"] for one in hits} == {"Ann", "Bo", None}
    assert page.get(f"/people/{known['Cy']}").status_code == 404
    face = page.change("DELETE", "/api/v1/faces/1").json()
    assert (face["faces"], face["erased"]) == (1, True)


def test_a_library_in_use_is_said_to_be_busy(page, library):
    from facehash.library.storage.folder import write_lock

    with write_lock(library, "index"):
        answer = page.form(f"/people/{ids(page)['Bo']}/rename", name="Bob")
    assert answer.status_code == 409 and "is writing to it" in answer.text
    assert "Bo" in names(library)


def test_photos_are_shown_by_id_and_only_with_their_indexed_content(page, photos, tmp_path):
    found = {one["file"]: one["id"] for one in page.get("/api/v1/photos").json()["photos"]}
    image = page.get(f"/api/v1/photos/{found['party.png']}/image")
    assert image.headers["content-type"] == "image/jpeg"
    assert page.get(f"/photos/{found['party.png']}/thumbnail").status_code == 200
    # Another picture, or a link to one, in its place.
    secret = save(tmp_path / "secret.png", draw(77))
    (photos / "party.png").unlink()
    (photos / "party.png").symlink_to(secret)
    answer = page.get(f"/photos/{found['party.png']}/image")
    assert answer.status_code == 404 and "has changed" in answer.text


def test_a_missed_face_is_added_named_and_removed(page, library, ask):  # noqa: F811
    [(photo,)] = ask("SELECT photo_id FROM paths WHERE CAST(path AS TEXT) LIKE '%night.png'")
    given = {"box": [2, 3, 12, 14], "name": "Night"}
    added = page.change("POST", f"/api/v1/photos/{photo}/faces", json=given)
    assert added.status_code == 201 and names(library)["Night"] == 1
    face = added.json()["face_id"]
    [known] = page.get(f"/api/v1/photos/{photo}").json()["faces"]
    assert (known["id"], known["box"], known["added_by_hand"]) == (face, [2, 3, 12, 14], True)
    again = page.change("POST", f"/api/v1/photos/{photo}/faces", json=given)
    assert again.status_code == 400 and str(face) in again.json()["error"]
    assert "is added" not in page.form(f"/photos/{photo}/faces", x="a", y=1, w=9, h=9).text
    assert page.form(f"/photos/{photo}/remove", face=face).status_code == 303
    assert "Night" not in names(library)
    newest = page.get("/api/v1/statements").json()[0]["id"]
    assert page.form("/people/undo", statement=newest).status_code == 303
    [back] = page.get(f"/api/v1/photos/{photo}").json()["faces"]
    assert (back["box"], back["name"]) == ([2, 3, 12, 14], "Night")
    refused = page.change("POST", "/api/v1/faces/1/remove-added")
    assert refused.status_code == 400 and "found by the detector" in refused.json()["error"]
    assert "facehash forget" not in refused.json()["error"]
