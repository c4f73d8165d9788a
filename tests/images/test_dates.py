import io
from datetime import UTC, date, datetime, timedelta

import pytest
from PIL import ExifTags, Image

from facehash.errors import InputError
from facehash.images.dates import date_taken, parse_day
from facehash.images.read import decode_photo

INNER, OUTER = ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTime


def photo(path, inner=None, outer=None):
    exif = Image.Exif()
    if outer:
        exif[OUTER] = outer
    if inner:
        exif.get_ifd(ExifTags.IFD.Exif)[INNER] = inner
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_the_date_is_that_of_the_camera_not_of_the_last_change(tmp_path, suffix):
    path = photo(tmp_path / f"a.{suffix}", "2019:07:14 15:02:31", "2023:01:01 00:00:00")
    assert date_taken(path) == datetime(2019, 7, 14, 15, 2, 31)
    assert date_taken(photo(path, outer="2023:01:02 03:04:05")) == datetime(2023, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2019:02:31 10:00:00", "    :  :", "x"])
def test_a_clock_that_was_never_set_is_no_date(tmp_path, text):
    assert date_taken(photo(tmp_path / "a.jpg", text)) is None


def test_without_a_readable_picture_there_is_no_date(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo(tmp_path / "a.jpg", "2019:07:14 15:02:31").read_bytes()[:40])
    assert date_taken(broken) is None
    assert date_taken(tmp_path / "missing.jpg") is None
    assert date_taken(tmp_path) is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_decoding_a_photo_gives_its_date(tmp_path, suffix):
    path = photo(tmp_path / f"a.{suffix}", "2019:07:14 15:02:31", "2019:07:14 15:02:31")
    content = io.BytesIO(path.read_bytes())
    assert decode_photo(content, "a").taken == datetime(2019, 7, 14, 15, 2, 31)
    path = tmp_path / f"b.{suffix}"
    Image.new("RGB", (8, 8)).save(path)
    assert decode_photo(io.BytesIO(path.read_bytes()), "b").taken is None


def test_a_photo_that_lacks_its_end_keeps_its_date(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[INNER] = "2019:07:14 15:02:31"
    Image.effect_noise((64, 64), 90).save(tmp_path / "a.jpg", exif=exif)
    found = decode_photo(io.BytesIO((tmp_path / "a.jpg").read_bytes()[:-400]), "a")
    assert found.damage and found.taken == datetime(2019, 7, 14, 15, 2, 31)


def box(name, content, *, wide=False):
    if wide:
        return b"\0\0\0\1" + name + (len(content) + 16).to_bytes(8, "big") + content
    return (len(content) + 8).to_bytes(4, "big") + name + content


def movie_seconds(when):
    return int((when.astimezone(UTC) - datetime(1904, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))


def set_movie_date(path, when):
    """Write a date, in the time zone of this machine, into the header of an MP4 file."""
    content = bytearray(path.read_bytes())
    place = content.index(b"mvhd") + 8
    content[place : place + 4] = movie_seconds(when).to_bytes(4, "big")
    path.write_bytes(content)


WHEN = datetime(2019, 7, 14, 15, 2, 31)
SECONDS = movie_seconds(WHEN)
SHORT = box(b"mvhd", bytes(4) + SECONDS.to_bytes(4, "big") + bytes(92))
LONG = box(b"mvhd", b"\1" + bytes(3) + SECONDS.to_bytes(8, "big") + bytes(104))
START = box(b"ftyp", b"isom")


@pytest.mark.parametrize(
    "content",
    [
        START + box(b"moov", SHORT),
        START + box(b"mdat", b"moov" * 9, wide=True) + box(b"moov", box(b"udta", b"x") + LONG),
        box(b"moov", SHORT, wide=True) + box(b"mdat", b""),
        START + b"\0\0\0\0moov" + LONG,
    ],
    ids=["short", "long after the data", "before", "to the end"],
)
def test_a_movie_gives_its_date_in_the_time_zone_of_this_machine(tmp_path, content, monkeypatch):
    path = tmp_path / "clip.MP4"
    path.write_bytes(content)
    assert date_taken(path) == WHEN


@pytest.mark.parametrize(
    "content",
    [
        b"",
        START,
        START + box(b"moov", b""),
        START + box(b"moov", box(b"mvhd", bytes(100))),
        START + box(b"moov", box(b"mvhd", b"\1" + b"\xff" * 99)),
        START + box(b"moov", SHORT)[:-99],
        START + b"\0\0\0\1free" + bytes(8) + box(b"moov", SHORT),
        START + b"\0\0\0\3free" + box(b"moov", SHORT),
        START + b"\0\0\0\1moov" + b"\xff" * 8 + SHORT,
        b"RIFF" + bytes(50),
        b"\x1aE\xdf\xa3" + bytes(50),
    ],
    ids=range(11),
)
def test_a_movie_without_a_date_or_with_damage_has_none(tmp_path, content):
    path = tmp_path / "clip.mov"
    path.write_bytes(content)
    assert date_taken(path) is None


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("2019", date(2019, 1, 1), date(2019, 12, 31)),
        ("2019-12", date(2019, 12, 1), date(2019, 12, 31)),
        ("2020-02", date(2020, 2, 1), date(2020, 2, 29)),
        ("2019-07-14", date(2019, 7, 14), date(2019, 7, 14)),
    ],
)
def test_a_year_and_a_month_mean_all_of_their_days(text, first, last):
    assert parse_day(text, "--from") == first
    assert parse_day(text, "--to", last=True) == last


@pytest.mark.parametrize("text", ["2019-13", "2019-02-30", "0000", "9999-12-1", "yesterday", "19"])
def test_anything_else_is_no_date(text):
    with pytest.raises(InputError, match=f"--from {text}: not a date; give a year"):
        parse_day(text, "--from")
