"""The outbox, which triggers write, and the records of the servers with an index of a library."""

import re

import pytest

from facehash.library.storage import engines as registry
from facehash.library.storage.database import DamagedLibraryError, LibraryError
from facehash.library.storage.engines import Engine, library_id, list_engines
from facehash.library.storage.store import Store
from tests.helpers.library_0_1_0 import unpack
from tests.library.conftest import alter

ENGINE = Engine("redis", "redis://localhost/0", "embedding")
FACE = (
    "INSERT INTO faces (photo_id, number, x, y, width, height, score, quality, embedding) "
    "VALUES (1, ?, 0, 0, 1, 1, 1, 1, zeroblob(4))"
)


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "lib") as store:
        store.database.run("INSERT INTO photos (digest) VALUES (zeroblob(32))")
        for number in (1, 2, 3):
            store.database.run(FACE, (number,))
        yield store


def changes(store):
    return store.database.rows("SELECT * FROM changes ORDER BY face_id")


def test_the_outbox_has_the_last_change_of_each_face_since_the_first_engine(store):
    assert changes(store) == []
    registry.register(store, ENGINE)
    run = store.database.run
    run(FACE, (4,))  # generation 4, face 4
    run(FACE, (5,))
    run("UPDATE faces SET embedding = x'01020304' WHERE id = 1")
    run("DELETE FROM faces WHERE id = 4")
    run("UPDATE faces SET code = x'01' WHERE id = 1")
    run("UPDATE faces SET named_by = 'user'")  # no change of a row
    assert changes(store) == [(1, 8, None), (4, 7, 4), (5, 5, 5)]
    assert store.generation() == 8
    registry.register(store, Engine("second", "redis://localhost/1", "code"))
    assert store.database.rows("SELECT start FROM outbox") == [(3,)]


def test_faces_of_a_deleted_photo_are_in_the_outbox(store):
    registry.register(store, ENGINE)
    store.database.run("DELETE FROM photos")
    assert sorted(generation for _, generation, _ in changes(store)) == [4, 5, 6]


def test_without_engines_nothing_is_recorded(store):
    registry.register(store, ENGINE)
    store.database.run(FACE, (4,))
    registry.unregister(store, "redis")
    store.database.run(FACE, (5,))
    for table in ("changes", "outbox", "engines"):
        assert store.database.rows(f"SELECT * FROM {table}") == []


def test_a_rolled_back_change_leaves_nothing_in_the_outbox(store):
    registry.register(store, ENGINE)
    with pytest.raises(ZeroDivisionError), store.database.transaction():
        store.database.run("DELETE FROM faces")
        raise ZeroDivisionError
    assert changes(store) == [] and store.generation() == 3


def test_only_requests_that_were_known_count_as_erased(store):
    registry.register(store, ENGINE)
    registry.request_erase(store.database)
    [before] = list_engines(store.database)
    registry.request_erase(store.database)
    registry.erased(store.database, before)
    [after] = list_engines(store.database)
    assert after.pending_erase == 2
    registry.erased(store.database, after)
    assert list_engines(store.database)[0].pending_erase == 0


def test_only_generations_that_were_sent_are_its_own(store):
    database = store.database
    registry.register(store, ENGINE)
    registry.begin_push(database, "redis", 5)
    assert registry.is_own(database, "redis", 5) and not registry.is_own(database, "redis", 4)
    registry.begin_push(database, "redis", 6)
    lost = registry.begin_push(database, "redis", 6)
    registry.withdraw_push(database, lost)
    assert registry.is_own(database, "redis", 6)
    registry.note_generation(database, "redis", 6)
    assert not registry.is_own(database, "redis", 5) and registry.is_own(database, "redis", 6)
    registry.unregister(store, "redis")
    with pytest.raises(LibraryError, match="has no engine 'redis' any more"):
        registry.begin_push(database, "redis", 8)


def test_the_outbox_keeps_what_an_engine_still_needs(store):
    second = Engine("second", "redis://localhost/1", "embedding")
    for engine in (ENGINE, second):
        registry.register(store, engine)
    for number in (4, 5, 6):
        store.database.run(FACE, (number,))
    registry.note_generation(store.database, "redis", 6)
    assert len(changes(store)) == 3  # the second was never filled
    registry.note_generation(store.database, "second", 5)
    assert changes(store) == [(6, 6, 6)]
    assert store.database.rows("SELECT start FROM outbox") == [(5,)]
    registry.note_generation(store.database, "second", None)
    registry.note_generation(store.database, "redis", 6)
    assert changes(store) == [(6, 6, 6)]


def test_names_of_engines(store):
    registry.register(store, ENGINE)
    with pytest.raises(LibraryError, match="already has an engine 'redis'"):
        registry.register(store, ENGINE)
    with pytest.raises(LibraryError, match="has no engine 'reds' .did you mean 'redis'"):
        registry.get_engine(store, "reds")
    assert registry.get_engine(store, "redis") == ENGINE
    registry.unregister(store, "redis")
    with pytest.raises(LibraryError, match="facehash engine add URL --library"):
        registry.get_engine(store, "redis")
    for name in ("", "A", "a b", "x" * 33, "-a"):
        with pytest.raises(ValueError, match="1 to 32 lower-case letters"):
            registry.check_name(name)


@pytest.mark.parametrize(
    "change",
    [
        "url = 'redis://:secret@localhost/0'",
        "url = 'nothing'",
        "url = x'00'",
        "by = 'other'",
        "pending_erase = -1",
        "pending_erase = 'x'",
        "generation = 'x'",
        "name = 'A b'",
    ],
)
def test_a_damaged_record_is_one_line(store, change):
    registry.register(store, ENGINE)
    alter(store.directory, (f"UPDATE engines SET {change}",))
    with pytest.raises(DamagedLibraryError, match="the record of its engine") as caught:
        list_engines(store.database)
    assert "secret" not in str(caught.value)


def test_every_library_has_an_id_of_its_own(store, tmp_path):
    found = {library_id(store.database)}
    for name in ("library", "library-unwiped"):
        library, _ = unpack(name, tmp_path)
        with Store.open(library) as opened:
            found.add(library_id(opened.database))
        with Store.open(library) as opened:  # and keeps it
            found.add(library_id(opened.database))
    assert len(found) == 3 and all(re.fullmatch("[0-9a-f]{32}", one) for one in found)
    alter(store.directory, ("UPDATE identity SET library = 'x'",))
    with pytest.raises(DamagedLibraryError, match="its id is 'x'"):
        library_id(store.database)
