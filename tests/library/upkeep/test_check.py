import os

import pytest

from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild


@pytest.fixture
def library(index, directory):
    index(names="folders", codes="lsh:16")
    return directory


def change(directory, *statements):
    with Store.open(directory) as store:
        store.database.run("PRAGMA foreign_keys = OFF")
        for statement in statements:
            store.database.run(statement)


def cures(directory):
    return {problem.cure for problem in check(directory)}


def test_a_sound_library_has_no_problems(library):
    assert check(library) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE faces SET code = x'0000' WHERE id = 1", "1 faces have a code that is not that"),
        ("UPDATE faces SET code = x'00' WHERE id = 1", "the code of face 1 is damaged"),
        ("UPDATE faces SET code = NULL WHERE id < 3", "2 faces have no code"),
        ("DELETE FROM people WHERE name = 'Bo'", "1 rows of the database belong to nothing"),
        ("UPDATE generation SET number = number + 1", "index files of the embeddings are missing"),
    ],
)
def test_what_follows_from_the_vectors_is_cured_by_rebuild(library, statement, told, ask):
    change(library, statement)
    problems = check(library)
    assert any(told in problem.what for problem in problems), problems
    assert cures(library) == {"rebuild"}
    rebuild(library)
    assert check(library) == []
    assert ask("SELECT count(DISTINCT code) > 1, count(*) FROM faces") == [(1, 7)]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE faces SET embedding = x'00' WHERE id = 2", "the embedding of face 2 is damaged"),
        (
            "UPDATE faces SET embedding = CAST(replace(hex(zeroblob(24)), '0', x'ff') AS BLOB)",
            "not finite",
        ),
        ("DELETE FROM crops WHERE face_id = 1", "1 faces have no picture"),
        ("UPDATE settings SET value = 'x' WHERE key = 'dimension'", "its settings are damaged"),
        ("UPDATE hasher SET npy = x'00' WHERE name = 'mean'", "its hasher is damaged"),
    ],
)
def test_what_is_the_truth_itself_is_not(library, statement, told):
    change(library, statement)
    problems = check(library)
    assert any(told in problem.what for problem in problems), problems
    assert "restore" in cures(library)


def test_damage_in_the_middle_of_the_file_is_found(library):
    path = library / "library.db"
    with Store.open(library) as store:
        store.database.empty_log()
    content = bytearray(path.read_bytes())
    page = 4096
    for start in range(page, len(content), page):
        content[start : start + 200] = os.urandom(200)
    path.write_bytes(content)
    assert cures(library) == {"restore"}
    with pytest.raises(DamagedLibraryError):
        rebuild(library)


def test_a_file_that_was_cut_is_found(library):
    with Store.open(library) as store:
        store.database.empty_log()
    path = library / "library.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "restore" in cures(library)


def test_files_open_to_others_are_closed_by_rebuild(library):
    (library / "library.db").chmod(0o644)
    [problem] = check(library)
    assert "others can reach 1 of its files" in problem.what and problem.cure == "rebuild"
    rebuild(library)
    assert check(library) == []


def test_an_index_of_other_vectors_is_found(library):
    [path] = (library / "index").glob("embedding-[0-9]*.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    [problem] = check(library)
    assert "are not its embeddings" in problem.what and problem.cure == "rebuild"


def test_an_empty_library_is_told(tmp_path):
    Store.create(tmp_path / "new").close()
    with pytest.raises(LibraryError, match="an empty library; facehash index FOLDER"):
        check(tmp_path / "new")
