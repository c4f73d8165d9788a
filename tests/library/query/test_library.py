import doctest
import io
import json
import shutil
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from PIL import Image

import facehash
from facehash import pipeline
from facehash.calibration.thresholds import THRESHOLDS, Threshold, threshold_of
from facehash.codes import signs_from_packed
from facehash.errors import InputError
from facehash.library.derived.codes import read_hasher
from facehash.library.query import library as library_module
from facehash.library.query import results
from facehash.library.query.library import open_library
from facehash.library.query.results import Hit
from facehash.library.storage.database import LibraryError
from facehash.pipeline import NoFaceError
from facehash.vectors import unit_rows
from tests.conftest import ROOT
from tests.library import fakes
from tests.library.conftest import alter, draw, save

VERIFICATION = json.loads((ROOT / "benchmarks/results/verification.json").read_text("utf-8"))


@pytest.fixture
def library(index, directory):
    index(names="folders")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        yield library


def use_fakes(monkeypatch):
    for name in ("make_detector", "make_embedder", "crop_face"):
        monkeypatch.setattr(pipeline, name, getattr(fakes, name))


@pytest.mark.parametrize("module", [facehash, library_module, results])
def test_the_examples_in_the_documentation_run(module, index, tmp_path, monkeypatch):
    save(tmp_path / "album" / "Ann" / "holiday.png", draw(1))
    save(tmp_path / "album" / "Bo" / "party.png", draw(2, width=80))
    save(tmp_path / "aunt.png", draw(1))
    index(tmp_path / "album", names="folders", embedder="cosine:12")
    monkeypatch.chdir(tmp_path)
    use_fakes(monkeypatch)
    with facehash.open("lib") as library:
        names = {"facehash": facehash, "library": library, "np": np}
        found = doctest.DocTestFinder().find(module, extraglobs=names)
        runner = doctest.DocTestRunner()
        for example in found:
            if example.name != "facehash.load_model":  # its test has a run
                runner.run(example)
    assert runner.tries and not runner.failures


def test_a_photo_finds_itself_first_with_all_details(library, photos):
    [result] = library.search(photos / "Bo" / "0.png", k=3)
    assert (result.query, result.face, result.box) == (photos / "Bo" / "0.png", 1, (0, 0, 40, 40))
    assert result.crop.shape == (16, 16, 3)
    assert [hit.rank for hit in result.hits] == [1, 2, 3]
    first = result.hits[0]
    assert (first.name, first.path, first.face, first.box) == (
        "Bo", photos / "Bo" / "0.png", 1, (0, 0, 40, 40),
    )  # fmt: skip
    assert first.distance < 1e-6 < result.hits[1].distance <= result.hits[2].distance
    assert first.within_threshold is None and first.shown_name == "Bo"
    with pytest.raises(FrozenInstanceError):
        first.rank = 2


def test_an_array_or_vector_gives_the_hits_of_the_file_within_k_and_distance(library, photos):
    query = photos / "Bo" / "0.png"
    [result] = library.search(query, k=1000)
    assert len(result.hits) == len(library) == 7
    image, limit = np.asarray(Image.open(query)), result.hits[3].distance
    [near] = library.search(image, k=7, max_distance=limit)
    assert near.hits == result.hits[:4] and near.query is None
    row = fakes.Projection(12).embed(near.crop[None])
    assert library.search_vectors(row, k=2)[0].hits == result.hits[:2]


def test_all_faces_of_a_query_are_searched_or_one(library, photos):
    both = library.search(photos / "party.png", k=1)
    assert [result.face for result in both] == [1, 2]
    assert [result.hits[0].face for result in both] == [1, 2]
    assert library.search(photos / "party.png", k=1, face=2) == both[1:]
    for face in (0, 3):
        with pytest.raises(InputError, match=f"has 2 faces, there is no face {face}"):
            library.search(photos / "party.png", face=face)
    with pytest.raises(NoFaceError, match="night.png: no face found"):
        library.search(photos / "night.png")


@pytest.mark.parametrize("options", [{"codes": "lsh:64"}, {"embedder": "hamming:64"}])
def test_a_library_with_codes_is_searched_by_codes(index, directory, photos, options):
    index(**options)
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.by == "code"
        assert library.metric == ("asymmetric" if "codes" in options else "hamming")
        [result] = library.search(photos / "Cy" / "1.png", k=7)
        assert result.hits[0].path == photos / "Cy" / "1.png" and result.hits[0].distance == 0
        assert result.metric == library.metric
    with open_library(directory, distance="hamming", make_pipeline=fakes.make_pipeline) as library:
        [result] = library.search(photos / "Cy" / "1.png", k=7)
        distances = [hit.distance for hit in result.hits]
        assert distances[0] == 0 and all(value == int(value) for value in distances)
        assert result.metric == "hamming"


def test_the_asymmetric_distance_weighs_the_bits_of_a_stored_code(index, directory, photos):
    index(codes="lsh:32")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        hasher = read_hasher(library.store.database, library.settings)
        vector = unit_rows(np.random.default_rng(0).normal(size=(1, 12)).astype(np.float32))
        [result] = library.search_vectors(vector, k=7)
        p = hasher.projections(vector)[0].astype(np.float64)
        for hit in result.hits:
            query = "SELECT code FROM faces WHERE id = ?"
            code = library.store.database.value(query, (hit.face_id,))
            signs = signs_from_packed(np.frombuffer(code, np.uint8)[None], 32)[0]
            wanted = 16 * (1 - (p * signs).sum() / np.abs(p).sum())
            assert hit.distance == pytest.approx(wanted, abs=1e-6)
            assert result.format_distance(hit) == f"{wanted:.1f}"
        # Packed codes have no projections.
        [by_code] = library.search_vectors(hasher.encode(vector), k=7)
        assert by_code.metric == "hamming"
        assert all(hit.distance == int(hit.distance) for hit in by_code.hits)


def test_a_library_of_codes_of_a_network_is_searched_by_projections(index, directory, photos):
    index(embedder="projecting:40")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.metric == "asymmetric" and library.threshold is None
        [result] = library.search(photos / "Bo" / "0.png", k=7)
        codes, p = fakes.make_embedder("projecting:40").project(result.crop[None])
        signs = signs_from_packed(codes, 40)[0]
        assert result.metric == "asymmetric" and result.hits[0].distance == pytest.approx(0)
        for hit in result.hits:
            query = "SELECT code FROM faces WHERE id = ?"
            code = library.store.database.value(query, (hit.face_id,))
            signs = signs_from_packed(np.frombuffer(code, np.uint8)[None], 40)[0]
            wanted = 20 * (1 - (p[0].astype(float) * signs).sum() / np.abs(p[0]).sum())
            assert hit.distance == pytest.approx(wanted, abs=1e-5)
        [by_floats], [by_code] = (library.search_vectors(rows, k=7) for rows in (p, codes))
        assert [hit.face_id for hit in by_floats.hits] == [hit.face_id for hit in result.hits]
        assert by_code.metric == "hamming" and by_code.hits[0].distance == 0
    with open_library(directory, distance="hamming", make_pipeline=fakes.make_pipeline) as library:
        [result] = library.search(photos / "Bo" / "0.png", k=7)
        assert result.metric == "hamming"
        assert [hit.distance for hit in result.hits] == [hit.distance for hit in by_code.hits]
    # As indexed by a version that did not store it.
    alter(directory, ("DELETE FROM settings WHERE key = 'projects'",))
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.metric == "hamming"
    index()
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.metric == "asymmetric"


def test_a_distance_that_a_library_does_not_have_is_refused(index, directory, tmp_path):
    index(codes="itq:8")
    with pytest.raises(LibraryError, match="by embedding; hamming is a distance of codes"):
        open_library(directory, by="embedding", distance="hamming")
    index(library=tmp_path / "network", embedder="hamming:64")
    with pytest.raises(LibraryError, match="have only the Hamming distance"):
        open_library(tmp_path / "network", distance="asymmetric")


def test_codes_have_a_threshold_if_their_vectors_have_one(index, directory, photos, monkeypatch):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.05, "made up"))
    index(codes="lsh:64")
    for distance in ("asymmetric", "hamming"):
        options = {"distance": distance, "make_pipeline": fakes.make_pipeline}
        with open_library(directory, **options) as library:
            assert 0 < library.threshold < 64
            [result] = library.search(photos / "Bo" / "0.png", k=7)
            within = [hit.distance <= library.threshold for hit in result.hits]
            assert [hit.within_threshold for hit in result.hits] == within
            assert within[0] and not within[-1]
            assert result.hits[-1].shown_name == "unknown"
    damage, nan = "UPDATE hasher SET npy = ? WHERE name = 'threshold_hamming'", io.BytesIO()
    np.save(nan, np.array(np.nan))
    for content, message in ((b"", "hasher is damaged"), (nan.getvalue(), "damaged .nan")):
        alter(directory, (damage, content))
        with pytest.raises(LibraryError, match=message):
            open_library(directory)


def test_thresholds_of_learned_codes_follow_a_library_that_grows(
    head, index, directory, photos, tmp_path, monkeypatch
):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.05, "made up"))
    limits = {}
    for codes in ("learned:9", "adapted:9"):
        few, where = tmp_path / codes[:7], tmp_path / f"{codes[:7]}-lib"
        shutil.copytree(photos / "Ann", few)
        index(few, where, codes=codes)
        for extra in (None, photos / "Cy"):
            if extra:
                shutil.copytree(extra, few / "Cy")
                index(few, where)
            with open_library(where, distance="hamming") as library:
                limits.setdefault(codes, []).append(library.threshold)
    assert limits["learned:9"][0] != limits["learned:9"][1]
    assert limits["adapted:9"][0] == limits["adapted:9"][1]


def test_a_library_with_codes_can_be_searched_by_vectors(index, directory):
    index()
    with pytest.raises(LibraryError, match="cannot be searched by code, only by embedding"):
        open_library(directory, by="code")
    index(codes="itq:8")
    with open_library(directory, by="embedding", make_pipeline=fakes.make_pipeline) as library:
        vector = fakes.Projection(12).embed(library.search(draw(3), k=1)[0].crop[None])
        assert library.search_vectors(vector, 1)[0].hits[0].distance < 1e-6
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.search_vectors(vector, 1)[0].hits[0].distance == 0


def test_an_open_library_finds_photos_indexed_later_also_without_index_files(
    library, index, directory, photos
):
    save(photos / "new.png", draw(70))
    index()
    assert len(library) == 8
    assert library.search(photos / "new.png", k=1)[0].hits[0].path == photos / "new.png"
    shutil.rmtree(directory / "index")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as rebuilt:
        assert rebuilt.search(photos / "Bo" / "0.png", k=1)[0].hits[0].name == "Bo"


def test_an_embedder_that_has_changed_is_refused(library, photos, monkeypatch):
    monkeypatch.setattr(fakes.Projection, "identity", "projection 2")
    with pytest.raises(LibraryError, match="made with the embedder projection 12 cosine, which is"):
        library.search(photos / "Bo" / "0.png")


def test_hits_beyond_the_threshold_are_shown_as_unknown(library, photos, monkeypatch):
    [result] = library.search(photos / "Bo" / "0.png", k=7)
    limit = result.hits[2].distance
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(limit, "made up"))
    [result] = library.search(photos / "Bo" / "0.png", k=7)
    assert [hit.within_threshold for hit in result.hits] == [True] * 3 + [False] * 4
    assert result.hits[0].shown_name == "Bo"
    assert {hit.shown_name for hit in result.hits[3:]} == {"unknown"}
    nameless = Hit(1, 0.0, None, None, 1, (0, 0, 1, 1), 1, None)
    assert nameless.score == 1 and nameless.shown_name == ""


def test_thresholds_equal_the_committed_measurement():
    for measured in VERIFICATION.values():
        threshold = threshold_of(measured["embedder"])
        assert threshold.distance == round(measured["threshold"], 3)
        rate, missed = measured["wanted_false_match_rate"], measured["false_non_match_rate"]
        assert f"rate {rate:.0e}".replace("-0", "-") in threshold.source
        assert f"on {measured['photos']:,} photos of {measured['data'].upper()}" in threshold.source
        assert f" {missed:.1%}".replace("%", " %") in threshold.source
    assert len(VERIFICATION) == len(THRESHOLDS)


def test_a_threshold_depends_on_weights_and_settings_not_on_file_names():
    [identity] = [name for name in VERIFICATION if "facenet" in name and "cosine" in name]
    facenet = VERIFICATION[identity]["embedder"]
    assert threshold_of(facenet.replace("facenet_128", "a:b")) == threshold_of(facenet)
    assert threshold_of(facenet[:-1] + "0") is None
    assert threshold_of(facenet.replace("crop=box", "crop=none")) is None
    assert threshold_of("sface") is None and threshold_of("other") is None


def test_old_names_of_results_still_work_with_a_warning(library, photos):
    [result] = library.search(photos / "Bo" / "0.png", k=1)
    with pytest.warns(DeprecationWarning, match=r"removed in 0\.3\.0; use Hit.within_threshold"):
        assert result.hits[0].known is None
    with pytest.warns(DeprecationWarning, match="use QueryResult.format_distance"):
        assert result.shown_number(result.hits[0]) == "0.000"
    with pytest.warns(DeprecationWarning, match="use QueryResult"):
        assert results.Answer is results.QueryResult
    with pytest.raises(AttributeError, match="no attribute 'Question'"):
        _ = results.Question


def test_other_folders_are_refused(tmp_path, photos):
    with pytest.raises(LibraryError, match="no such library .to create one: facehash index"):
        facehash.open(tmp_path / "nothing")
    with pytest.raises(LibraryError, match="not a library"):
        facehash.open(photos)


def test_a_library_without_faces_returns_no_hits(index, directory, tmp_path, photos):
    save(tmp_path / "dark" / "night.png", np.zeros((20, 20, 3), np.uint8))
    index(tmp_path / "dark", codes="lsh:8")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert len(library) == 0
        [result] = library.search(photos / "Bo" / "0.png", k=5)
        assert result.hits == ()
    index()
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert library.by == "code" and len(library) == 7
