"""Photos by the people on them: ``facehash photos``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from facehash.images.dates import date_taken
from facehash.library.people.people import find_by_earlier_name, find_person, get_person
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.records import date_of_seconds, path_of
from facehash.library.storage.store import Store

Order = Literal["date", "path"]


@dataclass(frozen=True)
class FoundPhoto:
    """A photo with the people that were asked for."""

    photo_id: int
    digest: bytes  # SHA-256 of the content
    paths: tuple[Path, ...]  # all files with this content, by name
    people: tuple[str, ...]  # everybody with a name on it, by name
    taken: datetime | None  # in the time of the camera; None if no file says so


def find_photos(
    store: Store,
    people: Sequence[str],
    without: Sequence[str] = (),
    *,
    start: date | None = None,
    end: date | None = None,
    order: Order = "date",
) -> list[FoundPhoto]:
    """Return the photos on which all of some people are, and none of others.

    Earlier names of people mean these people. Dates of photos that an earlier version has indexed
    are read from the files, until the next index run stores them.

    Args:
        store: The library.
        people: Names of at least one person; all of them are on each photo.
        without: Names of people who are not.
        start: Exclude photos taken before this day, and those without a date.
        end: Exclude photos taken after this day, and those without a date.
        order: By the date, photos without one last, or by the path.

    Raises:
        LibraryError: Nobody has one of the names; the message has the most similar one.
        DamagedLibraryError: A name or path has the wrong type.

    Example:
        >>> [found.paths[0].name for found in find_photos(store, ["Ann"])]  # doctest: +SKIP
        ['holiday.png', 'party.png']
    """
    with store.database.snapshot():
        shown = [_photos_of(store, resolve_person(store, name)) for name in people]
        hidden = [_photos_of(store, resolve_person(store, name)) for name in without]
        chosen = set.intersection(*shown).difference(*hidden) if shown else set()
        found = [_photo(store, photo) for photo in sorted(chosen)]
    found = [
        photo
        for photo in found
        if photo.paths and (start is None and end is None or _is_between(photo.taken, start, end))
    ]
    if order == "path":
        return sorted(found, key=lambda photo: photo.paths)
    return sorted(found, key=lambda photo: (photo.taken or datetime.max, photo.paths))


def resolve_person(store: Store, name: str) -> int:
    """Return the id of the person who has this name, or who had it earlier.

    Raises:
        LibraryError: Nobody has or had this name; the message has the most similar one.
    """
    found = find_person(store, name)
    if found is None:
        found = find_by_earlier_name(store, name)
    return get_person(store, name) if found is None else found


def _photos_of(store: Store, person: int) -> set[int]:
    rows = store.database.rows("SELECT DISTINCT photo_id FROM faces WHERE person_id = ?", (person,))
    return {photo for (photo,) in rows}


def _photo(store: Store, photo: int) -> FoundPhoto:
    rows = store.database.rows
    [(digest, dated, taken)] = rows(
        "SELECT digest, dated, taken FROM photos WHERE id = ?", (photo,)
    )
    paths = rows("SELECT path FROM paths WHERE photo_id = ? ORDER BY path", (photo,))
    names = rows(
        "SELECT DISTINCT name FROM faces JOIN people ON people.id = person_id "
        "WHERE photo_id = ? ORDER BY name",
        (photo,),
    )
    if not isinstance(digest, bytes) or not all(isinstance(name, str) for (name,) in names):
        raise DamagedLibraryError(f"{store.directory}: the record of photo {photo} is damaged")
    files = tuple(path_of(path) for (path,) in paths)
    when = date_of_seconds(taken) if dated else _taken(files)
    return FoundPhoto(photo, digest, files, tuple(name for (name,) in names), when)


def _taken(paths: Iterable[Path]) -> datetime | None:
    """Return the date in the first of some equal files that can be read."""
    return next((taken for path in paths if (taken := date_taken(path))), None)


def _is_between(taken: datetime | None, start: date | None, end: date | None) -> bool:
    if taken is None:
        return False
    day = taken.date()
    return (start is None or day >= start) and (end is None or day <= end)
