import csv
import json

import h5py
import numpy as np

from data.arrays import read_vectors_file
from tests.library.conftest import draw, save


def test_forget_prints_what_is_deleted_and_what_remains(facehash, library, photos):
    at = ("--library", library)
    code, out, _ = facehash("forget", "--person", "Ann", *at)
    assert (code, out) == (0, "forgotten: 2 faces, 2 photos\n")
    code, out, _ = facehash("forget", "--photo", photos / "Bo", *at)
    assert (code, out) == (0, "forgotten: 1 face, 1 photo\n")
    _, out, _ = facehash("search", photos / "party.png", *at, "--face", 2, "-k", 1)
    number = out.rpartition("#")[2].rstrip(")\n")
    code, out, _ = facehash("forget", "--face", number, *at)
    assert out.startswith("forgotten: 1 face, 0 photos\nthe record of 1 photo remains")


def test_forgotten_photos_stay_out_unless_reindexing_is_allowed(facehash, library, photos):
    at = ("--library", library)
    for option, warning in (
        (["--allow-reindex"], ""),
        (["--again"], "facehash: --again is deprecated and will be removed in 0.3.0; use "
                      "--allow-reindex\n"),
        ([], ""),
    ):  # fmt: skip
        person = facehash("people", "list", *at)[1].split()[0]
        code, _, err = facehash("forget", "--person", person, *option, *at)
        assert (code, err) == (0, warning)
        out = facehash("index", photos, *at, "--names", "folders")[1]
        assert ("excluded, because forgotten" in out) == (not option), out
        assert (person in facehash("people", "list", *at)[1]) == bool(option)


def test_one_thing_is_forgotten_at_a_time(facehash, library):
    for words in ((), ("--person", "Ann", "--face", "1")):
        code, _, err = facehash("forget", *words, "--library", library)
        assert (code, err) == (2, "facehash: give one of --person, --photo and --face\n")


def test_a_damaged_library_can_be_rebuilt(facehash, library):
    assert facehash("check", "--library", library)[:2] == (0, "no problems\n")
    for path in (library / "index").iterdir():
        path.write_bytes(b"broken")
    code, out, _ = facehash("check", "--library", library)
    assert code == 3
    assert "its index files are damaged" in out and "facehash rebuild repairs it\n1 problem" in out
    assert facehash("rebuild", "--library", library)[:2] == (0, "rebuilt\n")
    assert facehash("check", "--library", library)[0] == 0


def test_a_folder_that_is_no_library_is_one_line(facehash, tmp_path):
    words = ("--library", tmp_path / "none")
    for command in (("check",), ("export", "x.csv")):
        code, _, err = facehash(*command, *words)
        assert (code, err.count("\n")) == (2, 1) and "no such library" in err


def test_stats_count_everything(facehash, library, photos, index):
    (photos / "bad.jpg").write_bytes(b"x")
    index()
    code, out, _ = facehash("stats", "--library", library)
    assert code == 0
    for line in (
        "photos      7 in 7 files",
        "faces       7; 1 photo without any",
        "people      3, with 5 faces",
        "not read    1, not a picture",
        "detector    halves",
    ):
        assert line in out.splitlines()


def test_an_export_holds_every_face(facehash, index, directory, photos, tmp_path):
    save(photos / "Cy" / "-5.png", draw(70))
    index(names="folders", codes="lsh:16")
    at = ("--library", directory)
    for name in ("faces.csv", "faces.json", "faces.h5"):
        code, out, _ = facehash("export", tmp_path / name, *at)
        assert code == 0 and out.startswith("8 faces in ")
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    value = json.loads((tmp_path / "faces.json").read_text())
    with h5py.File(tmp_path / "faces.h5") as file:
        arrays = {key: np.asarray(file[key]) for key in file}
        assert file.attrs["embedder_identity"] == "projection 12 cosine"
        assert list(file["name"].asstr()) == [row["name"] for row in rows]
        assert list(file["path"].asstr()) == [row["path"] for row in rows]
    assert value["settings"]["codes"] == "lsh:16"
    assert [face["face_id"] for face in value["faces"]] == arrays["face_id"].tolist()
    vectors = np.array([face["embedding"] for face in value["faces"]], np.float32)
    assert np.array_equal(vectors, arrays["embedding"]) and arrays["code"].shape == (8, 2)
    assert [bytes.fromhex(face["code"]) for face in value["faces"]] == [
        row.tobytes() for row in arrays["code"]
    ]
    assert {(row["width"], row["height"]) for row in rows} == {("40.0", "40.0"), ("40.0", "39.0")}


def test_an_export_is_a_data_set_of_vectors(facehash, index, directory, photos, tmp_path):
    index(names="folders")
    path = tmp_path / "faces.h5"
    facehash("export", path, "--library", directory)
    faces = read_vectors_file(path)
    with h5py.File(path) as file:
        names, vectors = list(file["name"].asstr()), file["embedding"][...]
    known = [row for row, name in enumerate(names) if name]
    np.testing.assert_array_equal(faces.vectors, vectors[known])
    assert [faces.identities[label] for label in faces.labels] == [names[row] for row in known]


def test_an_export_of_another_kind_is_refused(facehash, library, tmp_path):
    code, _, err = facehash("export", tmp_path / "faces.xml", "--library", library)
    assert code == 2 and ".csv, .json, .h5 or .hdf5" in err


def test_files_of_earlier_runs_are_counted_and_a_missing_library_is_named(
    facehash, library, photos
):
    (photos / "bad.jpg").write_bytes(b"x")
    index = ("index", photos, "--library", library, "--workers", 1)
    assert facehash(*index)[0] == 3
    assert "1 file could not be read before (--retry)" in facehash(*index)[1]
    facehash("forget", "--photo", photos / "Bo" / "0.png", "--library", library)
    assert "1 photo that index skips" in facehash("stats", "--library", library)[1]
    search = ("search", photos / "Ann" / "0.png", "--library", library, "--by", "embeddings")
    assert facehash(*search)[0] == 0
    code, _, err = facehash("rebuild", "--library", photos / "nothing")
    assert code == 2 and "no such library" in err
