import json

from tests.helpers.servers import memory as memory_engine


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
        (("--codes", "lhs"), "no such codes"),
        (("--output", library / "out"), "is in the library"),
        (("--also", "sphere:3"), "no such embedder"),
        (("--engine", "office"), "has no engine 'office'"),
    ):
        code, _, err = facehash("bench", library, *words, "--near-duplicate", 2)
        assert (code, err.count("\n")) == (2, 1) and message in err
    assert not library.with_name("lib-bench").exists()
