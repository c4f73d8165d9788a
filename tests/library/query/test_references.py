import json
import logging

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.images.read import read_image
from facehash.library.query.library import Library, open_library
from facehash.library.query.references import search_as_one
from facehash.pipeline import NoFaceError
from facehash.vectors import unit_rows
from tests.helpers.facehash_command import facehash as run_facehash
from tests.library import fakes
from tests.library.conftest import draw, save


@pytest.fixture
def opened(index, directory):
    index(names="folders")
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        yield library


def stored_vectors(library: Library):
    """Return the unit vectors of the library by face id, without our index."""
    rows = library.store.database.rows("SELECT id, embedding FROM faces")
    return {face: unit_rows(np.frombuffer(row, "<f4")[None])[0] for face, row in rows}


def test_the_distance_is_the_mean_of_the_distances_to_the_references(opened, photos):
    references = [photos / "Ann" / "0.png", photos / "Ann" / "1.png", photos / "Bo" / "0.png"]
    result = search_as_one(opened, references, k=99)
    pipeline = opened.query_pipeline()
    vectors = np.concatenate(
        [unit_rows(pipeline.embed(read_image(path), path).rows) for path in references]
    )
    stored = stored_vectors(opened)
    assert len(result.hits) == len(stored) == 7
    for hit in result.hits:
        expected = np.mean([1 - one @ stored[hit.face_id] for one in vectors])
        assert hit.distance == pytest.approx(max(0, expected), abs=1e-5)
    distances = [hit.distance for hit in result.hits]
    assert distances == sorted(distances)
    near = search_as_one(opened, references, k=99, max_distance=distances[2] + 1e-6)
    assert [hit.face_id for hit in near.hits] == [hit.face_id for hit in result.hits[:3]]
    assert result.references == tuple(references)


def test_one_reference_is_a_plain_search(opened, photos):
    query = photos / "Ann" / "0.png"
    [plain] = opened.search(query, k=5)
    alone = search_as_one(opened, [query], k=5)
    assert [hit.face_id for hit in alone.hits] == [hit.face_id for hit in plain.hits]
    assert [hit.distance for hit in alone.hits] == pytest.approx(
        [hit.distance for hit in plain.hits], abs=1e-6
    )


@pytest.mark.parametrize("embedder", ["hamming:12", "projecting:12", "euclidean:12"])
def test_references_of_every_kind_of_library_find_their_person(index, directory, photos, embedder):
    index(names="folders", embedder=embedder)
    references = [photos / "Ann" / "0.png", photos / "Ann" / "1.png", photos / "Ann" / "0.png"]
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        assert search_as_one(library, references, k=1).hits[0].path == references[0]


def test_the_majority_decides_each_bit_and_the_first_a_tie(index, directory, photos):
    index(embedder="hamming:12")
    references = [photos / "Ann" / "0.png", photos / "Ann" / "1.png", photos / "Bo" / "0.png"]
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        pipeline = library.query_pipeline()
        bits = np.concatenate(
            [np.unpackbits(pipeline.embed(read_image(one), one).rows, axis=1) for one in references]
        )
        for number, expected in ((3, bits.sum(0) >= 2), (2, bits[0])):
            [plain] = library.search_vectors(np.packbits(expected)[None], k=9)
            found = search_as_one(library, references[:number], k=9)
            pairs = [[(hit.face_id, hit.distance) for hit in one.hits] for one in (plain, found)]
            assert pairs[0] == pairs[1]


def test_a_face_of_each_photo_can_be_chosen(opened, photos, caplog):
    party = photos / "party.png"
    largest = search_as_one(opened, [party, party], k=1)
    assert (largest.face, largest.hits[0].face) == (1, 1)
    assert (
        caplog.messages
        == [f"{party}: has 2 faces, the largest is taken; --face chooses another"] * 2
    )
    caplog.clear()
    second = search_as_one(opened, [party, party], k=1, face=2)
    assert (second.face, second.hits[0].face, caplog.messages) == (2, 2, [])
    with pytest.raises(InputError, match="party.png: has 2 faces, there is no face 3"):
        search_as_one(opened, [party], face=3)
    with pytest.raises(NoFaceError, match="night.png: no face found"):
        search_as_one(opened, [party, photos / "night.png"])


def test_references_of_two_people_are_named(opened, photos, monkeypatch, caplog):
    # The fakes have no threshold of their own.
    from facehash.calibration import thresholds

    identity = opened.settings.embedder_identity
    monkeypatch.setitem(thresholds.THRESHOLDS, identity, thresholds.Threshold(0.05, "test"))
    monkeypatch.setattr(thresholds, "SMALLEST", 1)
    again = save(photos.parent / "again.png", draw(1, 44, 44))
    other = save(photos.parent / "other.png", draw(3))
    with caplog.at_level(logging.WARNING):
        search_as_one(opened, [photos / "Ann" / "0.png", again])
        assert caplog.messages == []
        search_as_one(opened, [photos / "Ann" / "0.png", other, again])
    assert caplog.messages == [
        "the photos look like 2 people, so the hits may be of neither: 0.png, again.png | other.png"
    ]


def test_the_command_prints_one_result_for_all_photos(opened, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("facehash.pipeline.pipelines", lambda _=None: fakes.make_pipeline)
    references = [photos / "Ann" / "0.png", photos / "Ann" / "1.png"]
    words = ["search", *references, "--as-one", "--library", opened.store.directory, "-k", 2]
    files = ["--html", tmp_path / "a.html", "--csv", tmp_path / "a.csv"]
    code, out, err = run_facehash(*words, *files)
    assert (code, err) == (0, "")
    first, *hits = out.splitlines()
    assert first == f"2 photos as one: {references[0]}, {references[1]}"
    assert len(hits) == 2 and all(" Ann " in line for line in hits)
    assert "0.png and 1 more" in (tmp_path / "a.html").read_text()
    assert f"{references[0]}|{references[1]},1,1," in (tmp_path / "a.csv").read_text()
    _, out, _ = run_facehash(*words, "--json")
    [result] = json.loads(out)["results"]
    assert result["references"] == list(map(str, references))
