import sqlite3

import pytest

from facehash.library.storage.database import Database, LibraryError
from facehash.library.storage.schema import MIGRATIONS, migrate, version_of

# An invented version after the newest.
WITH_NOTES = (
    *MIGRATIONS,
    (
        "ALTER TABLE people ADD COLUMN note TEXT NOT NULL DEFAULT ''",
        "UPDATE people SET note = 'known as ' || name",
    ),
)


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "library.db")
    yield database
    database.close()


def test_an_empty_file_gets_all_tables(database):
    assert version_of(database) == 0
    migrate(database)
    assert version_of(database) == len(MIGRATIONS)
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master")}
    assert {"photos", "paths", "faces", "crops", "people", "settings", "excluded"} <= tables


def test_a_migration_keeps_the_content_and_a_newer_version_is_an_error(database):
    migrate(database)
    database.run("INSERT INTO people (name) VALUES ('Ann')")
    for _ in range(2):
        migrate(database, WITH_NOTES)
    assert database.rows("SELECT name, note FROM people") == [("Ann", "known as Ann")]
    newest = len(MIGRATIONS)
    assert version_of(database) == newest + 1
    message = rf"newer facehash .library version {newest + 1}, this one knows {newest}"
    with pytest.raises(LibraryError, match=message):
        migrate(database)


def test_version_1_loses_the_paths_in_its_reasons(database):
    for statement in (*MIGRATIONS[0], "PRAGMA user_version = 1"):
        database.run(statement)
    photos = [
        (b"/p/a: b.jpg", "/p/a: b.jpg: not a picture"),
        (b"/p/new.jpg", "/p/old.jpg: damaged picture"),
        (b"/p/caf\xe9.jpg", None),
    ]
    for number, (path, detail) in enumerate(photos, start=1):
        database.run(
            "INSERT INTO photos VALUES (?1, randomblob(32), 1, 1, 'x', ?2)", (number, detail)
        )
        database.run("INSERT INTO paths VALUES (?, ?, 1, 1, NULL)", (path, number))
    database.run("INSERT INTO paths VALUES (x'41', NULL, 1, 1, 'unreadable')")
    migrate(database)
    details = database.rows("SELECT detail FROM photos ORDER BY id")
    assert details == [("not a picture",), (None,), (None,)]
    assert database.rows("SELECT reason, detail FROM paths WHERE photo_id IS NULL") == [
        ("unreadable", None)
    ]


def test_a_migration_that_fails_changes_nothing(database):
    migrate(database)
    broken = (*MIGRATIONS, ("CREATE TABLE extra (x)", "INSERT INTO nothing VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(database, broken)
    migrate(database)


def test_a_database_of_another_program_is_not_changed(database):
    database.run("CREATE TABLE theirs (x)")
    with pytest.raises(LibraryError, match="not a facehash library"):
        migrate(database)
    assert database.rows("SELECT name FROM sqlite_master") == [("theirs",)]


def test_triggers_count_the_changes_of_faces(database):
    migrate(database)
    face = (
        "INSERT INTO faces (photo_id, number, x, y, width, height, score, quality) "
        "VALUES (1, 1, 0, 0, 1, 1, 1, 1)"
    )
    for statement, generation in [
        ("INSERT INTO photos (id, digest) VALUES (1, zeroblob(32))", 0),
        (face, 1),
        ("UPDATE faces SET person_id = NULL", 1),
        ("UPDATE faces SET code = x'00'", 2),
        ("DELETE FROM photos", 3),
    ]:
        database.run(statement)
        assert database.value("SELECT number FROM generation") == generation
