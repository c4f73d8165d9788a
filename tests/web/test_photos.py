import os

from tests.commands.test_photos import dated


def test_photos_are_shown_and_sorted_by_the_date_on_which_they_were_taken(visit, index, photos):
    dated(photos / "Ann" / "old.jpg", 21, "1999:12:31 23:59:58")
    dated(photos / "Ann" / "new.jpg", 22, "2031:07:04 05:06:07")
    file = photos / "Ann" / "0.png"
    os.utime(file, (1_000_000_000, 1_000_000_000))  # 9 September 2001
    index(names="folders")
    page = visit()
    listed = page.get("/api/v1/photos").json()["photos"]
    names = [one["file"] for one in listed]
    assert names[0] == "new.jpg" and names[-2:] == ["0.png", "old.jpg"]
    assert [listed[i]["taken"] for i in (0, -2, -1)] == [
        "2031-07-04T05:06:07", None, "1999-12-31T23:59:58",
    ]  # fmt: skip
    assert listed[-2]["date"] == "2001-09-09"
    [ann] = [one for one in page.get("/api/v1/people").json()["people"] if one["name"] == "Ann"]
    of_ann = page.get(f"/api/v1/people/{ann['id']}").json()["photo_list"]
    assert [one["file"] for one in of_ann] == ["new.jpg", "1.png", "0.png", "old.jpg"]
    for address in ("/photos", f"/people/{ann['id']}"):
        text = page.get(address).text
        years = [text.index(f">{year}</h2>") for year in (2031, 2001, 1999)]
        assert years == sorted(years)
        assert '<time datetime="1999-12-31T23:59:58">31 December 1999</time>' in text
        assert 'file from <time datetime="2001-09-09">9 September 2001</time>' in text
    old = page.get(f"/photos/{listed[-1]['id']}").text
    assert 'Taken on <time datetime="1999-12-31T23:59:58">31 December 1999, 23:59</time>' in old
    unknown = page.get(f"/photos/{listed[-2]['id']}").text
    assert "unknown; the file is from" in unknown and "9 September 2001" in unknown


def test_the_photo_of_a_forgotten_face_is_shown_but_no_copy_of_it_kept(page, library):
    listed = page.get("/api/v1/photos").json()["photos"]
    [party] = [one for one in listed if one["file"] == "party.png"]
    address = f"/photos/{party['id']}/thumbnail"
    assert page.get(address).status_code == 200 and any((library / "thumbnails").iterdir())
    asked = page.get(f"/faces/{party['face_ids'][0]}/forget").text
    assert "without a frame or name for this face" in asked
    done = page.form(f"/faces/{party['face_ids'][0]}/forget").text
    assert "1 photo with other faces remains; the page shows it from your own files" in done
    assert not any((library / "thumbnails").iterdir())
    assert page.get(address).content[:2] == b"\xff\xd8"
    assert page.get(f"/photos/{party['id']}/image").content[:2] == b"\xff\xd8"
    assert not any((library / "thumbnails").iterdir())
    [left] = page.get(f"/api/v1/photos/{party['id']}").json()["faces"]
    assert left["id"] == party["face_ids"][1]
