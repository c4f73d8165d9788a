"""Videos in a library, with the fakes: the detector takes each frame as one or two faces."""

import os
import shutil

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.library.storage.store import Store
from tests.commands.conftest import facehash, run_facehash  # noqa: F401
from tests.library import fakes
from tests.library.conftest import draw, traces, what_is_stored_of
from tests.library.videos import write_video

SIZE = (64, 64)  # one face per frame


@pytest.fixture
def clip(photos):
    """Three seconds of one picture, three of another, and three of the first again."""
    pictures = [draw(seed, 44, 44) for seed in (73, 74)]
    scenes = [(3, [(pictures[i], 10, 0)]) for i in (0, 1, 0)]
    return write_video(photos / "clip.mp4", scenes, 10, "mp4v", SIZE)


def video_faces(directory):
    with Store.open(directory) as store:
        return [face for face in store.faces() if face.seconds is not None]


def test_videos_are_read_only_on_request(clip, index, directory):
    report = index()
    assert (report.videos, str(report.passed_over)) == (0, "1 video")
    report = index(videos=True)
    assert (report.photos, report.videos, report.faces) == (1, 1, 3)
    assert [(f.number, f.first_seconds, f.last_seconds) for f in video_faces(directory)] == [
        (1, 0.0, 2.0),
        (2, 3.0, 5.0),
        (3, 6.0, 8.0),
    ]
    assert all(face.box == (0.0, 0.0, 64.0, 64.0) for face in video_faces(directory))
    # The library remembers the request.
    assert (index().unchanged, len(video_faces(directory))) == (8, 3)
    report = index(videos=False)
    assert (report.deselected, report.removed, video_faces(directory)) == (1, 0, [])


def test_more_frames_are_searched_on_request(clip, index, directory, ask):
    index(videos=True, frames_per_second=5.0)
    assert [face.last_seconds for face in video_faces(directory)] == [2.8, 5.8, 8.8]
    assert ask("SELECT value FROM settings WHERE key = 'frames_per_second'") == [("5.0",)]
    for rate in (0, -1, 61, float("nan")):
        with pytest.raises(InputError, match="must be above 0 and at most 60"):
            index(frames_per_second=rate)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_video_is_one_unreadable_file(clip, photos, index, workers):
    (photos / "broken.mp4").write_bytes(clip.read_bytes()[:900])
    (photos / "text.avi").write_text("no video")
    report = index(videos=True, workers=workers)
    assert report.videos == 1
    assert {file.path.name: (file.reason, file.why) for file in report.unread} == {
        "broken.mp4": ("damaged", "damaged video, or in a format that OpenCV cannot decode"),
        "text.avi": ("damaged", "not a video in a known format"),
    }
    assert index(workers=workers).unread == ()


def test_a_video_that_kills_its_process_does_not_stop_the_run(clip, photos, index, directory):
    frame = np.full((64, 64, 3), fakes.DEADLY, np.uint8)
    deadly = photos / "deadly.avi"
    import cv2

    writer = cv2.VideoWriter(str(deadly), cv2.VideoWriter_fourcc(*"HFYU"), 10, SIZE)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no lossless video")
    for _ in range(5):
        writer.write(frame[:, :, ::-1])
    writer.release()
    report = index(videos=True, workers=2)
    assert [(one.path.name, one.reason) for one in report.unread] == [("deadly.avi", "crashed")]
    assert len(video_faces(directory)) == 3


def test_names_in_a_video_mean_one_appearance(clip, photos, index, directory, facehash, tmp_path):  # noqa: F811
    index(videos=True)
    first, second, third = (face.id for face in video_faces(directory))
    library = ["--library", directory]
    # The frames of the first and the third have the same box.
    assert facehash("people", "name", "Ann", first, *library)[0] == 0
    assert facehash("people", "name", "Bo", third, *library)[0] == 0
    assert facehash("people", "unname", third, *library)[0] == 0
    assert facehash("people", "undo", *library)[0] == 0
    assert facehash("backup", tmp_path / "names.json", *library)[0] == 0

    def names():
        return {face.first_seconds: face.name for face in video_faces(directory)}

    assert names() == {0.0: "Ann", 3.0: None, 6.0: "Bo"}
    away = shutil.move(clip, tmp_path / "away.mp4")
    assert [one.name for one in index().kept_names.parked] == ["Ann", "Bo"]
    shutil.move(away, photos / "Cy" / "clip.mp4")
    assert index().kept_names.returned == 2
    assert names() == {0.0: "Ann", 3.0: None, 6.0: "Bo"}
    shutil.rmtree(directory)
    assert facehash("restore", tmp_path / "names.json", *library)[0] == 0
    index(videos=True)
    assert names() == {0.0: "Ann", 3.0: None, 6.0: "Bo"}


def test_a_forgotten_face_of_a_video_leaves_no_byte(clip, index, directory, facehash):  # noqa: F811
    index(videos=True)
    faces = video_faces(directory)
    facehash("people", "name", "Dora", *(face.id for face in faces), "--library", directory)
    needles = [part for part in what_is_stored_of(directory, "Dora") if part]
    assert traces(directory, *needles)
    assert facehash("forget", "--person", "Dora", "--library", directory)[0] == 0
    assert traces(directory, *needles) == []
    assert index().excluded == 1


def test_the_command_prints_times_and_exports_them(clip, index, directory, facehash, tmp_path):  # noqa: F811
    index(videos=True)
    path = tmp_path / "faces.csv"
    assert facehash("export", path, "--library", directory)[0] == 0
    rows = [line for line in path.read_text().splitlines() if os.fspath(clip) in line]
    assert len(rows) == 3 and [float(row.split(",")[-1]) // 3 for row in rows] == [0, 1, 2]
    code, _, err = facehash(
        "people", "add-face", clip, "--box", "1,1,20,20", "--library", directory
    )
    assert code == 2 and "clip.mp4: is a video; faces can be added to photos only" in err
