"""Dates of photos: stored by an index run, also in libraries of an earlier version."""

import contextlib
import os
import shutil
import sqlite3
from datetime import datetime

import pytest

from facehash.images.dates import date_taken
from facehash.library.ingest import dated, read
from facehash.library.query import browse
from facehash.library.storage.database import Database
from facehash.library.storage.schema import MIGRATIONS, migrate, version_of
from facehash.library.storage.store import Store
from tests.commands.conftest import facehash, run_facehash  # noqa: F401
from tests.commands.test_photos import dated as write_dated
from tests.images.test_dates import set_movie_date
from tests.library.conftest import alter, draw
from tests.library.videos import write_video

DATES = "SELECT taken, dated FROM photos WHERE reason IS NULL ORDER BY id"
OLD = (datetime(1999, 12, 31, 23, 59, 58) - datetime(1970, 1, 1)).total_seconds()


def return_to(version, directory):
    """Write a library as an earlier version has it; what that did not store is lost."""
    path = directory / "library.db"
    with contextlib.closing(Database(directory / "earlier.db")) as database:
        migrate(database, MIGRATIONS[:version])
        database.run("PRAGMA foreign_keys = OFF")
        database.run(f"ATTACH '{path}' AS now")
        tables = database.rows("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in tables:
            columns = ", ".join(
                name for (name,) in database.rows(f"SELECT name FROM pragma_table_info('{table}')")
            )
            database.run(f"DELETE FROM main.{table}")
            database.run(f"INSERT INTO main.{table} SELECT {columns} FROM now.{table}")
        database.run("DETACH now")
    os.replace(directory / "earlier.db", path)
    for name in ("library.db-wal", "library.db-shm", "earlier.db-wal", "earlier.db-shm"):
        (directory / name).unlink(missing_ok=True)


@pytest.fixture
def album(photos, index, directory):
    """The photos, of which one says when it was taken, and a video that does."""
    write_dated(photos / "Ann" / "old.jpg", 21, "1999:12:31 23:59:58")
    clip = write_video(photos / "clip.mp4", [(1, [(draw(7, 44, 44), 10, 0)])], size=(64, 64))
    set_movie_date(clip, datetime(2001, 2, 3, 4, 5, 6))
    index(names="folders", videos=True)
    return photos


def newest(directory):
    with Store.open(directory) as store:
        return [(one.path.name, one.date, one.is_taken) for one in browse.list_photos(store)]


def test_a_library_of_version_7_is_migrated_without_reading_a_photo(
    album, directory, ask, monkeypatch
):
    now = newest(directory)
    return_to(7, directory)
    assert ask("PRAGMA user_version") == [(7,)]
    monkeypatch.setattr(dated, "date_taken", None)
    with Store.open(directory) as store:
        assert version_of(store.database) == len(MIGRATIONS) == 8
    assert set(ask(DATES)) == {(None, 0)}
    # The files were written a moment ago, and that is all that is known.
    shown = newest(directory)
    assert sorted(name for name, *_ in shown) == sorted(name for name, *_ in now)
    assert not any(is_taken for *_, is_taken in shown)
    assert ask("SELECT sum(forgotten_faces) FROM photos") == [(0,)]


def test_photos_are_dated_when_they_are_indexed_and_sorted_by_it(album, directory):
    shown = newest(directory)
    clip = date_taken(album / "clip.mp4")
    assert clip == datetime(2001, 2, 3, 4, 5, 6)
    assert shown[-2:] == [
        ("clip.mp4", clip, True),
        ("old.jpg", datetime(1999, 12, 31, 23, 59, 58), True),
    ]
    assert not any(is_taken for *_, is_taken in shown[:-2])
    # The others are younger by their files.
    assert all(date.year >= 2024 for _, date, _ in shown[:-2])


def test_the_next_run_dates_the_photos_of_an_old_library_once(
    album, directory, index, ask, monkeypatch
):
    before, shown = ask(DATES), newest(directory)
    assert [row[1] for row in before] == [1] * 9 and len({row[0] for row in before}) == 3
    return_to(7, directory)
    looked = []
    monkeypatch.setattr(dated, "date_taken", lambda path: looked.append(path) or date_taken(path))
    # Only what is under the folder; no photo is decoded for it.
    monkeypatch.setattr(read, "decode_photo", None)
    assert index(album / "Ann").photos == 0
    assert {path.parent.name for path in looked} == {"Ann"} and len(looked) == 3
    assert sum(row[1] for row in ask(DATES)) == 3
    assert index().photos == 0
    assert ask(DATES) == before and newest(directory) == shown
    assert len(looked) == 9
    index()
    assert len(looked) == 9


def test_an_interrupted_run_goes_on_with_the_dates(album, directory, index, ask, monkeypatch):
    before = ask(DATES)
    return_to(7, directory)
    monkeypatch.setattr(dated, "_BATCH", 2)
    number = iter(range(100))

    def interrupt(path):
        if next(number) == 5:
            raise KeyboardInterrupt
        return date_taken(path)

    monkeypatch.setattr(dated, "date_taken", interrupt)
    with pytest.raises(KeyboardInterrupt):
        index()
    assert sum(row[1] for row in ask(DATES)) == 4
    index()
    assert ask(DATES) == before


def test_photos_lists_dates_of_an_old_library_from_the_files(album, directory, facehash, index):  # noqa: F811
    def run():
        return facehash("photos", "--person", "Ann", "--library", directory)

    listed = run()
    assert "1999-12-31 23:59:58" in listed[1]
    return_to(7, directory)
    assert run() == listed
    index()
    # The date is in the library, also when the drive with the photos is away.
    shutil.move(album, album.with_name("away"))
    assert run() == listed


def test_a_damaged_date_is_no_crash(album, directory, facehash):  # noqa: F811
    alter(directory, ("UPDATE photos SET taken = 'yesterday' WHERE taken IS NOT NULL",))
    assert not any(is_taken for *_, is_taken in newest(directory))
    code, _, err = facehash("photos", "--person", "Ann", "--library", directory)
    assert code == 2 and err.count("\n") == 1 and "not a date: 'yesterday'" in err
    alter(directory, ("UPDATE photos SET taken = 1 << 60",))
    assert {date for _, date, is_taken in newest(directory) if is_taken} == set()
    with sqlite3.connect(directory / "library.db") as database:
        database.execute("UPDATE paths SET mtime_ns = 'never'")
    assert {date for _, date, _ in newest(directory)} == {datetime(1970, 1, 1)}
