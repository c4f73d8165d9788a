"""A folder of everything that is called a photo and is none, by the command and the real detector.

The embedder alone is a fake, as hundreds of faces take the real one ten seconds.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.orl import find_orl
from facehash import pipeline
from tests.helpers.face_data import weights_dir
from tests.helpers.facehash_command import facehash
from tests.helpers.privileges import ordinary_rights
from tests.library import fakes
from tests.library.conftest import draw, save

LONG = "n" * 251 + ".png"
NOT_TEXT = os.fsdecode(b"caf\xe9.jpg")
BROKEN = {
    "empty.jpg": "not a picture: the file is empty",
    "text.jpg": "not a picture in a known format",
    "cut.jpg": "damaged picture: ",
    "pipe.jpg": "not a regular file",
    "secret.jpg": "Permission denied",
    "bomb.png": "12000 x 12000 pixels exceed the limit of 50 million",
    "bad caf\N{REPLACEMENT CHARACTER}.jpg": "not a picture in a known format",
}


def crowd(columns, rows):
    """Draw a page of ORL's faces, each another picture."""
    sheet = Image.new("L", (columns * 98 + 6, rows * 118 + 6), 250)
    for i in range(columns * rows):
        face = Image.open(find_orl() / f"s{i % 40 + 1}" / f"{i // 40 + 1}.pgm")
        sheet.paste(face, (6 + i % columns * 98, 6 + i // columns * 118))
    return np.asarray(sheet)


@pytest.fixture
def folder(tmp_path):
    """Seven broken files, two links in circles, and five files that only look strange."""
    folder = tmp_path / "photos"
    save(folder / "crowd.png", crowd(20, 15))
    save(folder / "nobody.png", draw(1, 320, 240))
    save(folder / "folder.jpg" / "one.png", crowd(1, 1))
    save(folder / LONG, crowd(2, 1))
    save(folder / NOT_TEXT, crowd(3, 1))
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("Dear diary")
    (folder / "bad caf\udce9.jpg").write_text("Dear diary")
    whole = (save(tmp_path / "whole.jpg", crowd(2, 2))).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(folder / "pipe.jpg")
    save(folder / "secret.jpg", crowd(4, 1)).chmod(0)
    # 20 KB that would become 144 million pixels.
    Image.new("1", (12_000, 12_000)).save(folder / "bomb.png")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.jpg").symlink_to("itself.jpg")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command about the library as somebody who may not read everything."""
    monkeypatch.setattr(
        pipeline, "make_embedder", lambda *_, **__: fakes.make_embedder("cosine:12")
    )
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))

    def run(command, *words):
        with ordinary_rights():
            return facehash(command, *words, "--library", tmp_path / "lib")

    return run


def faces_by_name(library):
    with contextlib.closing(sqlite3.connect(library / "library.db")) as database:
        rows = database.execute(
            "SELECT path, count(faces.id), count(embedding), count(jpeg) FROM paths "
            "LEFT JOIN faces USING (photo_id) LEFT JOIN crops ON face_id = faces.id GROUP BY path"
        ).fetchall()
    assert all(faces == vectors == crops for _, faces, vectors, crops in rows)
    return {Path(os.fsdecode(path)).name: faces for path, faces, *_ in rows}


def test_every_broken_file_is_named_with_its_reason_and_the_good_ones_are_indexed(
    run, folder, tmp_path
):
    code, out, err = run("index", folder, "--workers", 1)
    assert code == 3
    assert out.startswith("5 new photos with 306 faces in ")
    assert "\n1 new photo without a face\n" in out
    lines = err.splitlines()
    for name, why in BROKEN.items():
        told = [line for line in lines if line.startswith(f"not read: {folder}/{name}: {why}")]
        assert len(told) == 1, (name, err)
    told = [line.rpartition("/")[2] for line in lines if line.startswith("symbolic link")]
    assert told == ["circle", "itself.jpg"]
    assert len(lines) == len(BROKEN) + 2 + 1
    assert lines[-1].startswith(
        "not read: 7 files (1 damaged, 1 not a file, 1 too many pixels, 1 unreadable, "
        "3 not a picture); facehash stats --without-faces --library "
    )
    found = faces_by_name(tmp_path / "lib")
    good = {"crowd.png": 300, "nobody.png": 0, "one.png": 1, LONG: 2, NOT_TEXT: 3}
    assert {name: found[name] for name in good} == good
    # Nothing is left out: each file is in the library with faces, or listed with a reason.
    code, out, _ = run("stats", "--without-faces")
    assert code == 0
    listed = dict(line.removeprefix(f"{folder}/").split(": ", 1) for line in out.splitlines())
    assert listed.keys() == BROKEN.keys() | {"nobody.png"}
    assert listed["nobody.png"] == "no face"
    assert all(listed[name].startswith(why) for name, why in BROKEN.items())
    assert len(found) == len(good) + len(BROKEN)
