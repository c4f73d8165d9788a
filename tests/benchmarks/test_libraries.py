"""What the benchmarks of libraries take for true before they measure."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from benchmarks.search.indexing import RESULT as INDEXING
from benchmarks.search.indexing import bars, commands, growth, megabytes_of, repeat
from benchmarks.search.lfw import BAR, middle_faces, read_result
from facehash.files import FileState
from facehash.images.read import read_image
from facehash.library.storage.records import NewFace, NewPhoto
from facehash.library.storage.store import Store


def face(x, y, side):
    return NewFace((x, y, side, side), None, 1.0, 1.0, b"", np.zeros(2, np.float32), None)


def test_the_face_in_the_middle_is_the_person_of_a_photo(tmp_path):
    with Store.create(tmp_path / "lib") as store:
        for number, boxes in enumerate([[(0, 0, 60), (45, 45, 10)], [(40, 30, 20), (80, 80, 20)]]):
            state, digest = FileState(0, 0), bytes([number]) * 32
            faces = tuple(face(*box) for box in boxes)
            photo = NewPhoto(tmp_path / f"{number}.jpg", state, digest, (100, 100), faces=faces)
            store.add([photo])
        found = list(middle_faces(store))
    assert found == [(tmp_path / "0.jpg", 2), (tmp_path / "1.jpg", 1)]


def test_the_committed_measure_of_lfw_reaches_its_bar():
    result = read_result()
    [vectors, *_] = result["all"]["methods"]
    assert vectors["name"] == "sface" and vectors["P@1"] >= BAR
    assert result["people_seen_by_a_run"] == 10
    assert result["unseen"]["library"]["people"] == result["all"]["library"]["people"] - 10


def test_the_committed_measure_of_indexing_reaches_its_bars():
    result = json.loads(INDEXING.read_text())
    assert result["bars"] == bars(result) and set(result["bars"].values()) == {"met"}
    assert result["memory"]["growth"] == growth(result["memory"]["peak_megabytes_by_tenth"])
    assert result["photos"] == 2264 and result["memory"]["photos"] == 10_000


def test_memory_that_grows_in_the_middle_has_grown():
    assert growth([500, 100, 100, 120, 100, 90, 90, 90, 90, 20]) == 1.2
    with pytest.raises(RuntimeError, match="too few photos"):
        growth([500, 100, None, 120, 100, 90, 90, 90, 90, 20])


def test_copies_for_the_memory_look_alike_and_are_new(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for number in range(2):
        Image.new("RGB", (30, 20), (90 * number, 0, 0)).save(source / f"{number}.jpg")
    repeat(source, tmp_path / "many", 5)
    copies = sorted((tmp_path / "many").iterdir())
    assert len({path.read_bytes() for path in copies}) == 5
    assert (read_image(copies[0]) == read_image(source / "0.jpg")).all()
    assert (read_image(copies[3]) == read_image(source / "1.jpg")).all()


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux only")
def test_memory_of_a_process_is_counted():
    before = megabytes_of(os.getpid())
    held = np.ones(50 << 20, np.uint8)
    assert megabytes_of(os.getpid()) - before == pytest.approx(50, abs=5)
    del held


def test_the_rivals_are_given_the_same_photos(tmp_path):
    for command, _ in commands(tmp_path / "photos", tmp_path / "made").values():
        assert str(tmp_path / "photos") in command
