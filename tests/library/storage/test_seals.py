"""Rows that somebody else than this program has changed, and what is done about them."""

import sqlite3

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.library.people.forget import forget_photo
from facehash.library.people.people import list_people, name_faces, rename_person
from facehash.library.query.library import Library
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from facehash.library.upkeep.stats import count


@pytest.fixture
def library(index, directory, photos):
    index(names="folders", codes="lsh:16")
    with Store.open(directory) as store:
        rename_person(store, "Cy", "Cyprian")
        forget_photo(store, photos / "Ann" / "1.png")
    return directory


def answers(directory):
    """Return who is found how far, by vectors and by codes, and all numbers."""
    queries = np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32)
    hits = []
    with Store.open(directory) as store:
        for column in ("embedding", "code"):
            for answer in Library(store, column).search_vectors(queries, 9):
                # A photo that was read again has other numbers, which order those equally far,
                # and was embedded beside others.
                hits.append(sorted((round(hit.distance, 4), hit.name or "") for hit in answer.hits))
        return hits, vars(count(store)) | {"bytes": 0}


def change(directory, *statements):
    """Write to the database without this program."""
    connection = sqlite3.connect(directory / "library.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def read_again(store, index, photos):
    forget_photo(store, photos / "Bo" / "0.png", allow_reindex=True)
    index(names="folders")


def name_again(store, index, photos):
    [person] = [one for one in list_people(store) if one.name.startswith("B")]
    name_faces(store, "Bo", [person.face_id])


def index_again(store, index, photos):
    index(names="folders")


IN_BO = "instr(path, CAST('/Bo/' AS BLOB))"
PHOTO = f"(SELECT photo_id FROM paths WHERE {IN_BO})"
FACE = f"(SELECT id FROM faces WHERE photo_id = {PHOTO})"


@pytest.mark.parametrize(
    ("damage", "told", "cure"),
    [
        (f"faces SET embedding = zeroblob(48) WHERE id = {FACE}", "of its faces", read_again),
        (f"faces SET x = x + 1e-9 WHERE id = {FACE}", "of its faces", read_again),
        (f"faces SET landmarks = NULL WHERE id = {FACE}", "of its faces", read_again),
        (f"crops SET jpeg = x'00' WHERE face_id = {FACE}", "of its pictures of faces", read_again),
        (f"photos SET width = 41 WHERE id = {PHOTO}", "of its photos", read_again),
        (f"photos SET digest = zeroblob(32) WHERE id = {PHOTO}", "of its photos", read_again),
        (f"faces SET person_id = 1 WHERE id = {FACE}", "of its faces' names", index_again),
        ("people SET name = 'Bob' WHERE name = 'Bo'", "of its people's names", name_again),
        (f"paths SET path = CAST(path || 'x' AS BLOB) WHERE {IN_BO}", "of its paths", index_again),
        (f"paths SET size = size + 1 WHERE {IN_BO}", "of its paths", index_again),
    ],
)
def test_a_row_that_nobody_wrote_so_is_found_and_its_cure_cures(
    library, index, photos, damage, told, cure
):
    expected = answers(library)
    change(library, f"UPDATE {damage}")
    assert any(told in problem.what for problem in check(library)), check(library)
    with pytest.raises(InputError, match=told):
        rebuild(library)
    with Store.open(library) as store:
        cure(store, index, photos)
    assert check(library) == []
    assert answers(library) == expected


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("people SET name = CAST(x'42ff' AS TEXT) WHERE name = 'Bo'", "of its people's names"),
        ("people SET name = CAST(name AS BLOB) WHERE name = 'Bo'", "of its people's names"),
        ("settings SET value = 'haar' WHERE key = 'detector'", "of its settings"),
        ("settings SET key = 'seeds' WHERE key = 'seed'", "its settings are damaged"),
        ("aliases SET name = 'Sy'", "of its aliases"),
        ("excluded SET digest = zeroblob(32)", "of its kept out"),
        ("sqlite_sequence SET seq = seq - 1 WHERE name = 'faces'", "of its highest ids"),
        ("hasher SET npy = CAST(substr(npy, 1, 168) || 'other fl' AS BLOB) WHERE name = 'mean'",
         "of its hasher"),
        ("seals SET digest = zeroblob(16) WHERE place = 'crops' AND key = 1", "pictures of faces"),
    ],
)  # fmt: skip
def test_damage_without_a_cure_is_found_too(library, damage, told):
    change(library, f"UPDATE {damage}")
    assert any(told in problem.what for problem in check(library)), check(library)


@pytest.mark.parametrize("table", ["excluded", "aliases", "hasher", "crops"])
def test_rows_that_are_gone_are_missed(library, table):
    change(library, f"DELETE FROM {table}")
    assert any("not as they were written" in problem.what for problem in check(library))


def test_check_names_what_its_cures_have_to_be_told(library, photos):
    change(library, f"UPDATE faces SET y = 1 WHERE id = {FACE}")
    change(library, "UPDATE people SET name = 'Bob' WHERE name = 'Bo'")
    [reread, rename] = [(problem.what, problem.cure) for problem in check(library)]
    assert reread[1] == "reread" and reread[0].endswith(f"such as {photos / 'Bo' / '0.png'}")
    assert rename[1] == "rename" and rename[0].endswith("such as face 3")


def test_naming_a_face_does_not_hide_that_its_vector_was_damaged(library):
    change(library, "UPDATE faces SET embedding = zeroblob(48) WHERE id = 3")
    with Store.open(library) as store:
        name_faces(store, "Ann", [3])
    assert any("1 of its faces are not" in problem.what for problem in check(library))


def test_a_library_of_before_there_were_digests_gets_them(library):
    change(library, "DROP TABLE seals", "PRAGMA user_version = 2")
    assert check(library) == []
    change(library, "UPDATE faces SET score = 0.5 WHERE id = 3")
    assert any("1 of its faces are not" in problem.what for problem in check(library))
