from datetime import date, datetime

import pytest
from PIL import ExifTags, Image

from facehash.errors import InputError
from facehash.images.dates import date_taken, parse_day

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
