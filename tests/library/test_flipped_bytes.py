"""Bytes of a library's files, flipped one at a time: `check` finds it, or nobody is misled."""

import hashlib
import os
import shutil

import numpy as np
import pytest

from facehash.errors import InputError
from facehash.library.checking import check, rebuild
from facehash.library.forgetting import forget_photo
from facehash.library.people import list_people, name_faces, rename_person
from facehash.library.search import open_library
from facehash.library.statistics import count
from facehash.library.store import Store
from tests.library import fakes
from tests.library.conftest import draw

# Every so many bytes of a database are flipped, and all of them where this is 1.
STEP = int(os.environ.get("FACEHASH_FLIP_STEP", "41"))
PAGE = 4096


@pytest.fixture
def library(index, directory, photos, monkeypatch):
    index(names="folders", codes="lsh:16")
    with Store.open(directory) as store:
        rename_person(store, "Cy", "Cyprian")
        forget_photo(store, photos / "Ann" / "1.png")
        store.database.empty_log()
    # What is in the files counts here, not how often a disk is waited for.
    monkeypatch.setattr("os.fsync", lambda _: None)
    return directory


def answers(directory):
    """Return all that a library says: neighbours by vector and by code, people, numbers."""
    said = []
    for by in ("embedding", "code"):
        with open_library(directory, by=by, make_pipeline=fakes.make_pipeline) as library:
            said += [library.search(draw(seed, width=80), k=4) for seed in (6, 7)]
            said += [list_people(library.store), vars(count(library.store)) | {"bytes": 0}]
    return said


def same(directory, expected):
    """Whether it says what the sound library says; None where it refuses in one line."""
    try:
        return answers(directory) == expected
    except InputError as error:
        assert "\n" not in str(error)
        return None


def flipped(content, at, bits):
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


def test_no_byte_of_an_index_file_can_be_flipped_unseen(library):
    expected = answers(library)
    assert check(library) == []
    paths = sorted((library / "index").iterdir())
    assert len(paths) == 5
    unseen = 0
    for path in paths:
        content = path.read_bytes()
        for at in range(len(content)):
            path.write_bytes(flipped(content, at, 1 << at % 8))
            unharmed = same(library, expected)
            assert unharmed is not False, f"a wrong answer: byte {at} of {path.name}"
            if unharmed:
                # A search by vectors needs no codes and none of their sums; check looks at all.
                unseen += not check(library)
        path.write_bytes(content)
    # White space of the sums, and of the headers.
    assert unseen < 60
    assert check(library) == []


def test_a_byte_of_the_database_that_is_flipped_is_found_or_harmless(library):
    path = library / "library.db"
    expected, content = answers(library), path.read_bytes()
    found = refused = 0
    for at in chosen(content):
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        bits = 1 << at % 8 if at % 3 else 0xFF
        path.write_bytes(flipped(content, at, bits))
        unharmed = same(library, expected)
        refused += unharmed is None
        try:
            problems = check(library)
        except InputError as error:
            problems = [error]
        assert problems or unharmed, f"byte {at} of {len(content)}, page {at // PAGE + 1}"
        assert all("\n" not in str(problem) for problem in problems)
        found += bool(problems)
    assert found > refused > 20
    path.write_bytes(content)
    assert check(library) == []


def chosen(content):
    """The header and the heads of all pages whole, of the rest some bytes that hold something."""
    places = set(range(100))
    for page in range(0, len(content), PAGE):
        places.update(range(page, page + 12))
        used = [at for at in range(page, page + PAGE) if content[at]]
        start = int(hashlib.sha256(b"%d" % page).hexdigest(), 16) % STEP
        places.update(used[start::STEP])
    return sorted(places)


def change(directory, sql, *values):
    """Write to the database without this program."""
    import sqlite3

    connection = sqlite3.connect(directory / "library.db")
    with connection:
        assert connection.execute(sql, values).rowcount == 1
    connection.close()


def cure_by_reading_again(store, index, photos):
    forget_photo(store, photos / "Bo" / "0.png", again=True)
    index(names="folders")


def cure_by_naming_again(store, index, photos):
    [person] = [one for one in list_people(store) if one.name.startswith("B")]
    name_faces(store, "Bo", [person.face_id])


def cure_by_indexing_again(store, index, photos):
    index(names="folders")


BO = "(SELECT faces.id FROM faces JOIN paths USING (photo_id) WHERE path LIKE '%/Bo/%')"


@pytest.mark.parametrize(
    ("damage", "told", "cure"),
    [
        (f"UPDATE faces SET embedding = zeroblob(48) WHERE id = {BO}", "1 of its faces",
         cure_by_reading_again),
        (f"UPDATE faces SET x = x + 1e-9 WHERE id = {BO}", "1 of its faces", cure_by_reading_again),
        (f"UPDATE crops SET jpeg = x'00' WHERE face_id = {BO}", "1 of its pictures of faces",
         cure_by_reading_again),
        ("UPDATE photos SET width = 41 WHERE id = (SELECT photo_id FROM paths "
         "WHERE path LIKE '%/Bo/%')", "1 of its photos", cure_by_reading_again),
        ("UPDATE people SET name = 'Bob' WHERE name = 'Bo'", "1 of its people's names",
         cure_by_naming_again),
        ("UPDATE people SET name = CAST(x'42ff' AS TEXT) WHERE name = 'Bo'",
         "1 of its people's names", None),
        (f"UPDATE faces SET named_by = 'csv' WHERE id = {BO}", "1 of its faces' names",
         cure_by_naming_again),
        ("UPDATE paths SET path = CAST(replace(path, 'Bo', 'Ro') AS BLOB) WHERE path LIKE '%/Bo/%'",
         "2 of its paths", cure_by_indexing_again),
        ("UPDATE paths SET size = size + 1 WHERE path LIKE '%/Bo/%'", "1 of its paths",
         cure_by_indexing_again),
        ("UPDATE settings SET value = 'haar' WHERE key = 'detector'", "1 of its settings", None),
        ("UPDATE aliases SET name = 'Sy'", "2 of its aliases", None),
        ("UPDATE kept_out SET digest = zeroblob(32)", "2 of its kept out", None),
        ("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'faces'", "highest ids", None),
        ("UPDATE hasher SET npy = npy || x'00' WHERE name = 'mean'", "1 of its hasher", None),
    ],
)  # fmt: skip
def test_a_row_that_was_not_written_so_is_found_and_its_cure_cures(
    library, index, photos, damage, told, cure
):
    expected = answers(library)
    change(library, damage)
    problems = check(library)
    assert any(told in problem.what for problem in problems), problems
    if cure:
        with pytest.raises(InputError, match=told):
            rebuild(library)
        with Store.open(library) as store:
            cure(store, index, photos)
        assert check(library) == []
        assert [one.hits[0].name for one in answers(library)[0]] == [
            one.hits[0].name for one in expected[0]
        ]
    else:
        assert problems[0].cure in ("restore", "rename")


def test_naming_a_face_does_not_hide_that_its_vector_was_damaged(library):
    change(library, "UPDATE faces SET embedding = zeroblob(48) WHERE id = 3")
    with Store.open(library) as store:
        name_faces(store, "Ann", [3])
    assert any("1 of its faces are not" in problem.what for problem in check(library))


def test_a_library_of_before_there_were_digests_gets_them(library, index, photos):
    change_to_version_1(library)
    assert check(library) == []
    change(library, "UPDATE faces SET score = 0.5 WHERE id = 3")
    assert any("1 of its faces are not" in problem.what for problem in check(library))


def change_to_version_1(directory):
    import sqlite3

    connection = sqlite3.connect(directory / "library.db")
    connection.execute("DROP TABLE seals")
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_a_copy_of_a_library_is_as_sound_as_the_first(library, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(library, copy)
    assert check(copy) == [] and np.array_equal(answers(copy)[:2], answers(library)[:2])
