import json


def test_a_library_is_measured_and_everything_written_beside_it(facehash, library):
    code, out, err = facehash("bench", library, "--near-duplicate", 2, "--bits", "8,16")
    folder = library.with_name("lib-bench")
    assert (code, err) == (0, "")
    assert "5 named faces of 3 people" in out and f"written: {folder / 'bench.json'}" in out
    result = json.loads((folder / "bench.json").read_text())
    assert result["schema"] == 1 and result["plan"]["bits"] == [8, 16]
    assert (folder / "tradeoff.png").stat().st_size > 10_000
    assert facehash("check", "--library", library)[0] == 0


def test_codes_lengths_and_place_can_be_chosen(facehash, library, tmp_path):
    words = ["--codes", "lsh", "--bits", "24", "--shortlist", 0, "--near-duplicate", 2]
    code, out, _ = facehash("bench", library, *words, "--output", tmp_path / "out")
    ways = json.loads((tmp_path / "out" / "bench.json").read_text())["ways"]
    assert code == 0 and [way["bits"] for way in ways] == [None, 24]


def test_the_library_can_be_the_folder_that_one_is_in(facehash, library, monkeypatch):
    monkeypatch.chdir(library)
    assert facehash("bench", ".", "--near-duplicate", 2, "--bits", 8)[0] == 0
    assert library.with_name("lib-bench").joinpath("bench.json").is_file()


def test_wrong_use_is_told_in_one_line(facehash, library, index, directory):
    for words, told in (
        (("--bits", "many"), "numbers are expected, such as 32,64, got 'many'"),
        (("--bits", ","), "numbers are expected, such as 32,64, got ','"),
        (("--codes", "lhs"), "no such codes"),
        (("--output", library / "out"), "is in the library"),
        (("--also", "sphere:3"), "no such embedder"),
    ):
        code, _, err = facehash("bench", library, *words, "--near-duplicate", 2)
        assert (code, err.count("\n")) == (2, 1) and told in err
    assert not library.with_name("lib-bench").exists()
    code, _, err = facehash("bench", library / "nowhere")
    assert (code, err.count("\n")) == (2, 1) and "no such library" in err
