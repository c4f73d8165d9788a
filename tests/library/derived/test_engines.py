"""An engine gets all changes of a library, whatever happens meanwhile."""

import threading

import pytest

from facehash.index.engines.base import NO_GENERATION, EngineError, UnreachableEngineError
from facehash.library.derived import engines, outbox
from facehash.library.derived.engines import identity_of, push, status
from facehash.library.storage import engines as registry
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.engines import Engine, get_engine
from facehash.library.storage.settings import write_settings
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from tests.helpers.servers import memory as memory_engine
from tests.library.conftest import alter
from tests.library.random_rows import DIMENSION, add, change, content, remove, settings

SETTINGS = settings()


@pytest.fixture
def server(monkeypatch):
    return memory_engine.install(monkeypatch)["one"]


@pytest.fixture
def store(tmp_path, server):
    with Store.create(tmp_path / "lib") as store:
        write_settings(store.database, SETTINGS)
        add(store, 5)
        registry.register(store, Engine("memory", "memory://one", "embedding"))
        yield store


def check_equal(store, server):
    assert {face: row.tobytes() for face, row in server.rows.items()} == content(store)
    assert server.generation == store.generation()


def send(store, name="memory"):
    return push(store, name, progress=False)


def test_the_first_push_builds_the_index_and_later_ones_send_changes_only(store, server):
    done = send(store)
    assert (done.sent, done.removed, done.rebuilt) == (5, 0, True)
    check_equal(store, server)
    add(store, 2)
    change(store, 1)
    remove(store, 2)
    done = send(store)
    assert (done.sent, done.removed, done.rebuilt) == (3, 1, False)
    check_equal(store, server)
    assert send(store) == engines.Pushed(0, 0, False)
    assert store.database.value("SELECT count(*) FROM changes") == 0  # nobody needs them any more
    assert store.database.value("SELECT count(*) FROM pushes") == 1


def test_changes_are_sent_in_chunks_each_of_which_is_a_valid_state(store, server, monkeypatch):
    send(store)
    for number in range(6):
        add(store, 1)
        change(store, 1 + number % 3)
    remove(store, 4)
    seen = []
    server.before_write = lambda: seen.append(server.generation)
    real = outbox.next_chunk
    monkeypatch.setattr(outbox, "next_chunk", lambda *args: real(*args, 3))
    done = send(store)
    assert (done.sent, done.removed) == (9, 1) and len(seen) == 4
    assert seen == sorted(set(seen))
    check_equal(store, server)


@pytest.mark.parametrize("rows", range(6))
def test_a_server_that_dies_between_rows_is_completed_by_the_next_push(store, server, rows):
    send(store)
    add(store, 3)
    change(store, 3)
    remove(store, 1)
    add(store, 1)
    server.dies_after = rows
    if rows < 5:
        with pytest.raises(UnreachableEngineError):
            send(store)
    server.down, server.dies_after = False, None
    remove(store, 7)
    assert not send(store).rebuilt
    check_equal(store, server)


def test_a_first_build_that_was_interrupted_is_repeated(store, server):
    server.dies_after = 2
    with pytest.raises(UnreachableEngineError):
        send(store)
    assert server.generation == NO_GENERATION and not server.rows
    server.down, server.dies_after = False, None
    assert send(store).rebuilt
    check_equal(store, server)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("place", ["before the server", "in the server", "after the server"])
def test_a_push_that_was_killed_anywhere_is_continued(store, server, monkeypatch, place, built):
    if built:
        send(store)
    add(store, 2)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if place == "before the server":
            patched.setattr(outbox, "next_chunk" if built else "all_faces", killed)
        elif place == "in the server":
            patched.setattr(server, "before_write", killed)
        else:
            name = "apply" if built else "rebuild"
            real = getattr(memory_engine.MemoryIndex, name)
            patched.setattr(memory_engine.MemoryIndex, name, lambda *args: (real(*args), killed()))
        with pytest.raises(KeyboardInterrupt):
            send(store)
    change(store, 1)
    remove(store, 6)
    assert send(store).rebuilt is not (built or place == "after the server")
    check_equal(store, server)


def test_faces_that_change_during_a_rebuild_are_sent_again(store, server, monkeypatch):
    monkeypatch.setattr(outbox, "CHUNK", 2)
    real = outbox.all_faces

    def all_faces(*args):
        for number, batch in enumerate(real(*args)):
            yield batch
            if number < 3:
                change(store, 5 - number)
                remove(store, 1 + number)
                add(store, 1)

    monkeypatch.setattr(outbox, "all_faces", all_faces)
    send(store)
    check_equal(store, server)


def test_a_writer_that_was_first_costs_another_attempt(store, server):
    send(store)
    add(store, 2)
    with Store.open(store.directory) as other:

        def first():
            server.before_write = lambda: None
            add(other, 1)
            send(other)

        server.before_write = first
        send(store)
    check_equal(store, server)
    assert get_engine(store, "memory").pending_erase == 0


@pytest.mark.parametrize("built", [True, False])
def test_what_was_sent_too_late_is_erased(store, server, built):
    if built:
        send(store)
        add(store, 2)
    forgotten = content(store)[5]
    with Store.open(store.directory) as other:

        def first():
            server.before_write = lambda: None
            with other.database.transaction():
                remove(other, 5)
                registry.request_erase(other.database)
            assert send(other).erased

        server.before_write = first
        send(store)
    check_equal(store, server)
    assert forgotten not in server.disk
    assert get_engine(store, "memory").pending_erase == 0


def test_two_pushers_and_a_writer_at_once_lose_nothing(store, server):
    send(store)
    failures = []

    def work(job, seed):
        try:
            with Store.open(store.directory) as own:
                for number in range(8):
                    job(own, number, seed)
        except BaseException as error:
            failures.append(error)

    def write(own, number, seed):
        add(own, 2, seed)
        change(own, 1 + number)
        remove(own, 3 * number + 4)

    jobs = [(write, 1), (write, 2), *[(lambda own, *_: send(own), 0)] * 2]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    send(store)
    check_equal(store, server)
    assert server.written < 500  # no attempt has started again from nothing


def test_an_engine_that_missed_more_than_the_outbox_has_is_built_again(store, server):
    send(store)
    server_before = (dict(server.rows), server.generation)
    for _ in range(3):
        add(store, 1)
        send(store)
    server.rows, server.generation = server_before  # the server was restored from a backup
    assert send(store).rebuilt
    check_equal(store, server)


@pytest.mark.parametrize("more", [0, 1, 3, 7])
def test_a_library_restored_from_a_backup_replaces_the_index(store, server, tmp_path, more):
    send(store)
    backup = tmp_path / "backup.db"
    store.database.run("VACUUM INTO ?", (str(backup),))
    add(store, 3)
    send(store)
    store.close()
    for path in store.directory.glob("library.db*"):
        path.unlink()
    backup.rename(store.directory / "library.db")
    with Store.open(store.directory) as restored:
        add(restored, more, seed=9)  # the same ids, and with 3 the same generation
        assert send(restored).rebuilt
        check_equal(restored, server)


def test_another_engine_is_not_held_up(store, server):
    registry.register(store, Engine("second", "memory://two", "embedding"))
    second = memory_engine.SERVERS["two"]
    for name in ("memory", "second"):
        send(store, name)
    second.down = True
    add(store, 2)
    send(store)
    check_equal(store, server)
    with pytest.raises(UnreachableEngineError, match="memory://two"):
        send(store, "second")
    assert store.database.value("SELECT count(*) FROM changes") == 2
    second.down = False
    assert not send(store, "second").rebuilt
    check_equal(store, second)
    assert store.database.value("SELECT count(*) FROM changes") == 0


def test_the_index_of_another_library_is_left_alone(store, server, tmp_path):
    send(store)
    with Store.create(tmp_path / "other") as other:
        write_settings(other.database, SETTINGS)
        registry.register(other, Engine("memory", "memory://one", "embedding"))
        with pytest.raises(EngineError, match="another library"):
            send(other)
    check_equal(store, server)


def test_the_state_of_an_engine(store, server):
    engine = get_engine(store, "memory")
    assert status(store, engine) == engines.Status("Memory 1.0", 0, None, None, 0)
    send(store)
    add(store, 2)
    change(store, 1)
    found = status(store, engine)
    assert (found.faces, found.generation, found.behind) == (5, 5, 3)
    assert found.bytes == 5 * 4 * DIMENSION


def test_only_what_codes_depend_on_is_part_of_their_identity(index, directory, head):
    index(codes="lsh:16")
    with Store.open(directory) as store:
        first = identity_of(store, "code")
        vectors = identity_of(store, "embedding")
        assert first.space.dimension == 16 and first.made_by.startswith(vectors.made_by)
        store.database.run("DELETE FROM hasher WHERE name IN ('scale', 'format')")
        assert identity_of(store, "code") == first
        store.database.run(
            "UPDATE hasher SET npy = CAST(substr(npy, 1, length(npy) - 4) || x'0000803f' AS BLOB) "
            "WHERE name = 'mean'"
        )
        assert identity_of(store, "code") != first


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO changes VALUES (3, 'x', NULL)",
        "INSERT INTO changes VALUES (3, 1000, NULL)",
        "INSERT INTO changes VALUES (3, 2, 'x')",
        "UPDATE outbox SET start = 1000",
        "UPDATE outbox SET start = 'x'",
        "INSERT INTO outbox VALUES (1)",
        "DELETE FROM outbox",
    ],
)
def test_a_damaged_outbox_is_found_and_repaired(index, directory, server, statement):
    index()
    with Store.open(directory) as store:
        registry.register(store, Engine("memory", "memory://one", "embedding"))
        send(store)
    assert check(directory) == []
    alter(directory, (statement,))
    [problem] = check(directory)
    assert problem.fix == "rebuild" and "record of changes is damaged" in problem.what
    rebuild(directory)
    assert check(directory) == []
    with Store.open(directory) as store:
        assert send(store).rebuilt
        check_equal(store, server)


def test_a_damaged_row_is_not_sent(store, server):
    alter(store.directory, ("UPDATE faces SET embedding = x'00' WHERE id = 2",))
    with pytest.raises(DamagedLibraryError, match="embedding of face 2 is damaged"):
        send(store)
