"""The date in the EXIF data of an open picture."""

import re
from datetime import datetime

from PIL import ExifTags, Image

# In the order in which they are believed: taken, digitized, and when the file was changed.
_IN_EXIF = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")


def date_of(image: Image.Image) -> datetime | None:
    """Return when a picture was taken, in the time of the camera, or None if it does not say.

    A camera whose clock was never set writes zeros, which count as no date.

    Args:
        image: An open picture, decoded or not.
    """
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        values = [*map(inner.get, _IN_EXIF), exif.get(ExifTags.Base.DateTime)]
    # Damaged EXIF data raise almost any exception, and do not affect the pixels.
    except Exception:
        return None
    return next((found for value in values if (found := _parse(value))), None)


def _parse(value: object) -> datetime | None:
    found = _DATE.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        return datetime(*(int(one or 0) for one in found.groups()))  # type: ignore[arg-type]
    except ValueError:  # zeros, or the 31st of February
        return None
