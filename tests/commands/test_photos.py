import json
import os
import shutil

import pytest
from PIL import ExifTags, Image

from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


def dated(path, seed, when, width=40):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = when
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(seed, width=width)).save(path, exif=exif, quality=98)
    return path


@pytest.fixture
def album(photos, index, facehash, directory):
    """Ann on four photos, of which two have a date, with Bo on one of these."""
    dated(photos / "Ann" / "old.jpg", 21, "2017:03:02 10:00:00")
    dated(photos / "Ann" / "both.jpg", 22, "2019:07:14 15:02:31", width=80)
    (photos / "Copies").mkdir()
    shutil.copyfile(photos / "Ann" / "0.png", photos / "Copies" / "0.png")
    index(names="folders")
    with Store.open(directory) as store:
        faces = {("/".join(face.path.parts[-2:]), face.number): face.id for face in store.faces()}
    # It is in two folders, so neither names it. The larger face of both.jpg is Ann by its folder.
    facehash("people", "name", "Ann", faces["Ann/0.png", 1], "--library", directory)
    facehash("people", "name", "Bo", faces["Ann/both.jpg", 2], "--library", directory)
    return directory


@pytest.fixture
def found(facehash, album):
    """Run the command; return the paths of the photos, and its exit code."""

    def found(*words):
        code, out, err = facehash("photos", "--library", album, *words, "--json")
        assert err == ""
        return [os.path.basename(one["paths"][0]) for one in json.loads(out)["photos"]], code

    return found


def test_photos_of_a_person_are_listed_by_date_and_then_by_path(facehash, album, photos, found):
    assert found("--person", "Ann") == (["old.jpg", "both.jpg", "0.png", "1.png"], 0)
    by_path = ["0.png", "1.png", "both.jpg", "old.jpg"]
    assert found("--person", "Ann", "--sort", "path") == (by_path, 0)
    code, out, err = facehash("photos", "--library", album, "--person", "Ann")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"2017-03-02 10:00:00  {photos}/Ann/old.jpg  (Ann)",
        f"2019-07-14 15:02:31  {photos}/Ann/both.jpg  (Ann, Bo)",
        f"no date              {photos}/Ann/0.png  (Ann)",
        f"                     {photos}/Copies/0.png  (copy)",
        f"no date              {photos}/Ann/1.png  (Ann)",
        "4 photos",
    ]


def test_all_given_people_are_on_the_photo_and_none_of_the_excluded(found, facehash, album):
    assert found("--person", "Ann", "--with", "Bo") == (["both.jpg"], 0)
    assert found("--person", "Ann", "--person", "Bo") == (["both.jpg"], 0)
    assert found("--person", "Bo", "--without", "Ann") == (["0.png"], 0)
    assert found("--person", "Ann", "--with", "Bo", "--without", "Bo") == ([], 1)
    assert found("--person", "Ann", "--with", "Cy") == ([], 1)


def test_earlier_names_mean_the_same_person(found, facehash, album):
    facehash("people", "rename", "Ann", "Anna", "--library", album)
    assert found("--person", "Ann", "--with", "Bo")[0] == ["both.jpg"]
    assert found("--person", "Anna", "--without", "Bo")[0] == ["old.jpg", "0.png", "1.png"]


def test_dates_limit_the_photos(found):
    assert found("--person", "Ann", "--from", "2018") == (["both.jpg"], 0)
    assert found("--person", "Ann", "--to", "2017-03")[0] == ["old.jpg"]
    assert found("--person", "Ann", "--from", "2017-03-02", "--to", "2019-07-14")[0] == [
        "old.jpg",
        "both.jpg",
    ]
    assert found("--person", "Ann", "--from", "2017-03-03", "--to", "2019-07-13") == ([], 1)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--person", "Anne"], "lib: nobody is called 'Anne' (did you mean 'Ann'?)"),
        (["--person", "Ann", "--without", "Co"], "lib: nobody is called 'Co'"),
        (["--without", "Ann"], "give at least one person who is on the photos: --person NAME"),
        (["--person", "Ann", "--from", "July"], "--from July: not a date; give a year"),
        (["--person", "Ann", "--sort", "size"], "--sort size: must be date or path"),
        (["--person", "Ann", "--hard-links"], "--hard-links needs --link-to DIR"),
        (["--person", "Ann", "--json", "-0"], "give one of --json, --csv with standard output"),
    ],
)
def test_wrong_use_is_one_line(facehash, album, words, message):
    code, out, err = facehash("photos", "--library", album, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_paths_for_xargs_are_ended_by_nul(facehash, album, photos):
    _, out, _ = facehash("photos", "--library", album, "--person", "Ann", "-0", "--sort", "path")
    names = ["0.png", "1.png", "both.jpg", "old.jpg"]
    assert out == "".join(f"{photos}/Ann/{name}\0" for name in names)


def test_the_table_has_a_line_per_photo(facehash, album, photos, tmp_path):
    table = tmp_path / "photos.csv"
    for _ in range(2):  # an earlier table is replaced
        code, _, err = facehash(
            "photos", "--library", album, "--person", "Ann", "--to", "2019", "--csv", table
        )
        assert (code, err) == (0, "")
    assert table.read_text().splitlines() == [
        "taken,path,people,copies",
        f"2017-03-02 10:00:00,{photos}/Ann/old.jpg,Ann,",
        f"2019-07-14 15:02:31,{photos}/Ann/both.jpg,Ann|Bo,",
    ]


def test_copies_replace_nothing_and_a_second_run_adds_nothing(facehash, album, photos, tmp_path):
    target = tmp_path / "out"
    save(target / "0.png", draw(99))
    before = (target / "0.png").read_bytes()
    words = ["photos", "--library", album, "--person", "Ann", "--copy-to", target]
    code, _, err = facehash(*words)
    assert (code, err) == (0, f"4 photos copied to {target}\n")
    assert (target / "0.png").read_bytes() == before
    assert (target / "0-2.png").read_bytes() == (photos / "Ann" / "0.png").read_bytes()
    old = target / "old.jpg"
    assert old.stat().st_mtime_ns == (photos / "Ann" / "old.jpg").stat().st_mtime_ns
    assert facehash(*words)[2] == f"0 photos copied to {target}; 4 there already\n"
    assert sorted(os.listdir(target)) == ["0-2.png", "0.png", "1.png", "both.jpg", "old.jpg"]


def test_two_photos_of_one_name_are_both_copied(facehash, album, photos, tmp_path):
    facehash("people", "merge", "Cy", "--into", "Ann", "--library", album)
    facehash("photos", "--library", album, "--person", "Ann", "--copy-to", tmp_path / "out")
    contents = {path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(contents) == 6 == len(os.listdir(tmp_path / "out"))


@pytest.mark.parametrize("hard", [False, True])
def test_links_lead_to_the_photos(facehash, album, photos, tmp_path, hard):
    words = ["photos", "--library", album, "--person", "Bo", "--link-to", tmp_path / "out"]
    words += ["--hard-links"] if hard else []
    assert facehash(*words)[0] == 0
    linked = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in linked] == ["0.png", "both.jpg"]
    for path, source in zip(linked, ["Bo/0.png", "Ann/both.jpg"], strict=True):
        assert path.is_symlink() is not hard
        assert path.samefile(photos / source)
    assert facehash(*words)[2] == f"0 photos linked to {tmp_path / 'out'}; 2 there already\n"


def test_a_changed_photo_is_named_and_the_others_are_copied(facehash, album, photos, tmp_path):
    save(photos / "Ann" / "1.png", draw(77))
    (photos / "Ann" / "0.png").unlink()  # its copy is still there
    code, _, err = facehash(
        "photos", "--library", album, "--person", "Ann", "--copy-to", tmp_path / "out"
    )
    assert code == 3
    assert err.splitlines() == [
        f"3 photos copied to {tmp_path / 'out'}",
        f"facehash: {photos}/Ann/1.png: gone, or not as it was indexed; not copied",
    ]


@pytest.mark.parametrize("where", ["lib/out", "photos/Ann/out", "photos/party.png"])
def test_nothing_is_put_where_it_would_be_indexed(facehash, album, tmp_path, where):
    code, _, err = facehash(
        "photos", "--library", album, "--person", "Ann", "--copy-to", tmp_path / where
    )
    assert (code, err.count("\n")) == (2, 1)
    assert any(word in err for word in ("in the library", "among the indexed photos", "is a file"))
    assert not (tmp_path / "lib/out").exists()


def test_a_full_disk_leaves_no_half_photo(album, found, tmp_path, monkeypatch, facehash):
    def full(source, target, size):
        target.write(source.read(10))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    code, _, err = facehash(
        "photos", "--library", album, "--person", "Ann", "--copy-to", tmp_path / "out"
    )
    assert code == 2
    assert "No space left on device" in err
    assert os.listdir(tmp_path / "out") == []
