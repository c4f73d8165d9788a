import os

import pytest

from facehash.errors import InputError
from facehash.files import FileState
from facehash.images.scan import scan
from tests.helpers.privileges import ordinary_rights


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.jpg", "a/deep/x.PNG", "a/note.txt", ".hidden/y.png", "a/.z.png", "lib/c.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return folder


def names(found, folder):
    return [str(path.relative_to(folder)) for path in found.files]


def test_pictures_are_found_at_any_depth_sorted_by_name(folder):
    found = scan(folder)
    assert names(found, folder) == ["a/deep/x.PNG", "b.jpg", "lib/c.png"]
    stat = (folder / "b.jpg").stat()
    assert found.files[folder / "b.jpg"] == FileState(5, stat.st_mtime_ns)
    assert names(scan(folder, without=folder / "lib"), folder) == ["a/deep/x.PNG", "b.jpg"]


def test_links_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").touch()
    (folder / "out").symlink_to(outside)
    (folder / "out.png").symlink_to(outside / "secret.png")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "note").symlink_to("a/note.txt")
    found = scan(folder)
    assert names(found, folder) == ["a/deep/x.PNG", "b.jpg", "lib/c.png"]
    assert [path.name for path in found.links] == ["circle", "itself.png", "out", "out.png"]


def test_pipes_and_names_that_are_not_text_are_listed(folder, tmp_path):
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    assert names(scan(folder), folder)[-1] == "pipe.jpg"
    (tmp_path / "link").symlink_to(folder)
    assert names(scan(tmp_path / "link"), folder) == names(scan(folder), folder)
    path = folder / os.fsdecode(b"caf\xe9.jpg")
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has text only")
    assert path in scan(folder).files


def test_a_folder_that_cannot_be_listed_is_reported(folder):
    (folder / "a").chmod(0)
    try:
        with ordinary_rights():
            assert scan(folder).closed == [folder / "a"]
    finally:
        (folder / "a").chmod(0o700)


def test_a_file_or_a_missing_folder_is_refused(folder):
    with pytest.raises(InputError, match="is a file; a folder of photos is expected"):
        scan(folder / "b.jpg")
    with pytest.raises(InputError, match="no such folder .did you mean 'photos'"):
        scan(folder.with_name("photo"))
