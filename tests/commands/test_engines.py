"""Servers with an index of a library, as a user keeps them."""

import contextlib
import json
import logging

import pytest

from facehash.index.engines.base import Identity
from facehash.library.storage.database import Database
from facehash.vectors import Space
from tests.helpers.servers import memory as memory_engine
from tests.library.conftest import alter, draw, save, traces, what_is_stored_of


@pytest.fixture
def server(monkeypatch):
    return memory_engine.install(monkeypatch)["one"]


@pytest.fixture
def at(library):
    return "--library", library


@pytest.fixture
def added(facehash, server, at):
    assert facehash("engine", "add", "memory://one", *at) == (
        0,
        "memory: Memory 1.0 gets the vectors of the faces\nmemory: index built of 7 faces\n",
        "",
    )


def test_an_engine_is_added_and_searched(facehash, server, added, at, photos):
    query = ("search", photos / "party.png", "-k", 9, *at)
    code, out, err = facehash(*query, "--engine", "memory")
    assert (code, err) == (0, "") and len(server.asked) == 1
    assert out == facehash(*query)[1]
    assert facehash("engine", "status", *at)[:2] == (
        0,
        "memory: memory://one; Memory 1.0; 7 faces by embedding, 0.0 MB; up to date\n",
    )
    assert "engine      memory: memory://one, by embedding\n" in facehash("stats", *at)[1]


def test_codes_are_sent_if_the_library_has_them(facehash, server, index, directory):
    index(codes="lsh:16")
    at = ("--library", directory)
    code, out, _ = facehash("engine", "add", "memory://one", *at)
    assert code == 0 and out.startswith("memory: Memory 1.0 gets the codes of the faces\n")
    assert server.identity.space == Space("hamming", 16)
    more = ("--name", "vectors", "--by", "embedding", *at)
    assert facehash("engine", "add", "memory://two", *more)[0] == 0
    assert memory_engine.SERVERS["two"].identity.space == Space("cosine", 12)
    code, out, _ = facehash("engine", "push", *at)
    assert (code, out) == (0, "memory: up to date\nvectors: up to date\n")


def test_a_reader_of_the_library_does_not_delay_the_erasure_on_servers(
    facehash, server, added, at, directory, monkeypatch
):
    monkeypatch.setattr("facehash.library.storage.database._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("facehash.library.storage.database._BATCH", 1)
    with contextlib.closing(Database(directory / "library.db")) as reader:
        rows = reader.batches("SELECT * FROM paths, faces")
        next(rows)
        code, _, err = facehash("forget", "--face", 1, *at)
        rows.close()
    assert code == 2 and "not yet erased from the disk" in err
    assert len(server.rows) == 6


def test_index_brings_servers_up_to_date(facehash, server, added, at, photos):
    save(photos / "new.png", draw(9))
    (photos / "Bo" / "0.png").unlink()
    code, out, err = facehash("index", photos, "--workers", 1, *at)
    assert (code, err) == (0, "") and out.endswith("memory: 1 face sent, 1 removed\n")
    server.down = True
    save(photos / "newer.png", draw(10))
    code, out, err = facehash("index", photos, "--workers", 1, *at)
    assert code == 0 and "1 new photo" in out
    assert err == "facehash: engine memory: not up to date: memory://one: connection refused\n"
    server.down = False
    code, out, _ = facehash("engine", "status", *at)
    assert code == 0 and out.endswith("; 1 change behind\n")
    assert facehash("engine", "push", *at)[:2] == (0, "memory: 1 face sent, 0 removed\n")


def test_a_server_that_is_down_does_not_prevent_a_search(facehash, server, added, at, photos):
    query = ("search", photos / "party.png", "-k", 9, *at)
    server.down = True
    code, out, err = facehash(*query, "--engine", "memory")
    assert (code, out) == (0, facehash(*query)[1])
    assert err == (
        "facehash: engine memory: memory://one: connection refused; the local index is searched "
        "instead\n"
    )


def test_forgotten_faces_are_erased_on_the_server(facehash, server, added, at, library):
    needles = what_is_stored_of(library, "Ann")
    server.remains = "the log keeps them until tomorrow"
    code, out, err = facehash("forget", "--person", "Ann", *at)
    assert (code, err) == (0, "")
    assert out == (
        "forgotten: 2 faces, 2 photos\n"
        "memory: 0 faces sent, 2 removed\n"
        "memory: removed faces are erased from memory://one; the log keeps them until tomorrow\n"
    )
    kept = [row.tobytes() for row in server.rows.values()] + server.disk
    assert not set(kept) & set(needles) and len(kept) == 5


@pytest.mark.parametrize(
    "later",
    [
        ("engine", "push"),
        ("engine", "push", "memory"),
        ("engine", "status"),
        ("engine", "add", "memory://two", "--name", "second"),
        ("rebuild",),
        ("people", "rename", "Bo", "Bob"),
        ("forget", "--person", "Cy"),
        ("index",),
    ],
)
def test_an_erasure_that_a_server_missed_is_repeated_by_later_commands(
    facehash, server, added, at, library, photos, later
):
    server.down = True
    code, out, err = facehash("forget", "--person", "Ann", *at)
    assert (code, out) == (3, "forgotten: 2 faces, 2 photos\n")
    assert err == (
        "facehash: engine memory: not up to date: memory://one: connection refused; forgotten "
        f"faces are not yet erased there: facehash engine push memory --library {library} does it, "
        "and so does every later command that writes to the library\n"
    )
    assert traces(library, *what_is_stored_of(library, "Ann")) == []
    code, out, _ = facehash("engine", "status", *at)
    assert code == 3 and out.endswith(
        "fails: memory://one: connection refused; forgotten faces are not yet erased there\n"
    )
    code, _, err = facehash("people", "rename", "Cy", "Cyril", *at)
    assert code == 0 and err.startswith("facehash: engine memory: not up to date")
    facehash("people", "rename", "Cyril", "Cy", *at)
    server.down = False
    words = (*later, photos, "--workers", 1) if later == ("index",) else later
    assert facehash(*words, *at)[0] == 0
    assert not server.disk and len(server.rows) <= 5
    assert "not yet erased" not in facehash("engine", "status", *at)[1]


def test_a_server_that_cannot_erase_is_named_each_time(facehash, server, added, at):
    server.cannot_erase = "this account may not rewrite files"
    for words in (("forget", "--person", "Ann"), ("engine", "push"), ("rebuild",)):
        code, _, err = facehash(*words, *at)
        assert (code, err) == (
            3,
            "facehash: engine memory: removed faces are no longer in its index, but they are not "
            "erased from the server's disk: this account may not rewrite files\n",
        )
    server.cannot_erase = ""
    code, out, _ = facehash("engine", "push", *at)
    assert (code, out) == (
        0,
        "memory: up to date\nmemory: removed faces are erased from memory://one\n",
    )


def test_a_rebuild_erases_on_the_server(facehash, server, added, at):
    server.disk.append(b"something")
    code, out, _ = facehash("rebuild", *at)
    assert code == 0 and out.endswith("memory: removed faces are erased from memory://one\n")
    assert not server.disk


def test_removing_an_engine_deletes_and_erases_its_index(facehash, server, added, at, library):
    server.remains = "the log keeps them until tomorrow"
    code, out, _ = facehash("engine", "remove", "memory", *at)
    assert (code, out) == (
        0,
        "removed: memory; its index is deleted from memory://one\nthe log keeps them until "
        "tomorrow\n",
    )
    assert (server.rows, server.disk, server.identity) == ({}, [], None)
    code, out, _ = facehash("engine", "status", *at)
    assert (code, out) == (
        1,
        f"no engines; to add one: facehash engine add URL --library {library}\n",
    )
    assert facehash("check", *at)[0] == 0


def test_an_index_that_cannot_be_deleted_is_not_forgotten(facehash, server, added, at):
    server.down = True
    code, _, err = facehash("engine", "remove", "memory", *at)
    assert (code, err) == (
        2,
        "facehash: memory://one: connection refused; memory is not removed, because its index "
        "would stay on the server with the vectors of the faces; try again later, or use "
        "--keep-index\n",
    )
    code, out, _ = facehash("engine", "remove", "memory", "--keep-index", *at)
    assert (code, out) == (
        0,
        "removed: memory; its index with the vectors of faces stays on memory://one until it is "
        "deleted there\n",
    )
    server.down = False
    assert len(server.rows) == 7
    assert facehash("engine", "add", "memory://one", *at)[0] == 0  # takes it over
    server.cannot_erase = "read-only disk"
    code, out, _ = facehash("engine", "remove", "memory", *at)
    assert code == 3 and out.endswith("deleted from memory://one, but not erased from the disk: "
                                      "read-only disk\n")  # fmt: skip


def test_the_index_of_another_library_is_never_deleted(facehash, server, added, at):
    other = Identity("0" * 32, Space("cosine", 12), "another")
    server.identity = other
    rows = dict(server.rows)
    code, out, err = facehash("engine", "push", *at)
    assert code == 3 and "has the index of another library" in err
    assert facehash("engine", "status", *at)[0] == 3
    code, out, _ = facehash("engine", "remove", "memory", *at)
    assert code == 0 and out.endswith("the index on memory://one is another library's and stays\n")
    assert server.identity == other and server.rows == rows
    code, _, err = facehash("engine", "add", "memory://one", *at)
    assert code == 2 and err.count("\n") == 1
    assert facehash("engine", "status", *at)[0] == 1


def test_a_password_is_used_and_never_stored_or_printed(
    facehash, server, at, library, photos, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    printed = ""
    code, out, err = facehash("engine", "add", "memory://me:s3cret%21@one", *at)
    printed += out + err
    assert code == 0 and "later commands need it in FACEHASH_ENGINE_MEMORY_PASSWORD\n" in out
    assert server.passwords == ["s3cret!"] * 2
    assert facehash("engine", "push", *at)[0] == 0
    assert server.passwords[-1] is None
    monkeypatch.setenv("FACEHASH_ENGINE_MEMORY_PASSWORD", "s3cret!")
    for down in (False, True):
        server.down = down
        for words in (
            ("engine", "status"),
            ("engine", "status", "--json"),
            ("engine", "push"),
            ("search", photos / "party.png", "--engine", "memory"),
            ("forget", "--face", 1 + down),
            ("stats",),
            ("engine", "remove", "memory"),
            ("engine", "remove", "memory", "--keep-index"),
        )[: 8 if down else 6]:
            printed += "".join(map(str, facehash(*words, *at)))
            assert server.passwords[-1] == "s3cret!"
            assert traces(library, b"s3cret", b"s3cret%21") == []
    assert "s3cret" not in printed + caplog.text and "memory://me@one" in printed


def test_status_as_json(facehash, server, added, at):
    memory_engine.SERVERS["two"].down = False
    assert facehash("engine", "add", "memory://two", "--name", "second", *at)[0] == 0
    memory_engine.SERVERS["two"].down = True
    code, out, _ = facehash("engine", "status", "--json", *at)
    first, second = json.loads(out)["engines"]
    assert code == 3
    assert first == {
        "name": "memory",
        "url": "memory://one",
        "by": "embedding",
        "server": "Memory 1.0",
        "faces": 7,
        "generation": 7,
        "behind": 0,
        "bytes": 7 * 12 * 4,
        "pending_erase": False,
        "error": None,
    }
    assert (second["faces"], second["error"]) == (None, "memory://two: connection refused")


def test_a_first_push_that_breaks_off_goes_on_later(facehash, server, at, library):
    server.dies_after = 3
    code, out, err = facehash("engine", "add", "memory://one", *at)
    assert code == 3 and err == (
        "facehash: engine memory: added, but its index is not complete: memory: connection lost; "
        f"to continue: facehash engine push memory --library {library}\n"
    )
    server.down, server.dies_after = False, None
    assert facehash("engine", "status", *at)[1].endswith("; never filled\n")
    assert facehash("engine", "push", *at)[:2] == (0, "memory: index built of 7 faces\n")


@pytest.mark.parametrize(
    "words, message",
    [
        (("add", "nothing"), "a URL such as postgresql://HOST/DATABASE is expected"),
        (("add", "memry://one"), "unknown kind of engine 'memry' (did you mean 'memory'?)"),
        (("add", "memory://one", "--name", "A b"), "'A b': an engine's name has 1 to 32"),
        (("add", "memory://two"), "already has an engine memory; choose another --name"),
        (("add", "memory://one", "--name", "b"), "memory://one: is already the engine memory of"),
        (("add", "memory://two?x=1", "--name", "b"), "unknown option 'x'"),
        (("add", "memory://two", "--name", "b", "--by", "code"), "has no codes, only embeddings"),
        (("add", "memory://two", "--name", "b", "--by", "x"), "must be embedding or code"),
        (("push", "memroy"), "has no engine 'memroy' (did you mean 'memory'?)"),
        (("remove", "memroy"), "has no engine 'memroy' (did you mean 'memory'?)"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(facehash, server, added, at, words, message):
    code, _, err = facehash("engine", *words, *at)
    assert code == 2 and message in err and err.count("\n") == 1
    assert facehash("engine", "push", *at)[1] == "memory: up to date\n"


def test_a_damaged_record_of_an_engine_is_one_line(facehash, server, added, at, library):
    alter(library, ("UPDATE engines SET url = 'memory://me:s3cret@one'",))
    for words, expected in (
        (("engine", "status"), 2),
        (("engine", "push"), 2),
        (("stats",), 2),
        (("check",), 3),
    ):
        code, out, err = facehash(*words, *at)
        assert code == expected and "the record of its engine 'memory' is invalid" in out + err
        assert err.count("\n") == (expected == 2) and "s3cret" not in out + err


def test_a_server_that_is_down_is_not_added(facehash, server, at):
    server.down = True
    code, _, err = facehash("engine", "add", "memory://one", *at)
    assert (code, err) == (2, "facehash: memory://one: connection refused\n")
    assert facehash("engine", "status", *at)[0] == 1
