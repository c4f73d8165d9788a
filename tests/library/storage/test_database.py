import pytest

from facehash.files import FileInUseError
from facehash.library.storage import database as module
from facehash.library.storage.database import Database


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "library.db")
    database.run("CREATE TABLE words (word TEXT)")
    yield database
    database.close()


def test_a_transaction_writes_everything_or_nothing(database):
    with pytest.raises(RuntimeError), database.transaction():
        database.run("INSERT INTO words VALUES ('some')")
        raise RuntimeError
    assert database.rows("SELECT * FROM words") == []
    with database.transaction():
        database.run("INSERT INTO words VALUES ('all')")
    assert database.rows("SELECT * FROM words") == [("all",)]


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
