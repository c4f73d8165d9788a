import re

import numpy as np
import pytest

from facehash.library.query.library import open_library
from tests.library import fakes
from tests.library.conftest import draw
from tests.web.conftest import png


def test_an_upload_finds_what_the_command_finds(page, library):
    info = page.upload(draw(3)).json()
    assert (info["name"], info["width"], [one["box"] for one in info["faces"]]) == (
        "query.png", 40, [[0, 0, 40, 40]],
    )  # fmt: skip
    assert 1795 < info["expires_in"] <= 1800
    found = page.get(f"/api/v1/queries/{info['id']}/results?k=5").json()
    with open_library(library, make_pipeline=fakes.make_pipeline) as opened:
        [result] = opened.search(draw(3), k=5)
    assert [(one["face_id"], one["shown_name"], one["files"]) for one in found["hits"]] == [
        (hit.face_id, hit.shown_name, [hit.path.name]) for hit in result.hits
    ]
    np.testing.assert_allclose(
        [one["distance"] for one in found["hits"]], [hit.distance for hit in result.hits]
    )
    assert found["more"] and found["hits"][0]["name"] == "Bo"


def test_the_page_frames_all_faces_and_each_can_be_chosen(page):
    form = {"csrf": page.csrf}
    files = {"picture": ("party.png", png(draw(6, width=80)), "image/png")}
    answer = page.post("/search", data=form, files=files)
    assert answer.status_code == 303
    address = answer.headers["location"]
    first, second = page.get(address).text, page.get(f"{address}?face=2").text
    assert first.count("<rect ") - second.count("<rect ") == 0
    assert re.findall(r'<rect class="(\w+)"', first)[:2] == ["chosen", "other"]
    assert re.findall(r'<rect class="(\w+)"', second)[:2] == ["other", "chosen"]
    for path in ("/picture", "/crop/1", "/crop/2"):
        assert page.get(address + path).content[:2] == b"\xff\xd8"
    assert page.get(f"{address}/crop/3").status_code == 404
    assert page.get(f"{address}?face=3").status_code == 404
    # Without JavaScript: links lead to the photo, to more and to the next query.
    assert "/similar" in first and 'href="/photos/' in first


def test_results_are_filtered_by_person_distance_and_number(page):
    everything = page.get("/api/v1/faces/1/similar?k=50").json()["hits"]
    assert len(everything) == 6 and 1 not in {one["face_id"] for one in everything}
    few = page.get("/api/v1/faces/1/similar?k=2").json()
    assert few["hits"] == everything[:2] and few["more"]
    of_cy = page.get("/api/v1/faces/1/similar?k=1&name=Cy").json()
    assert [one["name"] for one in of_cy["hits"]] == ["Cy"] and of_cy["more"]
    limit = everything[2]["distance"]
    near = page.get(f"/api/v1/faces/1/similar?k=50&max_distance={limit}").json()
    assert len(near["hits"]) == 3 and not near["more"]
    text = page.get("/faces/1/similar?person=Cy&distance=0,5&k=1").text
    assert 'value="Cy"' in text and 'value="0.5"' in text
    assert page.get("/faces/1/similar?distance=near").status_code == 400


def test_a_search_belongs_to_its_session_and_ends_with_it(visit, monkeypatch):
    page = visit(query_seconds=1000.0)
    identifier = page.upload(draw(3)).json()["id"]
    other = page.another()
    for pattern in (
        "/search/{}", "/search/{}/picture", "/api/v1/queries/{}", "/api/v1/queries/{}/results",
    ):  # fmt: skip
        assert page.get(pattern.format(identifier)).status_code == 200
        assert other.get(pattern.format(identifier)).status_code == 404
    sessions = page.app.state.facehash.sessions
    clock = sessions._clock
    monkeypatch.setattr(sessions, "_clock", lambda: clock() + 1001)
    answer = page.get(f"/search/{identifier}")
    assert answer.status_code == 404 and "has expired" in answer.text
    sessions.drop_old()
    assert not any(one.queries for one in sessions._sessions.values())


def test_a_picture_without_a_face_or_pixels_is_explained(page):
    nobody = page.upload(np.zeros((20, 20, 3), np.uint8)).json()
    assert nobody["faces"] == []
    assert "No face was found" in page.get(f"/search/{nobody['id']}").text
    for content, part in ((b"GIF89a", "not a picture"), (b"", "missing")):
        answer = page.change("POST", "/api/v1/queries?name=a.gif", content=content)
        assert answer.status_code in (400, 404) and part in answer.json()["error"]
    assert page.form("/search").status_code == 400


def files_of(library):
    """Return the files of a library, besides the log that SQLite keeps while it is open."""
    files = {path.name: path.read_bytes() for path in library.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if not name.startswith("library.db-")}


def test_an_upload_is_nowhere_stored(page, library, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile._TemporaryFileWrapper.__init__", refuse)
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", refuse)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (700, 700, 3), dtype=np.uint8)  # 1.5 MB, which parsers spool
    files = {"picture": ("noise.png", png(noise), "image/png")}
    before = files_of(library)
    answer = page.post("/search", data={"csrf": page.csrf}, files=files)
    assert answer.status_code == 303 and len(png(noise)) > 1_400_000
    assert files_of(library) == before


@pytest.mark.parametrize("start", [0, 3])
def test_an_empty_library_greets(tmp_path, visit, start):
    from facehash.library.storage.store import Store

    empty = tmp_path / "empty"
    Store.create(empty).close()
    page = visit(library=empty, photos=(tmp_path,) * start)
    text = page.get("/").text
    assert "Welcome" in text and "no photos yet" in text
    assert ("Look for new photos in" in text) == bool(start)
    assert page.get("/status").status_code == page.get("/people").status_code == 200
    answer = page.upload(draw(3))
    assert answer.status_code == 400 and "an empty library" in answer.json()["error"]
