import csv
import json
import re

import h5py
import numpy as np
import pytest
from PIL import Image

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from tests.library.conftest import draw, save


def test_hits_are_printed_with_name_path_and_face(facehash, library, photos):
    code, out, err = facehash("search", photos / "Bo/0.png", "--library", library, "-k", 2)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{photos / 'Bo/0.png'}, face 1 at 0,0 (40 x 40)"
    pattern = rf"  1  0\.000  Bo +{re.escape(str(photos / 'Bo/0.png'))}  \(face 1, #\d+\)"
    assert re.fullmatch(pattern, lines[1]), lines[1]
    assert len(lines) == 3


def test_one_face_of_a_query_is_searched_for(facehash, library, photos):
    words = ("search", photos / "party.png", "--library", library, "--face")
    assert facehash(*words, 2, "-k", 1)[1].startswith(f"{photos / 'party.png'}, face 2 at 40,1 ")
    code, _, err = facehash(*words, 3)
    assert (code, err.count("\n")) == (2, 1) and "has 2 faces" in err


def test_exit_codes_show_what_was_found(facehash, library, photos, tmp_path):
    def search(*words):
        return facehash("search", *words, "--library", library)

    good, night = photos / "Bo/0.png", photos / "night.png"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"x")
    code, _, err = search(night)
    assert (code, err) == (1, f"facehash: {night}: no face found\n")
    far = save(tmp_path / "far.png", draw(999))
    code, out, _ = search(far, "--max-distance", "0.0001")
    assert code == 1 and "no face is near enough" in out
    code, _, err = search(bad)
    assert code == 2 and err.count("\n") == 1
    for other in (bad, night):
        code, out, err = search(good, other)
        assert code == 3 and "Bo" in out and str(other) in err
    assert search(good, "-k", 0)[0] == 2
    assert search(good, "--by", "sound")[0] == 2
    code, _, err = search(good, "--distance", "euclidean")
    assert code == 2 and "--distance euclidean: must be asymmetric or hamming" in err
    code, _, err = search(good, "--distance", "hamming")
    assert code == 2 and "hamming is a distance of codes" in err


def test_json_holds_everything(facehash, library, photos):
    words = ("search", photos / "party.png", photos / "night.png", "--library", library, "--json")
    code, out, _ = facehash(*words, "-k", 100)
    assert code == 3
    value = json.loads(out)
    assert value["faces"] == 7 and value["threshold"] is None
    hit = value["results"][0]["hits"][0]
    assert set(hit) == {
        "rank", "distance", "score", "name", "within_threshold", "known", "path", "face", "box",
        "face_id", "named_by", "copies", "resized_copies", "damage", "added", "no_verdict",
        "seconds", "first_seconds", "last_seconds",
    }  # fmt: skip
    # The names until 0.3.0.
    assert value["answers"] == value["results"] and hit["known"] is hit["within_threshold"]
    assert value["failed"][0]["query"] == str(photos / "night.png")


def test_a_table_is_safe_to_open_in_a_spreadsheet(facehash, library, photos, tmp_path, index):
    person = photos / "=HYPERLINK(0)"
    save(person / "x.png", draw(70))
    index(names="folders")
    file = tmp_path / "out.csv"
    facehash("search", person / "x.png", "--library", library, "-k", 2, "--csv", file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert rows[0]["name"] == "'=HYPERLINK(0)" and rows[0]["rank"] == "1"
    assert float(rows[0]["distance"]) < 1e-6 and rows[0]["x"] == "0.0"
    assert file.stat().st_mode & 0o777 == 0o600


def test_hits_beyond_the_threshold_are_unknown(facehash, library, photos, monkeypatch):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(1e-5, "made up"))
    _, out, _ = facehash("search", photos / "Bo/0.png", "--library", library, "-k", 3)
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["Bo", "unknown", "unknown"]


CHOICE = ("--detector", "halves", "--embedder", "cosine:12")


@pytest.mark.parametrize(
    ("limit", "code", "answer"), [("0.5", 0, "the same person"), ("0", 1, "two people")]
)
def test_two_photos_are_verified_by_a_threshold(facehash, photos, limit, code, answer, tmp_path):
    near = draw(3).copy()
    near[:4] += 5
    other = save(tmp_path / "near.png", near)
    words = ("verify", photos / "Bo/0.png", other, *CHOICE, "--threshold", limit)
    done, out, _ = facehash(*words)
    assert done == code and out.startswith(f"{answer}: cosine distance 0.0")
    assert out.endswith("(given)\n")


def test_verify_reports_what_is_missing(facehash, photos):
    words = ("verify", photos / "Bo/0.png", photos / "party.png")
    code, out, err = facehash(*words, *CHOICE)
    assert code == 2 and "no threshold known" in out
    assert "party.png: has 2 faces, the largest is compared" in err
    code, _, err = facehash("verify", photos / "Bo/0.png", photos / "night.png", *CHOICE)
    assert code == 1 and "night.png: no face found" in err


def test_verify_compares_the_chosen_faces(facehash, photos, tmp_path):
    image = draw(6, width=80)
    right = save(tmp_path / "right.png", image[1:, 40:])
    words = ("verify", photos / "party.png", right, *CHOICE, "--threshold", "0.01")
    code, out, err = facehash(*words, "--face", "2/1")
    assert (code, err) == (0, "") and out.startswith("the same person: cosine distance 0.000")
    code, out, err = facehash(*words)
    assert code == 1 and "has 2 faces, the largest is compared; --face N/M chooses others" in err
    code, out, _ = facehash(*words, "--face", "2/1", "--json")
    assert json.loads(out)["compared"] == [2, 1]
    for face, message in (
        ("3/1", "party.png: has 2 faces, there is no face 3"),
        ("1/0", "right.png: has 1 face, there is no face 0"),
        ("2", "--face 2: give the number of the face in each photo, such as 2/1"),
        ("a/b", "--face a/b: give the number of the face in each photo"),
    ):
        code, out, err = facehash(*words, "--face", face)
        assert (code, out, err.count("\n")) == (2, "", 1) and message in err


def test_codes_of_euclidean_vectors_are_searched_on_request(facehash, index, directory, photos):
    index(codes="lsh:16", embedder="euclidean:12", names="folders")
    query = photos / "Bo" / "0.png"
    code, out, _ = facehash("search", query, "--library", directory, "--by", "codes", "-k", 1)
    assert code == 0 and "Bo" in out


@pytest.mark.parametrize(
    ("words", "metric", "number"),
    [((), "asymmetric", r"0\.0"), (("--distance", "hamming"), "hamming", "0")],
)
def test_codes_are_compared_by_the_chosen_distance(index, facehash, photos, words, metric, number):
    lib = photos.parent / "coded"
    index(library=lib, codes="lsh:64", names="folders")
    question = ("search", photos / "Bo/0.png", "--library", lib, *words)
    code, out, _ = facehash(*question)
    assert code == 0 and re.match(rf" +1 +{number} +Bo", out.splitlines()[1])
    value = json.loads(facehash(*question, "--json")[1])
    assert value["results"][0]["metric"] == metric


def test_every_output_tells_all_files_of_a_photo(facehash, index, directory, photos, tmp_path):
    first = photos / "Bo" / "0.png"
    copies = [photos / "copy 1.png", photos / "x" / "copy.png"]
    for path in copies:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(first.read_bytes())
    index()
    table, page, faces = (tmp_path / name for name in ("a.csv", "a.html", "faces.csv"))
    words = ("search", first, "--library", directory, "-k", 1, "--csv", table, "--html", page)
    code, out, _ = facehash(*words)
    lines = out.splitlines()
    assert code == 0 and str(first) in lines[1] and len(lines) == 4
    assert [line.strip() for line in lines[2:]] == [f"{path}  (copy)" for path in copies]
    (hit,) = json.loads(facehash(*words[:6], "--json")[1])["results"][0]["hits"]
    assert (hit["path"], hit["copies"]) == (str(first), list(map(str, copies)))
    (row,) = csv.DictReader(table.open(newline=""))
    assert row["copies"].split("|") == list(map(str, copies)) and row["damage"] == ""
    assert all(path.name.replace("_", "_<wbr>") in page.read_text() for path in copies)
    facehash("export", faces, "--library", directory)
    rows = {row["path"]: row for row in csv.DictReader(faces.open(newline=""))}
    assert rows[str(first)]["copies"].split("|") == list(map(str, copies))
    assert rows[str(photos / "party.png")]["copies"] == ""
    facehash("export", tmp_path / "faces.json", "--library", directory)
    listed = json.loads((tmp_path / "faces.json").read_text())["faces"]
    assert [one["copies"] for one in listed if one["path"] == str(first)] == [
        list(map(str, copies))
    ]
    with h5py.File(tmp_path / "faces.h5", "w"):
        pass
    facehash("export", tmp_path / "faces.h5", "--library", directory, "--force")
    with h5py.File(tmp_path / "faces.h5") as file:
        row = file["path"].asstr()[:].tolist().index(str(first))
        assert file["copies"].asstr()[row].split("|") == list(map(str, copies))


@pytest.fixture
def moments(photos):
    """A photo of 200 x 200 pixels, its copies in other sizes, and another one of the moment."""
    small = np.random.default_rng(5).integers(0, 256, (5, 5, 3), np.uint8)
    photo = Image.fromarray(small).resize((200, 200), Image.Resampling.BICUBIC)
    folder = photos / "moment"
    folder.mkdir()
    photo.save(folder / "a.png")
    photo.resize((140, 140), Image.Resampling.LANCZOS).save(folder / "b.jpg", quality=85)
    photo.resize((100, 100), Image.Resampling.LANCZOS).save(folder / "c.jpg", quality=60)
    (folder / "d.jpg").write_bytes((folder / "c.jpg").read_bytes())
    # Another photo: the camera moved by 5 of 200 pixels.
    moved = photo.transform(photo.size, Image.Transform.AFFINE, (1, 0, 5, 0, 1, 5))
    moved.crop((0, 0, 195, 195)).save(folder / "e.png")
    photo.crop((0, 0, 200, 150)).save(folder / "f.png")
    return folder


def test_copies_in_other_sizes_are_one_hit_on_request(facehash, index, directory, moments):
    index()

    def search(*more):
        words = ("search", moments / "a.png", "--library", directory, *more)
        return json.loads(facehash(*words, "--json")[1])["results"][0]["hits"]

    def names(hits):
        return [hit["path"].rpartition("/")[2] for hit in hits if "moment/" in hit["path"]]

    everything = search("-k", 100)
    assert sorted(names(everything)) == ["a.png", "b.jpg", "c.jpg", "e.png", "f.png"]
    collapsed = search("-k", 100, "--collapse-copies")
    assert sorted(names(collapsed)) == ["a.png", "e.png", "f.png"]
    first = collapsed[0]
    assert first["path"] == str(moments / "a.png") and first["copies"] == []
    assert sorted(first["resized_copies"]) == [str(moments / name) for name in
                                               ("b.jpg", "c.jpg", "d.jpg")]  # fmt: skip
    assert [hit["rank"] for hit in collapsed] == list(range(1, len(everything) - 1))
    # There are as many hits as asked for, as long as there are others.
    few = search("-k", 3, "--collapse-copies")
    assert [hit["path"] for hit in few] == [hit["path"] for hit in collapsed[:3]]
    out = facehash("search", moments / "a.png", "--library", directory, "--collapse-copies")[1]
    assert f"{moments}/c.jpg  (resized copy)\n" in out
    # Without the files nothing is known to be a copy.
    for path in moments.iterdir():
        if path.name != "a.png":
            path.unlink()
    assert len(search("-k", 100, "--collapse-copies")) == len(everything)
