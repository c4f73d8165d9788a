"""Reading a library page by page: people, their photos, and the faces of a photo."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from facehash.errors import InputError
from facehash.images.read import UnreadableImageError
from facehash.library.storage.database import DamagedLibraryError, LibraryError, Row
from facehash.library.storage.records import StoredFace, date_of_seconds, path_of
from facehash.library.storage.store import Store
from facehash.library.storage.thumbnails import (
    delete_thumbnails,
    read_thumbnail,
    write_thumbnail,
)

_UNKNOWN = datetime(1970, 1, 1)


@dataclass(frozen=True)
class PersonOverview:
    """A person with a name and a face."""

    id: int
    name: str
    faces: int
    photos: int
    face_id: int  # the face of the highest quality


@dataclass(frozen=True)
class PhotoOverview:
    """A photo, and the faces in question."""

    id: int
    path: Path  # the first by name
    date: datetime  # when it was taken; if unknown, when the oldest of its files was changed
    is_taken: bool  # whether the date is that in the photo
    face_ids: tuple[int, ...]
    seconds: float | None = None  # length of a video; None for a photo


@dataclass(frozen=True)
class PhotoDetails:
    """A photo with all of its faces."""

    id: int
    paths: tuple[Path, ...]
    date: datetime
    is_taken: bool
    digest: bytes
    size: tuple[int, int] | None  # width and height in pixels of the upright photo
    damage: str | None
    faces: tuple[StoredFace, ...]  # largest first; of a video those of all times
    seconds: float | None = None  # length of a video; None for a photo


_PEOPLE = (
    "SELECT people.id, people.name, count(*), count(DISTINCT photo_id), faces.id, max(quality) "
    "FROM people JOIN faces ON faces.person_id = people.id"
)


def list_people(store: Store, start: int = 0, most: int = 100) -> list[PersonOverview]:
    """Return people with a face, those with the most photos first.

    Args:
        store: The library.
        start: Number of people to skip.
        most: Largest number of people.
    """
    # With max(), SQLite takes the other columns from the row that has the maximum.
    rows = store.database.rows(
        f"{_PEOPLE} GROUP BY people.id ORDER BY count(DISTINCT photo_id) DESC, people.name "
        "LIMIT ? OFFSET ?",
        (most, start),
    )
    return [_person(store, row) for row in rows]


def count_people(store: Store) -> int:
    """Return the number of people with a face."""
    return int(store.database.value("SELECT count(DISTINCT person_id) FROM faces"))


def count_faces(store: Store) -> int:
    """Return the number of faces."""
    return int(store.database.value("SELECT count(*) FROM faces"))


def count_readable_photos(store: Store) -> int:
    """Return the number of photos that can be read; copies count once."""
    return int(store.database.value("SELECT count(*) FROM photos WHERE reason IS NULL"))


def count_unnamed(store: Store) -> int:
    """Return the number of faces without a name."""
    return int(store.database.value("SELECT count(*) FROM faces WHERE person_id IS NULL"))


def list_names(store: Store) -> list[str]:
    """Return the names of all people with a face, in alphabetical order."""
    query = "SELECT name FROM people WHERE id IN (SELECT person_id FROM faces) ORDER BY name"
    return [str(name) for (name,) in store.database.rows(query)]


def person_by_id(store: Store, person: int) -> PersonOverview:
    """Return a person.

    Raises:
        LibraryError: There is no such person, or nobody has a face of this person.
    """
    rows = store.database.rows(f"{_PEOPLE} WHERE people.id = ? GROUP BY people.id", (person,))
    if not rows:
        raise LibraryError(f"{store.directory}: there is no person {person}")
    return _person(store, rows[0])


def has_face(store: Store, person: int) -> bool:
    """Return whether there is a face of a person."""
    query = "SELECT EXISTS (SELECT 1 FROM faces WHERE person_id = ?)"
    return bool(store.database.value(query, (person,)))


def person_of_name(store: Store, name: str) -> int | None:
    """Return the id of the person who has a name now, or None."""
    found = store.database.value("SELECT id FROM people WHERE name = ?", (name,))
    return None if found is None else int(found)


def photos_of_person(
    store: Store, person: int, start: int = 0, most: int = 60
) -> list[PhotoOverview]:
    """Return the photos of a person with this person's faces, the newest first.

    Arguments are those of `list_people`.
    """
    return _photos(store, "WHERE faces.person_id = ?", (person,), start, most)


def list_photos(store: Store, start: int = 0, most: int = 60) -> list[PhotoOverview]:
    """Return all photos with a face, the newest first; arguments are those of `list_people`."""
    return _photos(store, "", (), start, most)


def count_photos(store: Store) -> int:
    """Return the number of photos with a face."""
    return int(store.database.value("SELECT count(DISTINCT photo_id) FROM faces"))


def photo_of_face(store: Store, face: int) -> int:
    """Return the id of the photo of a face.

    Raises:
        LibraryError: There is no such face.
    """
    found = store.database.value("SELECT photo_id FROM faces WHERE id = ?", (face,))
    if found is None:
        raise LibraryError(f"{store.directory}: there is no face {face}")
    return int(found)


def photo_by_id(store: Store, photo: int) -> PhotoDetails:
    """Return a photo with all of its faces.

    Raises:
        LibraryError: There is no such photo.
    """
    rows = store.database.rows(
        "SELECT digest, width, height, detail, taken, seconds FROM photos "
        "WHERE id = ? AND reason IS NULL",
        (photo,),
    )
    files = store.database.rows(
        "SELECT path, mtime_ns FROM paths WHERE photo_id = ? ORDER BY path", (photo,)
    )
    if not rows or not files:
        raise LibraryError(f"{store.directory}: there is no photo {photo}")
    [(digest, width, height, detail, taken, seconds)] = rows
    if not isinstance(digest, bytes):
        raise DamagedLibraryError(f"{store.directory}: the digest of photo {photo} is damaged")
    faces = store.database.rows("SELECT id FROM faces WHERE photo_id = ? ORDER BY number", (photo,))
    return PhotoDetails(
        photo,
        tuple(path_of(path) for path, _ in files),
        _date(taken) or min(_date_of_file(changed) for _, changed in files),
        _date(taken) is not None,
        digest,
        (width, height) if width and height else None,
        detail,
        tuple(store.faces([face for (face,) in faces])),
        _length(seconds),
    )


@dataclass(frozen=True)
class FacePlace:
    """Where a face is, and whose it is."""

    photo_id: int
    size: tuple[int, int] | None  # width and height of the photo, in pixels
    person_id: int | None


def places_of(store: Store, face_ids: Sequence[int]) -> dict[int, FacePlace]:
    """Return where faces are; faces that are gone are missing."""
    found = {}
    query = (
        "SELECT photo_id, photos.width, photos.height, person_id FROM faces "
        "JOIN photos ON photos.id = photo_id WHERE faces.id = ?"
    )
    for face in face_ids:
        for photo, width, height, person in store.database.rows(query, (face,)):
            size = (width, height) if width and height else None
            found[face] = FacePlace(photo, size, person)
    return found


Make = Callable[[Path, bytes, int, float | None], bytes]
"""(path, digest of the content, longest side, seconds of a frame of a video) -> a JPEG."""


@dataclass(frozen=True)
class Picture:
    """What is to be shown: a photo, or a frame of a video."""

    digest: bytes
    seconds: float | None  # the time of the frame; None for a photo


def picture_of(store: Store, photo: int, face: int | None = None) -> Picture:
    """Return which picture shows a photo.

    Args:
        store: The library.
        photo: Id of the photo or video.
        face: Of a video, the frame with this face is meant; by default that of its first face.

    Raises:
        LibraryError: There is no such photo, or it does not have this face.
    """
    rows = store.database.rows("SELECT digest, seconds FROM photos WHERE id = ?", (photo,))
    if not rows or not isinstance(rows[0][0], bytes):
        raise LibraryError(f"{store.directory}: there is no photo {photo}")
    [(digest, length)] = rows
    if face is None:
        query = "SELECT min(seconds) FROM faces WHERE photo_id = ?"
        found = store.database.rows(query, (photo,))
    else:
        query = "SELECT seconds FROM faces WHERE photo_id = ? AND id = ?"
        found = store.database.rows(query, (photo, face))
    if not found:
        raise LibraryError(f"{store.directory}: there is no face {face} of photo {photo}")
    return Picture(digest, None if length is None else _length(found[0][0]) or 0.0)


def kept_thumbnail(store: Store, picture: Picture, side: int) -> bytes | None:
    """Return the thumbnail of a photo or of a frame if there is one already."""
    return read_thumbnail(store.directory, picture.digest, side, picture.seconds)


def thumbnail(store: Store, photo: int, side: int, make: Make, face: int | None = None) -> bytes:
    """Return a small copy of a photo; it is made once and kept in the library.

    The copy of a photo of which a face was forgotten is made each time, and not kept.

    Args:
        store: The library.
        photo: Id of the photo.
        side: Longest side in pixels.
        make: Reads the photo and reduces it.
        face: Of a video, the frame with this face is meant; by default that of its first face.

    Raises:
        LibraryError: There is no such photo, or it does not have this face.
        UnreadableImageError: No file of it can be read, or all have another content now.
    """
    details, picture = photo_by_id(store, photo), picture_of(store, photo, face)
    kept = kept_thumbnail(store, picture, side)
    if kept:
        return kept
    jpeg = reduced(details, side, make, picture.seconds)
    if store.may_keep_pictures(details.digest):
        write_thumbnail(store.directory, details.digest, side, jpeg, picture.seconds)
        # It may have been forgotten meanwhile.
        if not store.may_keep_pictures(details.digest):
            delete_thumbnails(store.directory, keep=store.may_keep_pictures)
    return jpeg


def reduced(details: PhotoDetails, side: int, make: Make, seconds: float | None = None) -> bytes:
    """Return a small copy of a photo or frame without keeping it; raises like `thumbnail`."""
    failure: InputError | None = None
    for path in details.paths:
        try:
            return make(path, details.digest, side, seconds)
        except InputError as error:
            failure = failure or error
    raise failure or UnreadableImageError(f"photo {details.id}: has no file", "missing")


def _photos(
    store: Store, where: str, values: tuple[int, ...], start: int, most: int
) -> list[PhotoOverview]:
    # Times of files are UTC and dates of photos are not: the difference is that of today.
    offset = time.localtime().tm_gmtoff
    rows = store.database.rows(
        "SELECT faces.photo_id, "  # noqa: S608
        "(SELECT min(path) FROM paths WHERE paths.photo_id = faces.photo_id), "
        "photos.taken, photos.seconds, "
        "(SELECT min(mtime_ns) FROM paths WHERE paths.photo_id = faces.photo_id) AS changed, "
        f"group_concat(faces.id) FROM faces JOIN photos ON photos.id = faces.photo_id {where} "
        "GROUP BY faces.photo_id ORDER BY coalesce(photos.taken, changed / 1e9 + ?) DESC, "
        "faces.photo_id LIMIT ? OFFSET ?",
        (*values, offset, most, start),
    )
    return [
        PhotoOverview(
            int(photo),
            path_of(path),
            _date(taken) or _date_of_file(changed),
            _date(taken) is not None,
            tuple(sorted(map(int, faces.split(",")))),
            _length(seconds),
        )
        for photo, path, taken, seconds, changed, faces in rows
    ]


def _person(store: Store, row: Row) -> PersonOverview:
    person, name, faces, photos, face, _ = row
    if not isinstance(name, str):
        raise DamagedLibraryError(f"{store.directory}: a stored name is not text: {name!r:.60}")
    return PersonOverview(person, name, faces, photos, face)


def _length(stored: object) -> float | None:
    """Return a stored number of seconds; what is none, in a damaged library, counts as unknown."""
    return stored if isinstance(stored, float) and 0 <= stored < 1e9 else None


def _date(stored: object) -> datetime | None:
    """Return a stored date of a photo; what is none, in a damaged library, counts as unknown."""
    try:
        return date_of_seconds(stored)
    except DamagedLibraryError:
        return None


def _date_of_file(nanoseconds: object) -> datetime:
    """Return a stored time of change in the time zone of this machine; 1970 if it is no time."""
    try:
        seconds = int(str(nanoseconds)) // 10**9
        return date_of_seconds(seconds + time.localtime().tm_gmtoff) or _UNKNOWN
    except (ValueError, DamagedLibraryError):
        return _UNKNOWN
