import os

import pytest

from facehash.images.passed_over import Kind, PassedOver
from facehash.images.scan import scan
from tests.helpers.datasets import write_picture


@pytest.fixture
def passed_over():
    return PassedOver()


def add_files(passed_over, folder, *names, picture=False):
    for name in names:
        path = folder / name
        path.write_bytes((folder / "real.png").read_bytes() if picture else b"some text")
        passed_over.add_file(path)


def test_kinds_are_counted_in_one_line_with_a_note_on_the_first(passed_over):
    assert not passed_over and str(passed_over) == ""
    for _ in range(1200):
        passed_over.add(Kind.HIDDEN)
    passed_over.add(Kind.NO_IMAGES, note="the first is Ann")
    passed_over.add(Kind.NO_IMAGES, note="the first is Bea")
    passed_over.add(Kind.SPECIAL)
    assert str(passed_over) == (
        "2 people without images (the first is Ann), 1 pipe or device, "
        "1,200 hidden files or folders"
    )
    assert passed_over and not passed_over.has_pictures
    passed_over.add(Kind.TOO_DEEP)
    assert passed_over.has_pictures


def test_files_are_counted_by_ending_and_pictures_are_recognized_by_content(passed_over, tmp_path):
    write_picture(tmp_path / "real.png")
    add_files(passed_over, tmp_path, "a.txt", "b.TXT", "c.txt", "notes", "x.json", "y.md", "z.md")
    assert str(passed_over) == (
        "7 files without the ending of a picture (3 .txt, 2 .md, 1 .json, 1 others)"
    )
    assert not passed_over.has_pictures
    add_files(passed_over, tmp_path, "1.jpg.1", "2.jpg.1", picture=True)
    add_files(passed_over, tmp_path, "IMG_1", picture=True)
    assert str(passed_over) == (
        "10 files without the ending of a picture (2 .jpg.1, 2 none, 3 .txt, 3 others; "
        "pictures are among .jpg.1, none: rename them to .jpg)"
    )
    assert passed_over.has_pictures


def test_files_of_known_kinds_are_counted_by_kind_and_not_looked_at(
    passed_over, tmp_path, monkeypatch
):
    monkeypatch.setattr("facehash.images.passed_over.is_picture", lambda path: 1 / 0)
    for name in ("a.CR2", "b.nef", "c.dng", "d.MP4", "e.mov", "f.jxl", "g.psd", "h.xmp", "i.jp2"):
        passed_over.add_file(tmp_path / name)
    assert str(passed_over) == ("3 RAW, 2 video, 1 JPEG XL, 1 JPEG 2000, 1 Photoshop, 1 sidecar")
    assert passed_over and not passed_over.has_pictures


def test_the_content_of_a_few_files_of_an_ending_is_read(passed_over, tmp_path, monkeypatch):
    looked_at = []
    monkeypatch.setattr("facehash.images.passed_over.is_picture", looked_at.append)
    for number in range(500):
        passed_over.add_file(tmp_path / f"{number}.json")
        passed_over.add_file(tmp_path / f"file.e{number}")
    assert len(looked_at) == 3 + 99 and "500" in str(passed_over)


def test_the_line_is_safe_for_a_terminal(passed_over):
    passed_over.add(Kind.NO_IMAGES, note="the first is \x1b[31mred\nline")
    assert "\x1b" not in str(passed_over) and "\n" not in str(passed_over)


def test_a_scan_counts_what_is_not_a_picture_by_its_name(tmp_path):
    write_picture(tmp_path / "a" / "1.png")
    write_picture(tmp_path / "a" / ".thumbnail.png")
    (tmp_path / "a" / "1.mp4").touch()
    (tmp_path / "list.txt").touch()
    (tmp_path / "link").symlink_to("list.txt")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = scan(tmp_path)
    assert str(found.passed_over) == (
        "1 video, 2 files without the ending of a picture (1 .txt, 1 none), 1 pipe or device, "
        "1 hidden file or folder"
    )
    assert [path.name for path in found.files] == ["1.png"]
    # A link to what does not exist may be a folder on a disk that is not mounted.
    assert [path.name for path in found.links] == ["gone"]
