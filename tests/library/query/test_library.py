import json
import shutil
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from PIL import Image

import facehash
from facehash import pipeline
from facehash.calibration.thresholds import THRESHOLDS, Threshold, threshold_of
from facehash.errors import InputError
from facehash.library.query.library import open_library
from facehash.library.query.results import Hit
from facehash.library.storage.database import LibraryError
from facehash.pipeline import NoFaceError
from tests.conftest import ROOT
from tests.library import fakes
from tests.library.conftest import draw, save

VERIFICATION = json.loads((ROOT / "benchmarks/results/verification.json").read_text("utf-8"))


@pytest.fixture
def library(index, directory):
    index(names="folders")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        yield library


def test_a_photo_finds_itself_first_with_all_that_is_known_of_it(library, photos):
    [answer] = library.search(photos / "Bo" / "0.png", k=3)
    assert (answer.query, answer.face, answer.box) == (photos / "Bo" / "0.png", 1, (0, 0, 40, 40))
    assert answer.crop.shape == (16, 16, 3)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    first = answer.hits[0]
    assert (first.name, first.path, first.face, first.box) == (
        "Bo", photos / "Bo" / "0.png", 1, (0, 0, 40, 40),
    )  # fmt: skip
    assert first.distance < 1e-6 < answer.hits[1].distance <= answer.hits[2].distance
    assert first.within_threshold is None and first.shown_name == "Bo"
    with pytest.raises(FrozenInstanceError):
        first.rank = 2


def test_every_face_of_a_query_is_asked_or_one(library, photos):
    both = library.search(photos / "party.png", k=1)
    assert [answer.face for answer in both] == [1, 2]
    assert [answer.hits[0].face for answer in both] == [1, 2]
    assert library.search(photos / "party.png", k=1, face=2) == both[1:]
    for face in (0, 3):
        with pytest.raises(InputError, match=f"has 2 faces, there is no face {face}"):
            library.search(photos / "party.png", face=face)


def test_more_than_there_are_returns_all_and_fewer_than_one_is_refused(library, photos):
    [answer] = library.search(photos / "Bo" / "0.png", k=1000)
    assert len(answer.hits) == len(library) == 7
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        library.search(photos / "Bo" / "0.png", k=0)


def test_what_is_too_far_is_left_out(library, photos):
    [all_of_them] = library.search(photos / "Bo" / "0.png", k=7)
    limit = all_of_them.hits[3].distance
    [near] = library.search(photos / "Bo" / "0.png", k=7, max_distance=limit)
    assert near.hits == all_of_them.hits[:4]
    [nothing] = library.search(draw(999), k=7, max_distance=1e-9)
    assert nothing.hits == ()


def test_no_face_in_the_query_is_said_plainly(library, photos):
    with pytest.raises(NoFaceError, match="night.png: no face found"):
        library.search(photos / "night.png")
    assert not issubclass(NoFaceError, InputError)


def test_pictures_and_vectors_from_memory_find_the_same(library, photos):
    image = np.asarray(Image.open(photos / "Bo" / "0.png"))
    [by_image] = library.search(image, k=2)
    [by_file] = library.search(str(photos / "Bo" / "0.png"), k=2)
    assert by_image.hits == by_file.hits and by_image.query is None
    row = fakes.Projection(12).embed(by_image.crop[None])
    [by_vector] = library.search_vectors(row, k=2)
    assert by_vector.hits == by_file.hits
    with pytest.raises(InputError, match=r"queries must be float32 \(n, 12\)"):
        library.search_vectors(row[:, :5])


@pytest.mark.parametrize("options", [{"codes": "lsh:64"}, {"embedder": "hamming:64"}])
def test_a_library_with_codes_is_searched_by_them(index, directory, photos, options):
    index(**options)
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.by == "code"
        [answer] = library.search(photos / "Cy" / "1.png", k=7)
        distances = [hit.distance for hit in answer.hits]
        assert distances[0] == 0 and all(value == int(value) for value in distances)
        assert answer.hits[0].path == photos / "Cy" / "1.png"


def test_a_library_with_both_can_be_searched_by_its_vectors(index, directory, photos):
    index(codes="itq:8")
    with open_library(directory, by="embedding", make_pipeline=fakes.make_pipeline) as library:
        vector = fakes.Projection(12).embed(library.search(draw(3), k=1)[0].crop[None])
        assert library.search_vectors(vector, 1)[0].hits[0].distance < 1e-6
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.search_vectors(vector, 1)[0].hits[0].distance == 0


def test_codes_are_not_there_to_be_searched_before_they_are_made(library, directory):
    with pytest.raises(LibraryError, match="cannot be searched by code, only by embedding"):
        open_library(directory, by="code")


def test_an_open_library_sees_what_was_indexed_since(library, index, photos):
    before = len(library)
    save(photos / "new.png", draw(70))
    index()
    assert len(library) == before + 1
    assert library.search(photos / "new.png", k=1)[0].hits[0].path == photos / "new.png"


def test_a_search_needs_no_index_files(library, directory, photos):
    shutil.rmtree(directory / "index")
    assert library.search(photos / "Bo" / "0.png", k=1)[0].hits[0].name == "Bo"


def test_an_embedder_that_changed_behind_its_name_is_refused(library, photos, monkeypatch):
    monkeypatch.setattr(fakes.Projection, "identity", "projection 2")
    with pytest.raises(LibraryError, match="made with the embedder projection 12 cosine, which is"):
        library.search(photos / "Bo" / "0.png")


def test_hits_beyond_the_threshold_are_unknown(library, photos, monkeypatch):
    [answer] = library.search(photos / "Bo" / "0.png", k=7)
    limit = answer.hits[2].distance
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(limit, "made up"))
    [answer] = library.search(photos / "Bo" / "0.png", k=7)
    assert [hit.within_threshold for hit in answer.hits] == [True] * 3 + [False] * 4
    assert answer.hits[0].shown_name == "Bo"
    assert {hit.shown_name for hit in answer.hits[3:]} == {"unknown"}


def test_thresholds_are_those_that_were_measured():
    for measured in VERIFICATION.values():
        threshold = threshold_of(measured["embedder"])
        assert threshold.distance == round(measured["threshold"], 3)
        rate, missed = measured["wanted_false_match_rate"], measured["false_non_match_rate"]
        assert f"rate {rate:.0e}".replace("-0", "-") in threshold.source
        assert f"on {measured['photos']:,} photos of {measured['data'].upper()}" in threshold.source
        assert f" {missed:.1%}".replace("%", " %") in threshold.source
    assert len(VERIFICATION) == len(THRESHOLDS)


def test_a_threshold_belongs_to_weights_not_to_the_name_of_their_file():
    [identity] = [name for name in VERIFICATION if "facenet" in name and "cosine" in name]
    facenet = VERIFICATION[identity]["embedder"]
    assert threshold_of(facenet.replace("facenet_128", "a:b")) == threshold_of(facenet)
    assert threshold_of(facenet[:-1] + "0") is None
    assert threshold_of(facenet.replace("crop=box", "crop=none")) is None
    assert threshold_of("sface") is None and threshold_of("other") is None


def test_the_score_is_one_for_the_photo_itself():
    hit = Hit(1, 0.0, None, None, 1, (0, 0, 1, 1), 1, None)
    assert hit.score == 1 and hit.shown_name == ""


def test_the_package_opens_a_library(index, directory, photos, monkeypatch):
    index()
    for name in ("make_detector", "make_embedder", "crop_face"):
        monkeypatch.setattr(pipeline, name, getattr(fakes, name))
    with facehash.open(directory) as library:
        [answer] = library.search(photos / "Ann" / "1.png", k=5)
    assert answer.hits[0].path == photos / "Ann" / "1.png"


def test_what_is_no_library_is_told(tmp_path, photos):
    with pytest.raises(LibraryError, match="no such library .facehash index FOLDER --library"):
        facehash.open(tmp_path / "nothing")
    with pytest.raises(LibraryError, match="not a library"):
        facehash.open(photos)


def test_a_library_without_faces_answers_with_none(index, directory, tmp_path, photos):
    save(tmp_path / "dark" / "night.png", np.zeros((20, 20, 3), np.uint8))
    index(tmp_path / "dark", codes="lsh:8")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert len(library) == 0
        [answer] = library.search(photos / "Bo" / "0.png", k=5)
        assert answer.hits == ()
    index()
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.by == "code" and len(library) == 7
