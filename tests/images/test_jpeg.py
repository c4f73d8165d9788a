"""JPEG files that lack their end, and those that are too large to be decoded as a whole."""

import io
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from facehash.images import read
from facehash.images.jpeg import decodes_in_rows
from facehash.images.read import UnreadableImageError, decode_image, decode_photo, read_photo
from tests.conftest import ROOT
from tests.helpers.datasets import large_jpeg


def content(width=160, height=120, **options):
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((width, height)).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def photo(encoded):
    return decode_photo(io.BytesIO(encoded), "photo")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2, 3, 40])
def test_a_photo_that_lacks_its_last_bytes_is_decoded_and_marked(progressive, missing):
    whole = content(progressive=progressive)
    assert photo(whole).damage is None
    cut = photo(whole[:-missing])
    assert cut.damage.startswith("cut off") and cut.size == (160, 120)
    assert np.abs(cut.pixels[:96].astype(int) - photo(whole).pixels[:96]).mean() < 1
    with pytest.raises(UnreadableImageError, match="damaged picture: cut off") as caught:
        decode_image(io.BytesIO(whole[:-missing]), "photo")  # not for training
    assert caught.value.reason == "damaged"


def test_the_missing_part_is_gray_and_its_share_is_named():
    whole = content()
    start = whole.index(b"\xff\xda")
    half = photo(whole[: start + (len(whole) - start) // 2])
    share = int(half.damage.removeprefix("cut off: the last ").partition(" ")[0])
    assert half.damage.endswith("% of its rows are missing") and 30 < share < 60
    missing = round(120 * share / 100)
    assert (half.pixels[-missing + 1 :] == 128).all()
    # Another decoder, which fills the rest in its own way, sees the same in the rows that are left.
    other = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    left = 120 - missing - 16
    assert np.abs(half.pixels[:left].astype(int) - other[:left]).mean() < 2


@pytest.mark.parametrize("kept", [2, 200, "header"])
def test_a_photo_of_which_no_pixel_is_left_is_damaged(kept):
    whole = content()
    kept = whole.index(b"\xff\xda") + 14 if kept == "header" else kept
    with pytest.raises(UnreadableImageError) as caught:
        photo(whole[:kept])
    assert caught.value.reason in ("damaged", "not_a_picture")


def test_other_formats_that_lack_their_end_stay_damaged():
    file = io.BytesIO()
    Image.open(io.BytesIO(content())).save(file, "PNG")
    with pytest.raises(UnreadableImageError, match="damaged picture"):
        photo(file.getvalue()[:-200])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photo_is_decoded_at_half_its_size(monkeypatch, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = large_jpeg(321, 12, exif=exif.tobytes())
    whole = photo(encoded)
    monkeypatch.setattr(read, "MAX_PIXELS", 50_000)
    half = photo(encoded)
    assert half.size == whole.size == ((321, 192) if orientation == 1 else (192, 321))
    assert half.pixels.shape[:2] == ((96, 161) if orientation == 1 else (161, 96))
    assert half.scale == pytest.approx(2, rel=0.01) and whole.scale == 1
    reduced = Image.fromarray(whole.pixels).resize(half.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(half.pixels.astype(int) - np.asarray(reduced)).mean() < 4
    cut = photo(encoded[:-500])
    assert cut.damage and cut.size == half.size and cut.pixels.shape == half.pixels.shape
    monkeypatch.setattr(read, "MAX_JPEG_PIXELS", 60_000)
    with pytest.raises(UnreadableImageError, match="exceed the limit of") as caught:
        photo(encoded)
    assert caught.value.reason == "too_many_pixels"


def test_a_large_photo_that_needs_all_its_coefficients_is_refused(monkeypatch):
    monkeypatch.setattr(read, "MAX_PIXELS", 10_000)
    photo(content())
    with pytest.raises(UnreadableImageError, match="save it as a baseline JPEG"):
        photo(content(progressive=True))
    assert decodes_in_rows(io.BytesIO(content()))
    # One scan per color: the first one has one of the three colors.
    scans = content().replace(b"\xff\xda\x00\x0c\x03", b"\xff\xda\x00\x0c\x01")
    assert not decodes_in_rows(io.BytesIO(scans))
    assert not decodes_in_rows(io.BytesIO(content()[:30])) and not decodes_in_rows(io.BytesIO())


PROGRAM = """
import json, sys
from pathlib import Path
from facehash.images.read import read_photo
# Not ru_maxrss, in which a process inherits the peak of its parent.
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
read_photo(Path(sys.argv[1]))
before = peak()
photo = read_photo(Path(sys.argv[2]))
print(json.dumps([photo.size, photo.pixels.shape, peak() - before]))
"""


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_the_memory_for_180_million_pixels_is_that_for_50_million(tmp_path):
    peaks = {}
    (tmp_path / "small.jpg").write_bytes(large_jpeg(64, 4))
    for name, width, rows in (("large", 18_000, 625), ("limit", 7_000, 446)):
        (tmp_path / f"{name}.jpg").write_bytes(large_jpeg(width, rows))
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, tmp_path / "small.jpg", tmp_path / f"{name}.jpg"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        size, shape, peaks[name] = json.loads(done.stdout)
        assert size == [width, 16 * rows]
        assert shape == ([16 * rows, width, 3] if name == "limit" else [5000, 9000, 3])
    # Decoded as a whole, it would take 720 MB, and as much as 540 MB for the array.
    assert peaks["large"] < 400e6 and peaks["large"] < peaks["limit"] * 1.1


def test_a_jpeg_beyond_the_limit_of_pillow_is_refused_by_our_limit_only(tmp_path):
    # Pillow refuses 179 million pixels and more, by the header alone.
    small = large_jpeg(64, 1)
    frame = small.index(b"\xff\xc0")
    size = (15_000).to_bytes(2, "big") * 2
    path = tmp_path / "a.jpg"
    path.write_bytes(small[: frame + 5] + size + small[frame + 9 :])
    with pytest.raises(UnreadableImageError, match="15000 x 15000 .* limit of 200 million"):
        read_photo(path)
