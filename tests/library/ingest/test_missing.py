"""Folders that have lost all of their photos look like those of a missing drive."""

import shutil

import pytest

from facehash.library.ingest.missing import MissingFolder, missing_folders
from facehash.library.storage.database import LibraryError


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_folder_that_lost_all_of_its_photos_keeps_them(index, photos, tmp_path, ask, mount_point):
    index(names="folders")
    before = ask("SELECT id, person_id FROM faces")
    shutil.move(photos / "Cy", tmp_path / "away")
    if mount_point:
        (photos / "Cy").mkdir()
    (photos / "night.png").unlink()
    report = index(names="folders")
    assert report.missing_folders == (MissingFolder(photos / "Cy", 2),)
    assert report.removed == 1 and ask("SELECT id, person_id FROM faces") == before
    if mount_point:
        (photos / "Cy").rmdir()
    shutil.move(tmp_path / "away", photos / "Cy")
    report = index()
    assert (report.unchanged, report.missing_folders) == (6, ())
    shutil.rmtree(photos / "Cy")
    assert index(allow_missing=True).removed == 2
    assert ask("SELECT count(*) FROM faces") == [(5,)]


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_folder_with_a_single_photo_may_be_on_a_missing_drive(
    index, photos, tmp_path, ask, mount_point
):
    index()
    before = ask("SELECT id FROM faces")
    (photos / "nas" / "2019").mkdir(parents=True)
    shutil.move(photos / "Bo" / "0.png", photos / "nas" / "2019" / "0.png")
    (photos / "Bo").rmdir()
    assert index().missing_folders == () and ask("SELECT id FROM faces") == before
    shutil.move(photos / "nas", tmp_path / "away")
    if mount_point:
        (photos / "nas").mkdir()
    report = index()
    assert report.missing_folders == (MissingFolder(photos / "nas", 1),)
    assert report.removed == 0 and ask("SELECT id FROM faces") == before
    assert index(allow_missing=True).removed == 1


@pytest.mark.parametrize("others", [True, False])
def test_a_photo_deleted_from_its_own_folder_is_not_missing(index, photos, ask, others):
    index()
    (photos / "Bo" / "0.png").unlink()
    if others:
        # A folder in its place that is not empty is no mount point.
        (photos / "Bo").rename(photos / "renamed")
        (photos / "Bo").mkdir()
        (photos / "Bo" / "notes.txt").write_text("more than photos")
    report = index()
    assert (report.missing_folders, report.removed) == ((), 1)
    assert ask("SELECT count(*) FROM paths") == [(6,)]


def test_a_folder_that_moved_is_not_missing(index, photos, ask):
    index()
    for name in ("Bo", "Cy"):
        (photos / name).rename(photos / f"{name} elsewhere")
    report = index()
    assert (report.missing_folders, report.removed) == ((), 3)
    assert ask("SELECT count(*) FROM paths") == [(7,)]


def test_the_whole_folder_may_be_missing_on_request(index, photos, ask):
    index()
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(LibraryError, match=r"is a drive missing\? .* index --allow-missing "):
        index()
    assert index(allow_missing=True).removed == 7
    assert ask("SELECT count(*) FROM photos") == [(0,)]


def test_the_highest_folder_is_named_and_what_is_elsewhere_is_not_lost(tmp_path):
    root = tmp_path
    (root / "c" / "d" / "not a photo").mkdir(parents=True)
    known = [root / name for name in ("a/1", "a/b/2", "a/b/3", "c/4", "c/5", "c/d/6", "7")]
    missing = known[:3] + known[5:6]
    found = missing_folders(root, known, missing, [], {})
    assert found == [MissingFolder(root / "a", 3)]
    assert missing_folders(root, known, missing, known[:2], {}) == []
    assert missing_folders(root, known, missing, known[:1], {}) == found
    assert missing_folders(root, known, known, [], {}) == [MissingFolder(root, 7)]
    assert missing_folders(root, known, [], [], {}) == []
