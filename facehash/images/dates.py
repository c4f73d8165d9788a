"""When a photo or video was taken, from its EXIF data or its container."""

import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from facehash.errors import InputError
from facehash.images.exif import date_of
from facehash.images.read import UnreadableImageError, known_formats, open_picture
from facehash.images.video import is_video

_GIVEN = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
"""Where the clock of MP4 and QuickTime starts."""
_MOST_BOXES = 10_000


def date_taken(path: Path) -> datetime | None:
    """Return when a photo or video was taken, or None if it does not say.

    Only the beginning of a photo is read, and the headers of a video. A camera whose clock was
    never set writes zeros, which count as no date. A photo gives the time of the camera, without a
    time zone. MP4 and QuickTime files give UTC, which is converted to the time zone of this
    computer; of other videos no date is known.

    Args:
        path: A picture or video file, which may be missing or damaged.

    Example:
        >>> date_taken(Path("wedding.jpg"))  # doctest: +SKIP
        datetime.datetime(2019, 7, 14, 15, 2, 31)
    """
    try:
        with open_picture(path) as file:
            if is_video(path):
                return _date_of_movie(file)
            with Image.open(file, formats=known_formats()) as image:
                return date_of(image)
    except UnreadableImageError:
        return None
    # Pillow's decoders raise almost any exception for damaged files.
    except Exception:
        return None


def _date_of_movie(file: BinaryIO) -> datetime | None:
    """Return the date in the header of an MP4 or QuickTime file (box ``mvhd`` in ``moov``)."""
    end = file.seek(0, os.SEEK_END)
    movie = _find_box(file, b"moov", 0, end)
    header = movie and _find_box(file, b"mvhd", *movie)
    if not header:
        return None
    file.seek(header[0])
    # Version 0 has times of 32 bits, version 1 of 64, after three bytes of flags.
    size = 8 if file.read(4)[:1] == b"\1" else 4
    seconds = int.from_bytes(file.read(size), "big")
    found = (_EPOCH + timedelta(seconds=seconds)).astimezone().replace(tzinfo=None)
    return found if found.year >= 1970 else None


def _find_box(file: BinaryIO, name: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Return where the content of a box begins and ends, among those between two places."""
    for _ in range(_MOST_BOXES):
        file.seek(start)
        header = file.read(8)
        size, content = int.from_bytes(header[:4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(file.read(8), "big"), start + 16
        after = end if size == 0 else start + size
        if len(header) < 8 or not content <= after <= end:
            return None
        if header[4:] == name:
            return content, after
        start = after
    return None


def parse_day(text: str, option: str, *, last: bool = False) -> date:
    """Return the first or the last day that a date such as ``2019``, ``2019-07`` or a day means.

    Args:
        text: The date.
        option: The option, for the message.
        last: Return the last day.

    Raises:
        InputError: Not a date.

    Example:
        >>> parse_day("2019", "--from"), parse_day("2020-02", "--to", last=True)
        (datetime.date(2019, 1, 1), datetime.date(2020, 2, 29))
    """
    found = _GIVEN.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError("not a date")
        year, month, day = (None if one is None else int(one) for one in found.groups())
        if day is not None:
            return date(year or 0, month or 1, day)
        first = date(year or 0, month or 1, 1)
        if not last:
            return first
        # 31 days after the first of a month, or of December, is in the next month.
        following = (date(first.year, month or 12, 1) + timedelta(days=31)).replace(day=1)
        return following - timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{option} {text}: not a date; give a year, a month or a day, such as 2019, 2019-07 or "
            "2019-07-14"
        ) from error
