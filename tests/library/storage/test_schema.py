import sqlite3

import pytest

from facehash.library.storage.database import Database, LibraryError
from facehash.library.storage.schema import MIGRATIONS, migrate


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "library.db")
    yield database
    database.close()


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
