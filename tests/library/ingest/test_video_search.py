"""Faces in videos, found by time: two people of the ORL faces, with YuNet and SFace."""

import json
import re

import pytest
from PIL import Image

from tests.helpers.face_data import weights_dir
from tests.helpers.facehash_command import facehash
from tests.library.videos import orl, write_video


@pytest.mark.parametrize(
    ("name", "codec"),
    [("clip.mp4", "mp4v"), pytest.param("clip.avi", "MJPG", marks=pytest.mark.full)],
)
def test_two_people_of_a_video_are_found_with_time_stamps(tmp_path, name, codec):
    first, second = (1, 5), (2, 4)  # people and pictures; others of them are the queries
    scenes = [
        (4, [(orl(*first), 20, 1)]),
        (3, []),
        (4, [(orl(*first), 10, 0), (orl(*second), 250, 0)]),
    ]
    video = write_video(tmp_path / "videos" / name, scenes, codec=codec)
    library = ["--library", tmp_path / "lib"]
    weights = ["--weights-dir", weights_dir()]
    code, out, err = facehash("index", video.parent, *library, "--videos", "--workers", 1, *weights)
    assert code == 0, err
    # 11 frames are searched; the same face at nearly the same place is one row.
    assert out.startswith("0 new photos and 1 new video with 3 faces in ")
    for person, picture, begin, end in ((1, 2, (0, 7), (3, 10)), (2, 1, (7,), (10,))):
        query = tmp_path / f"{person}.png"
        Image.fromarray(orl(person, picture)).save(query)
        words = ["search", query, *library, *weights, "--face", 1]
        code, out, err = facehash(*words)
        assert code == 0, err
        hits = out.splitlines()[1:]
        assert re.search(rf"{video} @ 00:00:\d\d  \(face \d, #\d, seen from 00:00:", hits[0])
        _, out, _ = facehash(*words, "--json")
        near = json.loads(out)["results"][0]["hits"][: len(begin)]
        assert all(hit["within_threshold"] for hit in near)
        assert {int(hit["first_seconds"]) for hit in near} == set(begin)
        assert {int(hit["last_seconds"]) for hit in near} == set(end)
        assert all(hit["first_seconds"] <= hit["seconds"] <= hit["last_seconds"] for hit in near)
        for hit in near:
            x, y, width, height = hit["box"]
            assert 0 <= y < 300 and 0 <= x < 480 and 60 < width < 200 and 60 < height < 224
    page, strip = tmp_path / "found.html", tmp_path / "found.png"
    assert facehash(*words, "--html", page, "--strip", strip)[0] == 0
    assert re.search(r"clip\.(<wbr>)?(mp4|avi) @ 00:00:0\d<br>", page.read_text())
    assert page.read_text().count("data:image/jpeg") >= 8  # crops and frames
    assert facehash("check", *library)[0] == 0
