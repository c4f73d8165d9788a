import os

import pytest

from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from tests.library.conftest import alter


@pytest.fixture
def library(index, directory):
    index(names="folders", codes="lsh:16")
    assert check(directory) == []
    return directory


@pytest.fixture
def database_file(library):
    """The file of the database, which has everything after its log was emptied."""
    with Store.open(library) as store:
        store.database.empty_log()
    return library / "library.db"


def fixes(directory):
    return {problem.fix for problem in check(directory)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE faces SET x = 'abc' WHERE id = 3",
        "UPDATE faces SET width = 9e999 WHERE id = 3",
        "UPDATE people SET name = x'ff00' WHERE name = 'Bo'",
        "UPDATE paths SET path = CAST(path AS TEXT)",
        "UPDATE settings SET value = x'00ff' WHERE key = 'metric'",
        "UPDATE settings SET value = '-1' WHERE key = 'side'",
        "UPDATE settings SET value = 'lsh:24' WHERE key = 'codes'",
        "UPDATE settings SET value = 'lsh:0' WHERE key = 'codes'",
    ],
)
def test_what_a_search_cannot_show_is_damage(library, statement):
    alter(library, (statement,))
    [problem] = check(library)
    assert problem.fix == "restore" and "facehash check" not in problem.what


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE faces SET code = x'0000' WHERE id = 1", "1 faces have a code that does not match"),
        ("UPDATE faces SET code = NULL WHERE id < 3", "2 faces have no code"),
        ("DELETE FROM people WHERE name = 'Bo'", "1 rows of the database are orphaned"),
        ("UPDATE generation SET number = number + 1", "index files of the embeddings are missing"),
    ],
)
def test_rebuild_repairs_what_follows_from_the_vectors(library, statement, what, ask):
    alter(library, (statement,))
    problems = check(library)
    assert any(what in problem.what for problem in problems), problems
    assert fixes(library) == {"rebuild"}
    rebuild(library)
    assert check(library) == []
    assert ask("SELECT count(DISTINCT code) > 1, count(*) FROM faces") == [(1, 7)]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE faces SET embedding = x'00' WHERE id = 2", "the embedding of face 2 is damaged"),
        ("UPDATE faces SET embedding = CAST(replace(hex(zeroblob(24)), '0', x'ff') AS BLOB)",
         "not finite"),
        ("DELETE FROM crops WHERE face_id = 1", "1 faces have no picture"),
        ("UPDATE settings SET value = '0' WHERE key = 'dimension'", "its settings are damaged"),
        ("UPDATE settings SET value = 'lsh:0' WHERE key = 'codes'", "its settings are damaged"),
        ("DELETE FROM settings WHERE key = 'seed'", "its settings are damaged"),
        ("UPDATE hasher SET npy = x'00' WHERE name = 'mean'", "its hasher is damaged"),
    ],
)  # fmt: skip
def test_damaged_originals_cannot_be_repaired(library, statement, what):
    alter(library, (statement,))
    problems = check(library)
    assert any(what in problem.what for problem in problems), problems
    assert problems[0].fix == "restore"


def test_damaged_pages_of_the_database_are_found(library, database_file):
    content = bytearray(database_file.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 200] = os.urandom(200)
    database_file.write_bytes(content)
    assert fixes(library) == {"restore"}
    with pytest.raises(DamagedLibraryError):
        rebuild(library)


def test_rebuild_closes_files_to_other_users(library):
    (library / "library.db").chmod(0o644)
    [problem] = check(library)
    assert "other users can access 1 of its files" in problem.what and problem.fix == "rebuild"
    rebuild(library)
    assert check(library) == []


@pytest.mark.parametrize("name", ["embedding", "code-ids"])
def test_a_flipped_bit_in_an_index_file_is_found(library, name):
    [path] = (library / "index").glob(f"{name}-[0-9]*.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert fixes(library) == {"rebuild"}
    rebuild(library)
    assert check(library) == []


def test_an_empty_library_is_an_error(tmp_path):
    Store.create(tmp_path / "new").close()
    with pytest.raises(LibraryError, match="an empty library; to fill it: facehash index FOLDER"):
        check(tmp_path / "new")
