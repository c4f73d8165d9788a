from tests.helpers.datasets import large_jpeg
from tests.helpers.privileges import ordinary_rights
from tests.library.conftest import draw, rows, save

CHOICE = ("--detector", "halves", "--embedder", "cosine:12", "--workers", "1")


def test_later_runs_report_what_has_changed(facehash, photos, directory):
    code, out, err = facehash("index", photos, "--library", directory, *CHOICE)
    assert code == 0 and err == "" and out.startswith("7 new photos with 7 faces in ")
    code, out, _ = facehash("index", photos, "--library", directory)
    assert code == 0 and out.splitlines()[1:] == ["7 files unchanged"]
    (photos / "Bo" / "0.png").unlink()
    (photos / "party.png").rename(photos / "moved.png")
    code, out, _ = facehash("index", photos, "--library", directory, "--names", "folders")
    assert code == 0 and "1 file moved, copied or touched\n" in out
    assert "2 files removed, because they no longer exist\n4 faces named\n" in out


def test_unreadable_files_are_counted_by_reason_and_exit_with_3(facehash, photos, directory):
    (photos / "00\x1b[31m.jpg").write_bytes(b"x")
    for number in range(1, 23):
        (photos / f"{number:02}.jpg").write_bytes(b"x")
    code, _, err = facehash("index", photos, "--library", directory, *CHOICE)
    lines = err.splitlines()
    assert code == 3 and len(lines) == 22 and "\x1b" not in err
    assert lines[19] == f"not read: {photos}/19.jpg: not a picture in a known format"
    assert lines[20] == "... and 3 more files"
    assert lines[21].startswith("not read: 23 files (23 not a picture); facehash stats --without-f")
    code, out, _ = facehash("stats", "--without-faces", "--library", directory)
    assert (code, out.count("not a picture"), out.count("\n")) == (0, 23, 24)
    assert out.endswith(f"{photos}/night.png: no face\n")


def test_files_that_are_passed_over_are_counted_in_one_line(facehash, photos, directory):
    for name in ("film.mp4", "other.MP4", "Bo/list.txt", ".hidden"):
        (photos / name).touch()
    code, _, err = facehash("index", photos, "--library", directory, *CHOICE)
    assert (code, err) == (
        0,
        "passed over: 2 video, 1 file without the ending of a picture (1 .txt), 1 hidden file or "
        "folder\n",
    )


def test_a_folder_without_photos_exits_with_1(facehash, tmp_path, directory):
    (tmp_path / "empty").mkdir()
    code, _, err = facehash("index", tmp_path / "empty", "--library", directory, *CHOICE)
    assert (code, err) == (1, "no photos in this folder\n")


def test_wrong_use_is_one_line(facehash, photos, directory, library):
    for words in (
        (photos / "Anne", "--library", directory),
        (photos, "--library", directory, "--codes", "abc"),
        (photos, "--library", directory, "--workers", "0"),
    ):
        code, out, err = facehash("index", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("facehash: ")


def test_a_folder_that_denies_stat_costs_its_files_only(facehash, photos, directory):
    (photos / "Bo").chmod(0o444)  # it can be listed, and its files cannot be examined
    try:
        with ordinary_rights():
            code, out, err = facehash("index", photos, "--library", directory, *CHOICE)
    finally:
        (photos / "Bo").chmod(0o755)
    assert code == 3 and out.startswith("6 new photos with 6 faces in ")
    assert err.splitlines()[0] == f"not read: {photos}/Bo/0.png: Permission denied"
    assert err.splitlines()[1].startswith("not read: 1 file (1 unreadable); ")
    code, out, err = facehash("index", photos, "--library", directory)
    assert code == 0 and out.startswith("1 new photo with 1 face in ") and err == ""


def test_what_is_known_of_a_file_stays_while_it_cannot_be_examined(facehash, photos, directory):
    facehash("index", photos, "--library", directory, *CHOICE, "--names", "folders")
    before = rows(directory)
    (photos / "Bo").chmod(0o444)
    try:
        with ordinary_rights():
            code, out, err = facehash("index", photos, "--library", directory)
    finally:
        (photos / "Bo").chmod(0o755)
    assert (code, "removed" in out) == (3, False) and "Bo/0.png: Permission denied" in err
    assert rows(directory) == before
    code, out, _ = facehash("index", photos, "--library", directory)
    assert code == 0 and "7 files unchanged" in out


def test_patterns_hold_for_later_runs_until_others_are_given(facehash, photos, directory):
    facehash("index", photos, "--library", directory, *CHOICE)
    code, out, err = facehash("index", photos, "--library", directory, "--exclude", "bo")
    assert code == 0 and "1 file removed, because they are skipped or excluded\n" in out
    assert err == "passed over: 1 excluded file or folder\n"
    assert facehash("index", photos, "--library", directory)[1].endswith("6 files unchanged\n")
    assert "\nexcluded    bo\n" in facehash("stats", "--library", directory)[1]
    code, out, _ = facehash("index", photos, "--library", directory, "--exclude", "")
    assert out.startswith("1 new photo with 1 face in ")
    # Nothing is left of the folder, and no drive is missing.
    words = ("--exclude", "*.png", "--exclude", "*.jpg")
    code, out, _ = facehash("index", photos, "--library", directory, *words)
    assert "7 files removed, because they are skipped or excluded" in out


def test_previews_are_skipped_until_they_are_asked_for(facehash, photos, directory):
    save(photos / "@eaDir" / "party.png" / "thumb.png", draw(80))
    code, out, err = facehash("index", photos, "--library", directory, *CHOICE)
    assert code == 0 and out.startswith("7 new photos")
    assert err == "passed over: 1 folder of previews or deleted files\n"
    for words, line in (
        (["--include-skipped"], "1 new photo with 1 face in "),
        ([], "0 new photos"),
        (["--no-include-skipped"], "0 new photos"),
    ):
        code, out, err = facehash("index", photos, "--library", directory, *words)
        assert out.startswith(line)
    assert "1 file removed, because they are skipped or excluded" in out


def test_a_photo_that_lacks_its_end_is_read_and_marked(facehash, photos, directory, tmp_path):
    whole = save(tmp_path / "cut.jpg", draw(90)).read_bytes()
    cut = photos / "cut.jpg"
    cut.write_bytes(whole[:-2])
    code, out, err = facehash("index", photos, "--library", directory, *CHOICE)
    assert code == 0 and out.startswith("8 new photos with 8 faces in ")
    assert err == f"read in part: {cut}: cut off near its end\n"
    assert facehash("index", photos, "--library", directory)[1].endswith("8 files unchanged\n")
    code, out, _ = facehash("stats", "--library", directory, "--damaged")
    assert (code, out) == (0, f"{cut}: cut off near its end\n")
    code, out, err = facehash("search", cut, "--library", directory, "-k", 1)
    assert code == 0 and err == f"facehash: {cut}: cut off near its end; the rest is searched for\n"
    assert out.splitlines()[1].endswith(f"{cut}  (face 1, #6, cut off near its end)")
    cut.write_bytes(whole)  # the rest has arrived
    code, out, err = facehash("index", photos, "--library", directory)
    assert code == 0 and out.startswith("1 new photo with 1 face in ") and err == ""
    assert facehash("stats", "--library", directory, "--damaged")[1] == ""


def test_boxes_in_large_photos_are_in_pixels_of_the_whole_photo(
    facehash, photos, directory, monkeypatch, ask, tmp_path
):
    monkeypatch.setattr("facehash.images.read.MAX_PIXELS", 20_000)
    (photos / "large.jpg").write_bytes(large_jpeg(320, 12))
    facehash("index", photos, "--library", directory, *CHOICE, "--exclude", "*.png")
    assert ask("SELECT width, height FROM photos") == [(320, 192)]
    # The fake detector finds one face in all of the photo.
    assert ask("SELECT x, y, width, height FROM faces") == [(0, 0, 320, 192)]
    page, strip = tmp_path / "page.html", tmp_path / "strip.png"
    words = ("search", photos / "large.jpg", "--library", directory, "--html", page)
    code, out, _ = facehash(*words, "--strip", strip)
    assert code == 0 and out.splitlines()[0].endswith("face 1 at 0,0 (320 x 192)")
    assert 'viewBox="0 0 320 192"' in page.read_text()
