"""People in the JSON files that Google Takeout puts beside photos of Google Photos.

Google does not document them either. A file has the original name of the photo under ``title`` and
the people on it under ``people``, as ``[{"name": "Ann"}]``, without saying where. Its own name is
that of the photo with an ending, which is shortened where the whole is too long:

* ``IMG_1.jpg.json`` and, since 2024, ``IMG_1.jpg.supplemental-metadata.json``, both shortened to
  46 characters before ``.json``;
* ``IMG_1.jpg(2).json`` for the photo ``IMG_1(2).jpg``;
* nothing of its own for ``IMG_1-edited.jpg``, which has the people of ``IMG_1.jpg``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from facehash.errors import InputError
from facehash.images.metadata.regions import LARGEST_NUMBER, PhotoPeople

SUFFIX = ".json"
MAX_BYTES = 4 << 20
_SUPPLEMENT = ".supplemental-metadata"
_SHORTENED = 46
_COUNTED = re.compile(r"(.+)\((\d{1,6})\)")
# In the languages of Google Photos.
_EDITED = (
    "-edited", "-bearbeitet", "-modifié", "-editado", "-modificato", "-bewerkt", "-edytowane",
    "-redigeret", "-redigerad", "-muokattu", "-編集済み", "-已修改", "-수정됨",
)  # fmt: skip


def parse_takeout(content: bytes) -> PhotoPeople:
    """Return the names in a JSON file of Takeout.

    Raises:
        InputError: Not JSON, or names of another type; one line without the name of the file.

    Example:
        >>> parse_takeout(b'{"title": "a.jpg", "people": [{"name": "Ann"}]}').names
        ('Ann',)
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES >> 20} MB, which no JSON file of Takeout is")
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({' '.join(str(error).split())[:100]})") from error
    if not isinstance(value, dict):
        raise InputError("not a JSON file of Takeout: not an object")
    people = value.get("people", [])
    if not isinstance(people, list) or len(people) > LARGEST_NUMBER:
        raise InputError("not a JSON file of Takeout: people is not a list of names")
    names: dict[str, None] = {}
    for one in people:
        name = one.get("name", "") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise InputError("not a JSON file of Takeout: people is not a list of names")
        if name.strip():
            names[name.strip()] = None
    return PhotoPeople(names=tuple(names))


def files_of_photos(photos: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Return the JSON file of each photo, by their names in one folder.

    Args:
        photos: File names of photos.
        files: File names that end in ``.json``.

    Example:
        >>> files_of_photos(["a.jpg", "a-edited.jpg", "a(1).jpg"], ["a.jpg.json", "a.jpg(1).json"])
        {'a(1).jpg': 'a.jpg(1).json', 'a.jpg': 'a.jpg.json', 'a-edited.jpg': 'a.jpg.json'}
    """
    by_name = {name.casefold(): name for name in photos}
    found: dict[str, str] = {}
    # A whole name before a shortened one, which may fit several photos.
    for file in sorted(files, key=lambda name: (-len(name), name)):
        photo = _photo_of(file, by_name)
        if photo is not None:
            found.setdefault(photo, file)
    for photo in by_name.values():
        original = _original_of(photo, by_name)
        if photo not in found and original in found:
            found[photo] = found[original]
    return found


def _photo_of(file: str, photos: Mapping[str, str]) -> str | None:
    """Return the photo that a JSON file describes, or None."""
    stem = file[: -len(SUFFIX)]
    count = ""
    if counted := _COUNTED.fullmatch(stem):
        stem, count = counted[1], f"({counted[2]})"
    head, dot, tail = stem.rpartition(".")
    candidates = [stem]
    if tail and _SUPPLEMENT.startswith(f"{dot}{tail}".casefold()):
        candidates.insert(0, head)
    for candidate in candidates:
        path = PurePath(candidate)
        wanted = f"{path.stem}{count}{path.suffix}" if count else candidate
        if wanted.casefold() in photos:
            return photos[wanted.casefold()]
    if len(stem) < _SHORTENED - len(count):
        return None
    fitting = [name for name in photos if name.startswith(stem.casefold())]
    return photos[fitting[0]] if len(fitting) == 1 else None


def _original_of(photo: str, photos: Mapping[str, str]) -> str | None:
    """Return the photo of which this one is an edited version, or None."""
    path = PurePath(photo)
    counted = _COUNTED.fullmatch(path.stem)
    stem, count = (counted[1], f"({counted[2]})") if counted else (path.stem, "")
    for ending in _EDITED:
        if stem.endswith(ending):
            original = f"{stem[: -len(ending)]}{count}{path.suffix}"
            return photos.get(original.casefold())
    return None
