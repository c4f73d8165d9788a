"""A library of 60 photos on real servers, by the commands, from the first build to the removal."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time

import numpy as np
import pytest

from facehash.vectors import Space
from tests.helpers.face_data import copy_people, weights_dir
from tests.helpers.facehash_command import facehash
from tests.index.engines.test_elasticsearch import ElasticsearchEngine
from tests.index.engines.test_postgresql import PostgreSQL
from tests.index.engines.test_redis import Redis

pytestmark = pytest.mark.engines

ENGINES = {"postgresql": PostgreSQL, "redis": Redis, "elasticsearch": ElasticsearchEngine}
PERSON = "Amelie_Mauresmo"


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Photos, and a library of them with vectors and codes."""
    folder = tmp_path_factory.mktemp("album")
    photos = copy_people(folder / "photos", (6, 24))
    words = ["--names", "folders", "--codes", "learned:128", "--weights-dir", weights_dir()]
    assert facehash("index", photos, "--library", folder / "lib", *words)[0] == 0
    return folder


@pytest.fixture(params=ENGINES)
def engine(request):
    engine = ENGINES[request.param](request.getfixturevalue(f"{request.param}_server"))
    engine.name = request.param
    engine.server.ensure_running()
    yield engine
    engine.server.ensure_running()


@pytest.fixture
def library(album, engine, tmp_path, monkeypatch):
    """A copy of the library, each with an id of its own, and the password for its engine."""
    shutil.copytree(album / "lib", tmp_path / "lib")
    with contextlib.closing(sqlite3.connect(tmp_path / "lib" / "library.db")) as database:
        database.execute("UPDATE identity SET library = lower(hex(randomblob(16)))")
        database.commit()
    monkeypatch.setenv("FACEHASH_ENGINE_PASSWORD", engine.server.password or "")
    return tmp_path / "lib"


@pytest.fixture
def run(library):
    def run(command, *words):
        weights = ["--weights-dir", weights_dir()] if command == "search" else []
        return facehash(*command.split(), *words, "--library", library, *weights)

    return run


@pytest.fixture
def person(album):
    return sorted((album / "photos" / PERSON).iterdir())


def hits(output):
    [result] = json.loads(output)["results"]
    return [(hit["path"], hit["distance"]) for hit in result["hits"]]


@pytest.mark.parametrize("by", ["embedding", "code"])
def test_from_the_first_build_to_the_removal(run, engine, library, person, by, caplog):
    name, server = engine.name, engine.server
    url = server.url if engine.many_libraries else str(engine.address(f"own-{by}"))
    query = (person[1], "-k", 6, "--by", by, "--json")
    code, out, err = run("engine add", url, "--by", by)
    assert (code, err) == (0, ""), err
    assert f"{name}: index built of 78 faces" in out
    assert server.password is None or server.password not in out
    secret = (server.password or "no password at all").encode()
    assert not any(secret in path.read_bytes() for path in library.iterdir() if path.is_file())

    code, out, err = run("search", *query, "--engine", name)
    assert (code, err) == (0, "")
    found = hits(out)
    assert found == hits(run("search", *query)[1])
    assert {path for path, _ in found} == set(map(str, person))
    code, out, _ = run("engine status")
    assert code == 0 and "78 faces" in out and "up to date" in out

    # A server that is down: the search goes on here, and the erasure waits for it.
    traces = traces_of(library, engine, by)
    server.kill()
    caplog.clear()
    code, out, err = run("search", *query, "--engine", name)
    assert (code, err) == (0, "") and hits(out) == found
    [warning] = [record.getMessage() for record in caplog.records]
    assert name in warning and "the local index is searched" in warning
    code, out, err = run("forget", "--photo", person[0])
    assert code == 3 and name in err
    code, out, _ = run("search", *query)
    assert str(person[0]) not in [path for path, _ in hits(out)]
    server.start()
    code, out, err = run("engine push")
    assert (code, err) == (0, ""), err
    assert_erased(engine, traces[str(person[0])])
    kept = [trace for path in map(str, person[1:]) for trace in traces[path]]
    assert server.files_with(kept, engine.log_folders)

    # A server that is there: the erasure is done at once.
    code, out, err = run("forget", "--photo", person[0].parent)
    assert (code, err) == (0, ""), err
    assert_erased(engine, kept)
    if server.files_with(kept):
        assert name in out and "until" in out
    code, out, err = run("search", *query, "--engine", name)
    assert err == "" and hits(out) == hits(run("search", *query)[1])
    assert not {path for path, _ in hits(out)} & set(map(str, person))

    assert run("engine remove", name)[0] == 0
    left = [trace for path in traces for trace in traces[path]]
    assert_erased(engine, left)


def assert_erased(engine, traces):
    """A server may delete a file a moment after it has answered that it will."""
    for _ in range(20):
        files = engine.server.files_with(traces, engine.log_folders)
        if not files:
            return
        time.sleep(0.5)
    raise AssertionError(files)


def traces_of(library, engine, by):
    """Return how the rows of each photo would look in the server's files."""
    space = Space("hamming", 128) if by == "code" else None
    found = {}
    with contextlib.closing(sqlite3.connect(library / "library.db")) as database:
        rows = database.execute(
            "SELECT path, embedding, code FROM faces JOIN paths USING (photo_id)"
        ).fetchall()
    for path, embedding, code in rows:
        row = np.frombuffer(code, np.uint8) if by == "code" else np.frombuffer(embedding, "<f4")
        one = space or Space("cosine", len(row))
        found.setdefault(os.fsdecode(path), []).extend(engine.traces(one, row))
    return found
