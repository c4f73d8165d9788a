"""Files that look like photos and are not, read by the command and the real detector.

Only the embedder is a fake, because the real one takes ten seconds for hundreds of faces.
"""

import os
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
GOOD = {"crowd.png": 300, "nobody.png": 0, "one.png": 1, LONG: 2, NOT_TEXT: 3, "cut.jpg": 2}
"""Name -> number of faces."""
BROKEN = {
    "empty.jpg": "not a picture: the file is empty",
    "text.jpg": "not a picture in a known format",
    "pipe.jpg": "not a regular file",
    "secret.jpg": "Permission denied",
    "bomb.png": "12000 x 12000 pixels exceed the limit of 50 million",
    "bad caf\N{REPLACEMENT CHARACTER}.jpg": "not a picture in a known format",
}
"""Name -> start of the reason."""


def crowd(columns, rows):
    """Draw a sheet of different ORL faces."""
    sheet = Image.new("L", (columns * 98 + 6, rows * 118 + 6), 250)
    for i in range(columns * rows):
        face = Image.open(find_orl() / f"s{i % 40 + 1}" / f"{i // 40 + 1}.pgm")
        sheet.paste(face, (6 + i % columns * 98, 6 + i // columns * 118))
    return np.asarray(sheet)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    save(folder / "crowd.png", crowd(20, 15))
    save(folder / "nobody.png", draw(1, 320, 240))
    save(folder / "folder.jpg" / "one.png", crowd(1, 1))
    save(folder / LONG, crowd(2, 1))
    save(folder / NOT_TEXT, crowd(3, 1))
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("Dear diary")
    (folder / "bad caf\udce9.jpg").write_text("Dear diary")
    content = save(folder / "cut.jpg", crowd(2, 2)).read_bytes()
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    os.mkfifo(folder / "pipe.jpg")
    save(folder / "secret.jpg", crowd(4, 1)).chmod(0)
    # A file of 20 kB with 144 million pixels.
    Image.new("1", (12_000, 12_000)).save(folder / "bomb.png")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.jpg").symlink_to("itself.jpg")
    return folder


def test_every_broken_file_is_listed_with_its_reason_and_the_others_are_indexed(
    folder, directory, ask, monkeypatch
):
    monkeypatch.setattr(pipeline, "make_embedder", lambda *_, **__: fakes.Projection(12))
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    with ordinary_rights():
        code, out, err = facehash("index", folder, "--workers", 1, "--library", directory)
    assert code == 3 and out.startswith("6 new photos with 308 faces in ")
    assert "\n1 new photo without a face\n" in out
    lines = err.splitlines()
    for name, reason in BROKEN.items():
        starts = [line.startswith(f"not read: {folder}/{name}: {reason}") for line in lines]
        assert sum(starts) == 1, (name, err)
    damaged = [line for line in lines if line.startswith("read in part: ")]
    assert len(damaged) == 1 and damaged[0].startswith(f"read in part: {folder}/cut.jpg: cut off")
    links = [line.rpartition("/")[2] for line in lines if line.startswith("symbolic link")]
    assert links == ["circle", "itself.jpg"] and len(lines) == len(BROKEN) + 2 + 1 + 1
    assert lines[-1].startswith(
        "not read: 6 files (1 not a file, 1 too many pixels, 1 unreadable, "
        "3 not a picture); facehash stats --without-faces --library "
    )
    query = "SELECT path, count(embedding) FROM paths LEFT JOIN faces USING (photo_id) GROUP BY 1"
    found = {Path(os.fsdecode(path)).name: number for path, number in ask(query)}
    assert {name: found[name] for name in GOOD} == GOOD
    # Every file is in the library with faces, or listed with a reason.
    assert len(found) == len(GOOD) + len(BROKEN)
    code, out, _ = facehash("stats", "--damaged", "--library", directory)
    assert code == 0 and out.startswith(f"{folder}/cut.jpg: cut off") and out.count("\n") == 1
    assert "\ndamaged     1 photo, " in facehash("stats", "--library", directory)[1]
    code, out, _ = facehash("stats", "--without-faces", "--library", directory)
    listed = dict(line.removeprefix(f"{folder}/").split(": ", 1) for line in out.splitlines())
    assert code == 0 and listed.pop("nobody.png") == "no face"
    assert listed.keys() == BROKEN.keys()
    assert all(listed[name].startswith(reason) for name, reason in BROKEN.items())
