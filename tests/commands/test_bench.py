import json
import shlex

import numpy as np
import pytest

from facehash.library.storage.engines import Engine, register
from facehash.library.storage.store import Store
from tests.helpers.servers import memory as memory_engine
from tests.library.conftest import draw, save


def test_a_library_is_measured_and_the_results_are_written_beside_it(
    facehash, library, monkeypatch
):
    monkeypatch.chdir(library)
    code, out, err = facehash("bench", ".", "--near-duplicate", 2, "--bits", "8,16")
    folder = library.with_name("lib-bench")
    assert (code, err) == (0, "")
    assert "5 named faces of 3 people" in out and f"written: {folder / 'bench.json'}" in out
    result = json.loads((folder / "bench.json").read_text())
    assert result["schema"] == 2 and result["plan"]["bits"] == [8, 16]
    assert (folder / "tradeoff.png").stat().st_size > 10_000
    assert facehash("check", "--library", library)[0] == 0


def test_an_engine_is_compared_with_the_exact_index(facehash, library, monkeypatch, tmp_path):
    server = memory_engine.install(monkeypatch)["one"]
    assert facehash("engine", "add", "memory://one", "--library", library)[0] == 0
    words = ["--codes", "lsh", "--bits", "24", "--near-duplicate", 2, "--output", tmp_path / "out"]
    code, out, err = facehash("bench", library, *words, "--engine", "memory", "--engine", "memory")
    assert (code, err) == (0, "")
    [engine] = json.loads((tmp_path / "out" / "bench.json").read_text())["engines"]
    assert (engine["name"], engine["recall@10"]) == ("memory", 1)
    assert "\nmemory (Memory 1.0)  embedding" in out
    server.down = True
    code, out, err = facehash("bench", library, *words, "--engine", "memory")
    assert code == 3 and "not measured: engine memory" in out
    assert err == "facehash: engine memory: memory://one: connection refused\n"
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["engines"] == []


def test_the_old_name_of_an_option_works_with_a_warning(facehash, library, tmp_path):
    words = ["--codes", "lsh", "--bits", "24", "--near-duplicate", 2, "--output", tmp_path / "out"]
    for option in (["--rerank", 0], ["--shortlist", 0]):
        code, _, err = facehash("bench", library, *words, *option)
        methods = json.loads((tmp_path / "out" / "bench.json").read_text())["methods"]
        assert code == 0 and [method["bits"] for method in methods] == [None, 24, 24]
        warning = "facehash: --shortlist is deprecated and will be removed in 0.3.0; use --rerank\n"
        assert err == ("" if option[0] == "--rerank" else warning)


def test_wrong_use_is_one_line(facehash, library):
    for words, message in (
        (("--bits", "many"), "expected numbers, such as 32,64, got 'many'"),
        (("--bits", ""), "expected numbers, such as 32,64, got ''"),
        (("--codes", "lhs"), "no such codes"),
        (("--output", library / "out"), "is in the library"),
        (("--also", "sphere:3"), "no such embedder"),
        (("--engine", "office"), "has no engine 'office'"),
    ):
        code, _, err = facehash("bench", library, *words, "--near-duplicate", 2)
        assert (code, err.count("\n")) == (2, 1) and message in err
    assert not library.with_name("lib-bench").exists()


@pytest.fixture
def album(tmp_path):
    """108 photos of 36 people."""
    for person in range(36):
        for number in range(3):
            image = draw(person).astype(int)
            noise = np.random.default_rng(number).integers(-60, 60, image.shape)
            photo = np.clip(image + noise, 0, 255).astype(np.uint8)
            save(tmp_path / "album" / f"P{person}" / f"{number}.png", photo)
    return tmp_path / "album"


def test_the_settings_of_lsh_are_measured_and_one_is_recommended(
    facehash, index, album, tmp_path, monkeypatch
):
    memory_engine.install(monkeypatch)
    library = tmp_path / "my lib"
    index(album, library, names="folders")
    words = ["bench", library, "--sweep", "lsh", "--tables", "1,3", "--bits", "2,6"]
    words += ["--probes", "1,4", "--recall", 0.5, "--near-duplicate", 2]
    code, out, err = facehash(*words)
    assert (code, err) == (0, "")
    folder = library.with_name("my lib-bench")
    result = json.loads((folder / "lsh_sweep.json").read_text())
    assert result["schema"] == 1 and result["sweep"] == "lsh" and len(result["settings"]) == 8
    assert result["plan"]["recall"] == 0.5 and str(tmp_path) not in json.dumps(result)
    assert (folder / "lsh_sweep.png").stat().st_size > 10_000
    assert not (folder / "bench.json").exists()
    assert "108 faces, vectors of 12 values, 108 queries" in out
    [line] = [line for line in out.splitlines() if line.startswith("  facehash engine add")]
    _, command, verb, url, *rest = shlex.split(line)
    found = result["recommended"]
    options = "&".join(f"{name}={found[name]}" for name in ("tables", "bits", "probes"))
    assert (command, verb) == ("engine", "add")
    assert url.startswith(f"redis://HOST:6379/0?{options}&candidates=")
    assert rest == ["--by", "embedding", "--library", str(library)]
    # Again: the earlier results are replaced, and an engine that is there has to go first.
    with Store.open(library) as store:
        register(store, Engine("red", "redis://somewhere/0", "embedding"))
    monkeypatch.chdir(tmp_path)
    code, out, err = facehash("bench", "my lib", *words[2:])
    assert (code, err) == (0, "")
    assert "  facehash engine remove red --library 'my lib'\n  facehash engine add" in out
    assert facehash("check", "--library", library)[0] == 0


def test_options_that_do_not_fit_the_sweep_are_one_line(facehash, library):
    for words, message in (
        (["--sweep", "itq"], "--sweep itq: there is only lsh"),
        (["--recall", 0.9], "--recall needs --sweep lsh"),
        (["--tables", 4], "--tables needs --sweep lsh"),
        (["--sweep", "lsh", "--codes", "itq"], "--codes has no meaning with --sweep lsh"),
        (["--sweep", "lsh", "--rerank", 100], "--rerank has no meaning with --sweep lsh"),
        (["--sweep", "lsh", "--engine", "one"], "--engine has no meaning with --sweep lsh"),
        (["--sweep", "lsh", "--bits", 32], "--bits: 1 to 24 each, got 32"),
        (["--sweep", "lsh", "--recall", 95], "--recall: above 0 and at most 1, got 95"),
        (["--sweep", "lsh", "--tables", "four"], "expected numbers, such as 32,64, got 'four'"),
        (["--sweep", "lsh"], "has 7 faces; --sweep lsh needs at least 100"),
    ):
        code, _, err = facehash("bench", library, *words)
        assert (code, err.count("\n")) == (2, 1) and message in err
    assert not library.with_name("lib-bench").exists()
