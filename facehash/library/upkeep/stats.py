"""Count the photos, faces and people of a library."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from facehash.library.storage.engines import Engine, list_engines
from facehash.library.storage.records import UnreadFile, path_of
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

_DAMAGED = "photos.reason IS NULL AND photos.detail IS NOT NULL"


@dataclass(frozen=True)
class Statistics:
    """Numbers of a library."""

    settings: Settings
    photos: int  # readable ones; copies count once
    files: int  # of these photos; every copy counts
    damaged: int  # of these photos; they lack their end and were read nevertheless
    unreadable: dict[str, int]  # reason -> number of files that could not be read
    faces: int
    without_faces: int  # readable photos without a face
    people: int  # with a name
    named: int  # faces with a name
    parked: int  # names that wait for their photo
    excluded: int  # forgotten photos that are not indexed again
    bytes: int  # on the disk
    engines: list[Engine]  # servers with an index of the library


def count(store: Store) -> Statistics:
    """Count the content of a library.

    Raises:
        LibraryError: It is empty or damaged.
    """
    value = store.database.value
    reasons = store.database.rows(
        "SELECT coalesce(paths.reason, photos.reason) AS why, count(*) FROM paths "
        "LEFT JOIN photos ON photos.id = photo_id WHERE why IS NOT NULL GROUP BY why ORDER BY why"
    )
    return Statistics(
        settings=store.settings(),
        photos=value("SELECT count(*) FROM photos WHERE reason IS NULL"),
        files=value(
            "SELECT count(*) FROM paths JOIN photos ON photos.id = photo_id "
            "WHERE photos.reason IS NULL"
        ),
        damaged=value(f"SELECT count(*) FROM photos WHERE {_DAMAGED}"),  # noqa: S608
        unreadable={str(reason): number for reason, number in reasons},
        faces=value("SELECT count(*) FROM faces"),
        without_faces=value(
            "SELECT count(*) FROM photos WHERE reason IS NULL "
            "AND id NOT IN (SELECT photo_id FROM faces)"
        ),
        people=value("SELECT count(DISTINCT person_id) FROM faces"),
        named=value("SELECT count(*) FROM faces WHERE person_id IS NOT NULL"),
        parked=value("SELECT count(*) FROM parked"),
        excluded=value("SELECT count(*) FROM excluded"),
        bytes=_bytes_on_disk(store),
        engines=list_engines(store.database),
    )


def _bytes_on_disk(store: Store) -> int:
    """Return the size of all files of a library; a file that vanishes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(store.directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def list_without_faces(store: Store) -> Iterator[UnreadFile]:
    """Yield, by path, the files without a searchable face: unreadable, or no face found."""
    query = (
        "SELECT path, coalesce(paths.reason, photos.reason), coalesce(paths.detail, photos.detail) "
        "FROM paths LEFT JOIN photos ON photos.id = photo_id "
        "WHERE photo_id IS NULL OR photo_id NOT IN (SELECT photo_id FROM faces) ORDER BY path"
    )
    for batch in store.database.batches(query):
        for path, reason, detail in batch:
            if reason is None and detail is not None:
                detail = f"no face; {detail}"
            yield UnreadFile(path_of(path), reason or "no_face", detail or "")


def list_damaged(store: Store) -> Iterator[UnreadFile]:
    """Yield, by path, the files that lack their end and were read nevertheless."""
    query = (
        "SELECT path, photos.detail FROM paths JOIN photos ON photos.id = photo_id "  # noqa: S608
        f"WHERE {_DAMAGED} ORDER BY path"
    )
    for path, detail in store.database.rows(query):
        yield UnreadFile(path_of(path), "damaged", detail)
