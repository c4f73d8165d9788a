import os

import numpy as np
import pytest

from facehash.images import video as videos
from facehash.images.read import UnreadableImageError
from facehash.images.video import Video, format_time, read_frame
from tests.library.videos import write_video

GREY = [np.full((40, 40, 3), 20 * i, np.uint8) for i in range(12)]


@pytest.fixture(params=[("a.mp4", "mp4v", 10), ("a.avi", "MJPG", 25)])
def clip(tmp_path, request):
    """Six seconds; the square in second i has the gray 20 i."""
    name, codec, rate = request.param
    scenes = [(1, [(GREY[i], 10, 0)]) for i in range(6)]
    return write_video(tmp_path / name, scenes, rate, codec, (160, 96))


def grays(frames):
    return [round(float(frame.pixels[40, 30].mean()) / 20) for frame in frames]


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [(1, [0, 1, 2, 3, 4, 5]), (0.5, [0, 2, 4]), (2, [i / 2 for i in range(12)])],
)
def test_one_frame_is_read_per_period(clip, rate, seconds):
    with Video(clip) as video:
        frames = list(video.frames(rate))
        assert video.size == (160, 96) and video.damage is None and 5.8 < video.seconds < 6
    assert [frame.seconds for frame in frames] == pytest.approx(seconds, abs=0.1)
    assert grays(frames) == [int(one) for one in seconds]
    assert frames[0].pixels.shape == (96, 160, 3) and frames[0].pixels.dtype == np.uint8


def test_all_frames_are_read_if_more_are_asked_for(clip):
    with Video(clip) as video:
        frames = list(video.frames(60))
    assert len(frames) == 6 * (10 if clip.suffix == ".mp4" else 25)


def test_a_frame_is_found_again_by_its_time(clip):
    with Video(clip) as video:
        frames = list(video.frames(2))
    for frame in frames[::-3]:
        assert (read_frame(clip, frame.seconds).pixels == frame.pixels).all()
    with pytest.raises(UnreadableImageError, match="has no frame at 00:00:09"):
        read_frame(clip, 9.0)


def test_colors_are_rgb(tmp_path):
    red = np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 250
    path = write_video(tmp_path / "a.avi", [(1, [(red, 10, 0)])], 10, "MJPG", (160, 96))
    pixel = read_frame(path, 0).pixels[50, 40]
    assert pixel[0] > 200 and max(pixel[1:]) < 60


def test_a_changed_video_is_refused(clip):
    digest = videos.digest_of(clip)
    assert read_frame(clip, 1.0, digest).size == (160, 96)
    with clip.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UnreadableImageError, match="the video has changed") as caught:
        read_frame(clip, 1.0, digest)
    assert caught.value.reason == "changed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a video: the file is empty"),
        (b"hello world, hello world", "not a video in a known format"),
        # A list of other files or addresses, which FFmpeg would play.
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a video in a known format"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "not a video in a known format"),
        (b"\0\0\0\x20ftypisom" + bytes(400), "damaged video, or in a format that OpenCV cannot"),
        (b"RIFF\0\1\0\0AVI LIST" + os.urandom(4000), "damaged video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=message):
        with Video(path) as video:
            list(video.frames())


def test_limits_of_bytes_pixels_and_frames(clip, monkeypatch):
    monkeypatch.setattr(videos, "MAX_FRAMES", 3)
    with Video(clip) as video:
        assert len(list(video.frames())) == 3
        assert video.damage == "only the first 3 frames were read"
    monkeypatch.setattr(videos, "MAX_DECODED", 21)
    with Video(clip) as video:
        list(video.frames(0.1))
        assert video.damage.startswith("cut off: it was read to 00:00:0")
    monkeypatch.setattr(videos, "MAX_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match="160 x 96 pixels exceed") as caught:
        Video(clip)
    assert caught.value.reason == "too_many_pixels"
    monkeypatch.setattr(videos, "MAX_VIDEO_BYTES", 100)
    with pytest.raises(UnreadableImageError, match="exceed the limit") as caught:
        Video(clip)
    assert caught.value.reason == "too_large_file"


def test_a_video_that_lacks_its_end_is_read_in_part(tmp_path):
    scenes = [(1, [(GREY[i], 10, 0)]) for i in range(6)]
    clip = write_video(tmp_path / "a.avi", scenes, 25, "MJPG", (160, 96))
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    with Video(clip) as video:
        assert 1 <= len(list(video.frames())) <= 4
        assert video.damage.startswith("cut off: it was read to 00:00:0")


def test_times_are_shown_in_hours_minutes_and_seconds():
    assert [format_time(one) for one in (0, 59.9, 3600, 45_296.2)] == [
        "00:00:00",
        "00:00:59",
        "01:00:00",
        "12:34:56",
    ]
