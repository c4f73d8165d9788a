"""When a photo was taken, from its EXIF data."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

from PIL import ExifTags, Image

from facehash.errors import InputError
from facehash.images.read import UnreadableImageError, known_formats, open_picture

# In the order in which they are believed: taken, digitized, and when the file was changed.
_IN_EXIF = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
_GIVEN = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")


def date_taken(path: Path) -> datetime | None:
    """Return when a photo was taken, in the time of the camera, or None if it does not say.

    Only the beginning of the file is read. A camera whose clock was never set writes zeros, which
    count as no date.

    Args:
        path: A picture file, which may be missing or damaged.

    Example:
        >>> date_taken(Path("wedding.jpg"))  # doctest: +SKIP
        datetime.datetime(2019, 7, 14, 15, 2, 31)
    """
    try:
        with open_picture(path) as file, Image.open(file, formats=known_formats()) as image:
            exif = image.getexif()
            inner = exif.get_ifd(ExifTags.IFD.Exif)
            values = [*map(inner.get, _IN_EXIF), exif.get(ExifTags.Base.DateTime)]
    except UnreadableImageError:
        return None
    # Pillow's decoders raise almost any exception for damaged files.
    except Exception:
        return None
    return next((found for value in values if (found := _parse(value))), None)


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


def _parse(value: object) -> datetime | None:
    found = _DATE.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        return datetime(*(int(one or 0) for one in found.groups()))  # type: ignore[arg-type]
    except ValueError:  # zeros, or the 31st of February
        return None
