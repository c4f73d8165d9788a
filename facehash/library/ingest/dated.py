"""Dates of photos that an earlier version has indexed, which did not store them."""

from collections.abc import Collection
from pathlib import Path

from facehash.images.dates import date_taken
from facehash.library.storage.records import UNDER, path_of, seconds_of, under
from facehash.library.storage.store import Store
from facehash.printing import progress as progress_bar

_BATCH = 256


def complete_dates(
    store: Store, folder: Path, files: Collection[Path], *, progress: bool = True
) -> int:
    """Read when photos were taken that have no date yet; each is looked at once.

    Only headers are read. What is read is stored every 256 photos, so that the next run resumes an
    interrupted one.

    Args:
        store: The library, locked for writing.
        folder: Photos in this folder are looked at.
        files: Its files, whose content is what was indexed.
        progress: Show a progress bar.

    Returns:
        The number of photos that were looked at.
    """
    rows = store.database.rows(
        "SELECT photo_id, path FROM paths JOIN photos ON photos.id = photo_id "  # noqa: S608
        f"WHERE NOT dated AND photos.reason IS NULL AND ({UNDER}) ORDER BY path DESC",
        under(folder),
    )
    paths = {photo: path for photo, stored in rows if (path := path_of(stored)) in files}
    photos = list(paths.items())
    bar = progress_bar(
        total=len(photos), desc="reading dates", unit=" photos", delay=1, shown=progress
    )
    with bar:
        for start in range(0, len(photos), _BATCH):
            batch = photos[start : start + _BATCH]
            dates = [(seconds_of(date_taken(path)), photo) for photo, path in batch]
            with store.database.transaction():
                store.database.run_many(
                    "UPDATE photos SET taken = ?, dated = 1 WHERE id = ?", dates
                )
            bar.update(len(batch))
    return len(photos)
