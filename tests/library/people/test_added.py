"""Faces that a person adds, by the commands; the fake detector finds none in these boxes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facehash.images.read import read_image
from facehash.library.ingest.added import add_face
from facehash.library.ingest.update import index_folder
from facehash.library.storage.folder import write_lock
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, pipelines
from tests.commands.conftest import facehash, run_facehash  # noqa: F401
from tests.embedders.test_sface import pairs
from tests.helpers.face_data import weights_dir
from tests.library import fakes
from tests.library.conftest import alter, draw, save, traces, what_is_stored_of

BOX = "50,8,14,20"


@pytest.fixture
def people(facehash, directory, index, monkeypatch):  # noqa: F811
    """Run a command of ``facehash people`` on a library of the photos; return its output."""
    monkeypatch.setattr("facehash.pipeline.pipelines", lambda _=None: fakes.make_pipeline)
    index(names="folders")

    def people(*words):
        code, out, err = facehash("people", *words, "--library", directory)
        assert code == 0, (out, err)
        return out

    return people


@pytest.fixture
def stored(directory):
    """Return the box, name, and whether it was added, of all faces of a photo."""

    def stored(path):
        with Store.open(directory) as store:
            return [
                (face.number, face.box, face.name, face.added)
                for face in store.faces()
                if path in (face.path, *face.copies)
            ]

    return stored


@pytest.fixture
def party(photos, people):
    """A photo with two found faces and an added one, who is Dora."""
    people("add-face", photos / "party.png", "--box", BOX, "--name", "Dora")
    return photos / "party.png"


FOUND = [(1, (0.0, 0.0, 40.0, 40.0), None, False), (2, (40.0, 1.0, 40.0, 39.0), None, False)]
ADDED = (3, (50.0, 8.0, 14.0, 20.0), "Dora", True)


def test_an_added_face_is_found_named_and_marked(party, stored, facehash, directory, tmp_path):  # noqa: F811
    assert stored(party) == [*FOUND, ADDED]
    pixels = np.asarray(Image.open(party))[8:28, 50:64]
    query = save(tmp_path / "query.png", pixels)
    code, out, _ = facehash("search", query, "--library", directory, "-k", 1)
    assert code == 0 and "Dora" in out and f"{party}  (face 3, #" in out
    assert facehash("check", "--library", directory)[0] == 0


def test_a_face_that_the_detector_does_not_find_is_said_to_be_unaligned(
    facehash,  # noqa: F811
    people,
    photos,
    directory,
):
    code, out, err = facehash(
        "people", "add-face", photos / "night.png", "--box", "2,2,10,12", "--library", directory
    )
    assert (code, out) == (0, f"face 1 of {photos / 'night.png'} added as #8\n")
    assert "the detector finds no face in this box, so the crop is not aligned" in err
    with Store.open(directory) as store:
        [face] = store.faces([8])
    assert face.score == 0.1 and face.quality < 0.1 and not face.aligned


def test_an_addition_can_be_undone_and_said_again(party, people, stored, ask):
    assert "no name -> Dora" in people("undo")
    assert stored(party) == FOUND
    assert ask("SELECT * FROM added_faces") == ask("SELECT 1 FROM people WHERE name = 'Dora'") == []
    people("add-face", party, "--box", BOX)
    assert stored(party) == [*FOUND, (3, ADDED[1], None, True)]


def test_a_removal_can_be_undone_with_the_name(party, people, stored, ask, facehash, directory):  # noqa: F811
    [(face_id,)] = ask("SELECT max(id) FROM faces")
    assert people("remove-face", face_id) == "1 added face removed\n"
    assert stored(party) == FOUND
    assert facehash("check", "--library", directory)[0] == 0
    people("undo")
    assert stored(party) == [*FOUND, ADDED]
    assert ask("SELECT * FROM parked") == []
    assert facehash("check", "--library", directory)[0] == 0


def test_added_faces_stay_through_index_runs_and_moves(party, photos, stored, index):
    index()
    assert stored(party) == [*FOUND, ADDED]
    moved = photos / "Bo" / "party.png"
    party.rename(moved)
    index()
    assert stored(moved) == [*FOUND, ADDED]


def test_an_added_face_comes_back_with_its_photo(party, photos, stored, index, tmp_path):
    away = shutil.move(party, tmp_path / "away.png")
    report = index()
    assert [one.name for one in report.kept_names.parked] == ["Dora"]
    assert stored(party) == []
    shutil.move(away, photos / "back.png")
    report = index()
    assert report.kept_names.returned == 1
    assert stored(photos / "back.png") == [*FOUND, ADDED]


def rewrite(path, image):
    Image.fromarray(np.asarray(image)).save(path, compress_level=1)


def test_an_added_face_follows_the_changed_content_of_its_file(party, stored, index, people, ask):
    before = party.read_bytes()
    rewrite(party, Image.open(party))
    assert party.read_bytes() != before
    assert index().kept_names.carried == 1
    assert stored(party) == [*FOUND, ADDED]
    assert len(ask("SELECT * FROM added_faces")) == 1
    # The journal means the face in the new content.
    people("undo")
    assert stored(party) == FOUND


def test_another_picture_in_its_place_gets_no_face(party, stored, index, ask):
    before = party.read_bytes()
    save(party, draw(60, width=80))
    report = index()
    assert stored(party) == FOUND
    assert [one.name for one in report.kept_names.parked] == ["Dora"]
    party.write_bytes(before)
    index()
    assert stored(party) == [*FOUND, ADDED]


@pytest.mark.parametrize("indexed_first", [False, True])
def test_a_backup_brings_added_faces_to_another_library(
    party,
    facehash,  # noqa: F811
    index,
    directory,
    stored,
    tmp_path,
    indexed_first,
):
    facehash("backup", tmp_path / "names.json", "--library", directory)
    shutil.rmtree(directory)
    if indexed_first:
        index()
    assert facehash("restore", tmp_path / "names.json", "--library", directory)[0] == 0
    index()
    assert stored(party) == [*FOUND, ADDED]


def test_a_face_that_the_detector_finds_there_is_the_same_face(people, photos, stored, index, ask):
    """As after a change of the detector: what was added before is found now."""
    path = photos / "Bo" / "0.png"
    [(digest,)] = ask(
        "SELECT digest FROM photos JOIN paths ON photo_id = photos.id WHERE path = ?",
        str(path).encode(),
    )
    alter(
        photos.parent / "lib",
        ("INSERT INTO added_faces VALUES (?, 4.0, 4.0, 30.0, 36.0, NULL)", digest),
    )
    index()
    assert stored(path) == [(1, (0.0, 0.0, 40.0, 40.0), "Bo", False)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["party.png", "--box", "1,2,3"], "--box 1,2,3: give four numbers, X,Y,W,H"),
        (["party.png", "--box", "1,2,nan,4"], "--box 1,2,nan,4: give four numbers"),
        (["party.png", "--box", "90,2,20,20"], "is not in the photo, which has 80 x 40 pixels"),
        (["party.png", "--box", "9,2,4,20"], "a box must be at least 8 pixels wide and high"),
        (["party.png", "--box", "2,0,37,40"], "has this face already: face 1, #"),
        (["Bo/0.png", "--box", "2,0,37,40"], ", Bo, at 0,0 (40 x 40)"),
        (["party.png", "--box", BOX, "--name", " "], "a name must not be empty"),
        (["none.png", "--box", BOX], "not in the library; a face can be added to a photo that"),
    ],
)
def test_wrong_use_is_one_line(facehash, people, photos, directory, words, message, ask):  # noqa: F811
    before = ask("SELECT count(*) FROM faces")
    words = [photos / words[0], *words[1:]]
    code, out, err = facehash("people", "add-face", *words, "--library", directory)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert ask("SELECT count(*) FROM faces") == before


def test_a_changed_photo_and_a_found_face_are_refused(facehash, people, photos, directory):  # noqa: F811
    code, _, err = facehash("people", "remove-face", 1, "--library", directory)
    assert code == 2 and "face 1 was found by the detector; to delete it from the library" in err
    save(photos / "party.png", draw(61, width=80))
    words = ["people", "add-face", photos / "party.png", "--box", BOX, "--library", directory]
    code, _, err = facehash(*words)
    assert code == 2 and "party.png: the photo has changed" in err


def test_a_forgotten_added_face_leaves_no_byte(party, facehash, directory, ask):  # noqa: F811
    needles = [part for part in what_is_stored_of(directory, "Dora") if part != str(party).encode()]
    needles = [one for one in needles if one] + [b"Dora"]
    assert traces(directory, *needles)
    assert facehash("forget", "--person", "Dora", "--library", directory)[0] == 0
    assert traces(directory, *needles) == []
    assert ask("SELECT * FROM added_faces") == []


@pytest.mark.parametrize("shift", [(0.0, 0.0, 1.0), (-0.1, 0.12, 1.25)])
def test_a_real_face_is_aligned_in_a_box_drawn_by_hand(tmp_path, shift):
    [photos] = pairs(1)
    folder = tmp_path / "photos"
    folder.mkdir()
    path = Path(shutil.copy(photos[0], folder))
    make = pipelines(weights_dir())
    pipeline = FacePipeline.create(make("yunet", "sface"))
    truth = pipeline.embed(read_image(path), path)
    x, y, width, height = truth.boxes[0]
    box = (x + shift[0] * width, y + shift[1] * height, width * shift[2], height * shift[2])
    # With this score the detector misses every face of our photos.
    report = index_folder(
        folder, tmp_path / "lib", detector="yunet,score=0.99", workers=1, progress=False,
        make_pipeline=make,
    )  # fmt: skip
    assert (report.photos, report.faces) == (1, 0)
    with Store.open(tmp_path / "lib") as store, write_lock(tmp_path / "lib", "people"):
        added = add_face(store, path, box, "Ann", make_pipeline=make)
        [face] = store.faces()
        stored = store.database.value("SELECT embedding FROM faces")
    assert added.found and face.name == "Ann" and face.score > 0.6
    vector = np.frombuffer(stored, "<f4")
    cosine = vector @ truth.rows[0] / np.linalg.norm(vector) / np.linalg.norm(truth.rows[0])
    assert 1 - cosine < 0.1
