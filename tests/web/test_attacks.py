"""What an attacker may try, each as a test; hosts, origins and tokens are in test_security.py."""

import html
import io
import struct
import zlib

import pytest
from PIL import Image

from facehash.library.people.edit import name_faces
from facehash.library.storage.store import Store
from tests.library import fakes
from tests.library.conftest import draw, few_lean, save
from tests.web.conftest import png

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "=1+cmd|' /C'",
    "' OR 1=1 --",
    "../../etc/passwd",
]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/vendor/....//app.py",
        "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/..\\app.py", "/static/",
        "/photos/../../etc/passwd", "/photos/%2e%2e%2f1/image", "/faces/1%00/crop",
        "/photos/-1/image", "/faces/1.5/crop", "/faces/99999999999999999999/crop",
        "/api/v1/faces/0/crop", "/people/1e3", "/search/..%2f..%2fetc", "/search/%00",
        "/api/v1/photos/9007199254740993",
    ],
)  # fmt: skip
def test_no_address_leads_out(page, path):
    answer = page.get(path)
    assert answer.status_code in (400, 404, 422)
    assert "def create_app" not in answer.text and "root:" not in answer.text


def test_no_answer_has_the_library_itself(page, library):
    for name in ("library.db", "lock", "index"):
        for prefix in ("/", "/static/", "/photos/", "/api/v1/"):
            assert page.get(prefix + name).status_code in (404, 405, 422)


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(visit):
    page = visit(max_upload_bytes=100_000)
    large = png(draw(3)) + bytes(2_000_000)
    answer = page.change("POST", "/api/v1/queries", content=large)
    assert answer.status_code == 413 and "at most" in answer.json()["error"]

    def chunks():  # their number is not announced
        for _ in range(15):
            yield bytes(100_000)

    assert page.change("POST", "/api/v1/queries", content=chunks()).status_code == 413
    files = {"picture": ("x.png", large, "image/png")}
    shown = page.post("/search", data={"csrf": page.csrf}, files=files)
    # A page like any other, not a line of text.
    assert shown.status_code == 413 and "<h1>Too large</h1>" in shown.text
    assert "at most 1 MB can be sent" in shown.text and "/static/page.css" in shown.text
    assert page.form("/people/undo", statement="1" * 1_500_000).status_code == 413
    fields = {f"field{number}": "x" for number in range(3000)}
    answer = page.post("/search", data={"csrf": page.csrf, **fields}, files=files | {"a": b"x"})
    assert answer.status_code in (400, 413)


def test_a_bomb_is_refused_before_it_is_decoded(page):
    side = 60_000  # 3.6 billion pixels
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    chunks = {b"IHDR": header, b"IDAT": zlib.compress(bytes(3_000_000)), b"IEND": b""}
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks.items())
    answer = page.change("POST", "/api/v1/queries?name=bomb.png", content=bomb)
    assert answer.status_code == 400
    assert "more pixels than the limit" in answer.json()["error"]
    assert page.upload(draw(3)).status_code == 201


def test_a_picture_that_kills_its_process_does_not_stop_the_server(page):
    image = draw(3).copy()
    image[0, 0] = fakes.DEADLY
    for _ in range(2):
        answer = page.upload(image, "evil.png")
        assert answer.status_code in (400, 404) and "evil.png: " in answer.json()["error"]
    assert page.upload(draw(3)).json()["faces"]


@few_lean("name", HOSTILE, lean=2)
def test_names_and_files_are_text_wherever_they_are_shown(visit, library, photos, index, name):
    file = f"x{name.replace('/', '_')}.png"
    save(photos / file, draw(90))
    index()
    with Store.open(library) as store:
        face = next(one.id for one in store.faces() if one.path.name == file)
        name_faces(store, name, [face])
    page = visit()
    people = page.get("/api/v1/people").json()["people"]
    [person] = [one["id"] for one in people if one["name"] == name]
    photo = page.get(f"/api/v1/people/{person}").json()["photo_list"][0]["id"]
    upload = page.upload(draw(90), name.replace("&", "")).json()
    paths = [
        "/", "/people", f"/people/{person}", f"/photos/{photo}", "/photos", "/faces/1/similar?k=50",
        f"/search/{upload['id']}", f"/people/{person}/forget", "/status",
        f"/people/merge?person={person}&person=1",
    ]  # fmt: skip
    texts = [page.get(path).text for path in paths]
    texts.append(page.get("/faces/1/similar", params={"person": name}).text)
    for text in texts:
        assert "<script>alert" not in text and "<img src=x" not in text
    assert html.unescape(texts[2]).count(name) >= 4


def test_a_library_whose_folder_is_swapped_for_a_link_is_refused(page, library, tmp_path):
    assert page.get("/photos/1/thumbnail").status_code == 200
    thumbnails = library / "thumbnails"
    (tmp_path / "elsewhere").mkdir()
    thumbnails.rename(tmp_path / "away")
    thumbnails.symlink_to(tmp_path / "elsewhere")
    answer = page.get("/photos/1/thumbnail")
    assert answer.status_code == 400 and "symbolic link" in answer.text
    assert str(tmp_path) not in answer.text and not any((tmp_path / "elsewhere").iterdir())


def test_a_photo_that_becomes_a_pipe_or_a_folder_does_not_stop_the_server(page, photos):
    import os

    found = {one["file"]: one["id"] for one in page.get("/api/v1/photos").json()["photos"]}
    (photos / "party.png").unlink()
    os.mkfifo(photos / "party.png")
    assert page.get(f"/photos/{found['party.png']}/image").status_code == 404
    (photos / "party.png").unlink()
    (photos / "party.png").mkdir()
    assert page.get(f"/photos/{found['party.png']}/image").status_code == 404


def test_a_hidden_comment_or_place_of_a_photo_is_not_passed_on(page, photos, index):
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    Image.fromarray(draw(91)).save(photos / "exif.jpg", exif=exif)
    index()
    found = {one["file"]: one["id"] for one in page.get("/api/v1/photos").json()["photos"]}
    for kind in ("image", "thumbnail"):
        content = page.get(f"/photos/{found['exif.jpg']}/{kind}").content
        assert b"a secret place" not in content
        assert Image.open(io.BytesIO(content)).getexif() == {}
