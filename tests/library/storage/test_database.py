import sqlite3

import pytest

from facehash.files import FileInUseError
from facehash.library.storage import database as module
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "library.db")
    database.run("CREATE TABLE words (word TEXT)")
    yield database
    database.close()


def test_rows_are_read_at_once_or_in_batches(database, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    assert database.run_many("INSERT INTO words VALUES (?)", [("a",), ("b",), ("c",)]) == 3
    assert list(database.batches("SELECT word FROM words")) == [[("a",), ("b",)], [("c",)]]
    assert database.rows("SELECT word FROM words WHERE word > ?", ("b",)) == [("c",)]
    assert database.value("SELECT max(word) FROM words") == "c"
    assert database.value("SELECT word FROM words WHERE 0") is None


def test_a_transaction_writes_everything_or_nothing(database):
    with pytest.raises(RuntimeError), database.transaction():
        database.run("INSERT INTO words VALUES ('some')")
        raise RuntimeError
    assert database.rows("SELECT * FROM words") == []
    with database.transaction():
        database.run("INSERT INTO words VALUES ('all')")
    assert database.rows("SELECT * FROM words") == [("all",)]


@pytest.mark.parametrize(
    ("pragma", "value"), [("secure_delete", 1), ("foreign_keys", 1), ("trusted_schema", 0)]
)
def test_deleted_content_is_overwritten_and_stored_sql_is_not_trusted(database, pragma, value):
    assert database.value(f"PRAGMA {pragma}") == value


def test_a_reader_does_not_wait_but_a_second_writer_gets_an_error(database, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
    database.enable_log()
    second = Database(tmp_path / "library.db")
    with database.transaction():
        database.run("INSERT INTO words VALUES ('new')")
        assert second.rows("SELECT word FROM words") == []
        with pytest.raises(FileInUseError, match="another process is writing to it"):
            second.run("INSERT INTO words VALUES ('x')")
    assert second.rows("SELECT word FROM words") == [("new",)]
    second.close()


def test_a_file_that_is_no_database_is_damaged(tmp_path):
    path = tmp_path / "library.db"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(DamagedLibraryError, match="its database is damaged .file is not a data"):
        Database(path)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(LibraryError, match="its database cannot be used .unable to open"):
        Database(tmp_path / "none" / "library.db")


def test_a_bug_keeps_its_exception(database):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.rows("SELECT * FROM nowhere")
