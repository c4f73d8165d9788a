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


@pytest.mark.parametrize("name", ["lib", "Ann's photos"])
def test_a_large_file_is_rewritten_in_its_own_folder_instead_of_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "_MOST_COPIED_IN_MEMORY", 0)
    folder = tmp_path / name
    folder.mkdir()
    (folder / "library.db").touch()
    database = Database(folder / "library.db")
    database.run("CREATE TABLE numbers (content BLOB)")
    database.run("INSERT INTO numbers VALUES (zeroblob(9000000))")
    database.run("DELETE FROM numbers")
    steps = []
    database._connection.set_trace_callback(steps.append)
    database.vacuum()
    assert (folder / "library.db").stat().st_size < 20_000
    quoted = str(folder).replace("'", "''")
    assert steps[:3] == [
        f"PRAGMA temp_store_directory = '{quoted}'",
        "PRAGMA temp_store_directory",
        "PRAGMA temp_store = FILE",
    ]
    # What else is temporary stays in memory, in this connection and in others.
    assert database.value("PRAGMA temp_store") == 2
    assert not database.value("PRAGMA temp_store_directory")
    assert [path.name for path in folder.iterdir()] == ["library.db"]
    database.close()
