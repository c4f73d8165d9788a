import io
import os
import re

import numpy as np
import pytest
from PIL import Image

from facehash.images.video import read_frame
from tests.commands.test_photos import dated
from tests.library.conftest import draw, traces
from tests.library.videos import write_video


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


@pytest.fixture
def film(photos, index):
    """A video of 9 seconds with a face at 0, 3 and 6 seconds, and two at 9 and later."""
    pictures = [draw(seed, 44, 44) for seed in (73, 74)]
    scenes = [(3, [(pictures[i], 10, 0)]) for i in (0, 1, 0)]
    path = write_video(photos / "clip.mp4", scenes, 10, "mp4v", (64, 64))
    index(names="folders", videos=True)
    return path


def close(jpeg, pixels):
    """Return whether a JPEG shows these pixels, and not those of another scene."""
    shown = np.asarray(Image.open(io.BytesIO(jpeg)).resize((64, 64)), float)
    return np.abs(shown - pixels).mean() < 6


def test_a_video_is_shown_time_by_time(visit, film, library, ask):  # noqa: F811
    page = visit()
    [listed] = [one for one in page.get("/api/v1/photos").json()["photos"] if one["seconds"]]
    assert listed["file"] == "clip.mp4" and 8.8 <= listed["seconds"] <= 9
    video = page.get(f"/api/v1/photos/{listed['id']}").json()
    assert [one["seconds"] for one in video["moments"]] == [0, 3, 6]
    assert [len(one["face_ids"]) for one in video["moments"]] == [1, 1, 1]
    assert [(one["first_seconds"], one["last_seconds"]) for one in video["faces"]] == [
        (0, 2), (3, 5), (6, 8),
    ]  # fmt: skip
    frames = [read_frame(film, at).pixels.astype(float) for at in (0.0, 3.0)]
    assert np.abs(frames[0] - frames[1]).mean() > 20
    for place, moment in enumerate(video["moments"]):
        [face] = moment["face_ids"]
        text = page.get(f"/photos/{listed['id']}?face={face}").text
        # The frame and the box of this time, and links to the others.
        assert f'<image href="/photos/{listed["id"]}/image?face={face}"' in text
        assert text.count("<rect") == 1 and f'id="face-{face}"' in text
        assert re.findall(r'\?face=(\d+)"( aria-current="true")?>', text) == [
            (str(one["face_ids"][0]), ' aria-current="true"' * (one is moment))
            for one in video["moments"]
        ]
        assert ">0:03" in text.replace("\n", "") and "video of 0:0" in text
        assert "Add a face" not in text
        for kind in ("image", "thumbnail"):
            for root in ("", "/api/v1"):
                jpeg = page.get(f"{root}/photos/{listed['id']}/{kind}?face={face}").content
                assert close(jpeg, frames[place % 2]) and not close(jpeg, frames[1 - place % 2])
    # Each is made once and kept, private like the rest, until a face is forgotten.
    kept = sorted((library / "thumbnails").iterdir())
    [(digest,)] = ask("SELECT hex(digest) FROM photos WHERE id = ?", listed["id"])
    assert [one.name for one in kept] == [
        f"{digest.lower()}-{side}-{at}.jpg" for side in (1600, 480) for at in (0, 3000, 6000)
    ]
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}
    film.unlink()
    assert page.get(f"/photos/{listed['id']}/image?face={face}").status_code == 200
    shown = [one.read_bytes()[200:] for one in kept]
    page.form(f"/faces/{face}/forget")
    assert traces(library, *shown) == [] and not list((library / "thumbnails").iterdir())
    assert page.get(f"/photos/{listed['id']}/image?face={face}").status_code == 404


def test_the_hits_of_a_video_show_its_frames(visit, film):
    page = visit()
    [video] = [one for one in page.get("/api/v1/photos").json()["photos"] if one["seconds"]]
    first, second, third = sorted(video["face_ids"])
    hits = page.get(f"/api/v1/faces/{first}/similar").json()["hits"]
    assert (hits[0]["face_id"], hits[0]["seconds"]) == (third, 6)
    assert {one["seconds"] for one in hits if one["photo_id"] != video["id"]} == {None}
    text = page.get(f"/faces/{first}/similar").text
    assert f'href="/photos/{video["id"]}/thumbnail?face={third}"' in text
    assert f'href="/photos/{video["id"]}?face={third}"' in text
    assert '<span class="time">0:06</span>' in text and "at 0:00" in text
    named = page.form(f"/photos/{video['id']}/name", face=second, name="Eve", do="name")
    assert named.headers["location"] == f"/photos/{video['id']}?face={second}"
    [eve] = [one for one in page.get("/api/v1/people").json()["people"] if one["name"] == "Eve"]
    # The picture of the person's own time, and the length of the video.
    text = page.get(f"/people/{eve['id']}").text
    assert f'src="/photos/{video["id"]}/thumbnail?face={second}" alt="Video clip.mp4"' in text
    assert '<span class="time">0:0' in text


@pytest.mark.parametrize("damage", ["gone", "changed", "damaged"])
def test_faces_of_a_video_that_cannot_be_read_stay_visible(visit, film, index, damage, ask):  # noqa: F811
    page = visit()
    [video] = [one for one in page.get("/api/v1/photos").json()["photos"] if one["seconds"]]
    if damage == "gone":
        film.unlink()
    elif damage == "changed":
        film.write_bytes(film.read_bytes() + b"x")
    else:
        # What is stored is the digest of a file that no decoder can read.
        film.write_bytes(film.read_bytes()[:600])
        _store_digest_of(film, page.app_options.library, video["id"])
    face = video["face_ids"][1]
    answer = page.get(f"/photos/{video['id']}/image?face={face}")
    assert answer.status_code == 404
    text = page.get(f"/photos/{video['id']}?face={face}").text
    assert "This picture cannot be shown." in text and f'src="/faces/{face}/crop"' in text
    assert page.get(f"/faces/{face}/crop").content[:2] == b"\xff\xd8"
    # Photos are decoded by another process, and go on.
    assert page.get("/photos/1/thumbnail").status_code == 200


def _store_digest_of(path, library, photo):
    import hashlib

    from tests.library.conftest import alter

    digest = hashlib.sha256(path.read_bytes()).digest()
    alter(library, ("UPDATE photos SET digest = ? WHERE id = ?", digest, photo))


def test_a_frame_is_shown_of_faces_of_this_video_only(visit, film):
    page = visit()
    photos = page.get("/api/v1/photos").json()["photos"]
    [video] = [one for one in photos if one["seconds"]]
    other = next(one for one in photos if not one["seconds"])
    for path in (f"/photos/{video['id']}/image?face={other['face_ids'][0]}",
                 f"/api/v1/photos/{other['id']}/image?face={video['face_ids'][0]}"):  # fmt: skip
        assert page.get(path).status_code == 404
    assert page.get(f"/photos/{video['id']}/image?face=x").status_code == 422
    # A page with a face that is gone shows the first time.
    text = page.get(f"/photos/{video['id']}?face=99999").text
    assert f"/image?face={min(video['face_ids'])}" in text
    missed = {"box": [2, 2, 20, 20], "name": ""}
    refused = page.change("POST", f"/api/v1/photos/{video['id']}/faces", json=missed)
    assert refused.status_code == 400 and "is a video" in refused.json()["error"]


def test_a_long_list_of_times_is_shown_around_the_chosen_one(visit, film, monkeypatch):
    monkeypatch.setattr("facehash.web.pages.photos._MOMENTS", 1)
    page = visit()
    [video] = [one for one in page.get("/api/v1/photos").json()["photos"] if one["seconds"]]
    text = page.get(f"/photos/{video['id']}?face={sorted(video['face_ids'])[1]}").text
    assert text.count('<li><a href="/photos/') == 1
    first, last = (f"?face={min(video['face_ids'])}", f"?face={max(video['face_ids'])}")
    assert f'{first}">1 before' in text and f'{last}">1 more' in text
