from tests.library.conftest import draw, save

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


def test_a_later_run_reports_files_that_could_not_be_read_before(facehash, photos, directory):
    (photos / "bad.jpg").write_bytes(b"x")
    words = ("index", photos, "--library", directory)
    code, out, _ = facehash(*words, *CHOICE)
    assert code == 3 and "before" not in out
    (photos / "worse.jpg").write_bytes(b"y")
    code, out, err = facehash(*words)
    assert code == 3 and "1 file could not be read before (--retry)\n" in out
    assert "worse.jpg" in err and "bad.jpg" not in err
    code, out, err = facehash(*words)
    assert (code, err) == (0, "") and "2 files could not be read before (--retry)\n" in out


def test_codes_that_are_added_later_are_reported(facehash, photos, directory):
    words = ("index", photos, "--library", directory)
    assert "codes" not in facehash(*words, *CHOICE)[1]
    message = "codes lsh:16 made: searches now compare codes"
    assert message in facehash(*words, "--codes", "lsh:16")[1]
    assert "codes" not in facehash(*words)[1]


def test_a_folder_without_photos_exits_with_1(facehash, tmp_path, directory):
    (tmp_path / "empty").mkdir()
    code, _, err = facehash("index", tmp_path / "empty", "--library", directory, *CHOICE)
    assert (code, err) == (1, "no photos in this folder\n")


def test_wrong_use_is_one_line(facehash, photos, directory, library):
    for words in (
        (photos / "Anne", "--library", directory),
        (photos, "--library", directory, "--embedder", "euclidean:3"),
        (photos, "--library", directory, "--codes", "abc"),
        (photos, "--library", directory, "--workers", "0"),
        (photos,),
    ):
        code, out, err = facehash("index", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("facehash: ")


def test_a_list_of_names_with_unknown_files_is_reported(facehash, photos, directory, tmp_path):
    rows = "".join(f"{number}.png,X\n" for number in range(7))
    (tmp_path / "names.csv").write_text("path,name\n" + rows)
    save(photos / "3.png", draw(70))
    names = f"csv:{tmp_path / 'names.csv'}"
    code, _, err = facehash("index", photos, "--library", directory, "--names", names, *CHOICE)
    assert code == 0 and err.count("no such face") == 5
    assert "... and 1 more of the list" in err


def test_a_damaged_database_is_one_line(facehash, photos, library):
    (library / "library.db").write_bytes(b"no database at all, but long enough to be one" * 99)
    code, _, err = facehash("index", photos, "--library", library)
    assert code == 2 and err.count("\n") == 1
    assert "its database is damaged" in err and "facehash check --library" in err
