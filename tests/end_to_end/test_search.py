"""Sixty photos of Labeled Faces in the Wild, by the command and with the real weights."""

import contextlib
import json
import re
import shutil
import sqlite3

import numpy as np
import pytest

from facehash.codes import packed_from_bits
from facehash.hashing.heads.head import find_head
from facehash.vectors import unit_rows
from tests.conftest import ROOT
from tests.helpers.face_data import copy_people, weights_dir
from tests.helpers.facehash_command import facehash
from tests.library.conftest import traces


@pytest.fixture(scope="module", autouse=True)
def _no_other_weights(tmp_path_factory):
    """Make --weights-dir the only source of weights, also for worker processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FACEHASH_WEIGHTS", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return copy_people(tmp_path_factory.mktemp("album"), (6, 24))


@pytest.fixture(scope="module")
def library(photos, tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "lib"
    words = ["--names", "folders", "--codes", "learned:128", "--weights-dir", weights_dir()]
    code, out, err = facehash("index", photos, "--library", directory, *words, "--workers", "2")
    # On a busy machine there is a line of progress every ten seconds, and nothing else.
    assert code == 0 and all(line.startswith("indexing: ") for line in err.splitlines())
    assert out.startswith("60 new photos with 78 faces in ") and "60 faces named\n" in out
    return directory


@pytest.fixture
def ask(library):
    def ask(command, *words):
        where = [] if command in ("verify", "encode") else ["--library", library]
        return facehash(command, *words, *where, "--weights-dir", weights_dir())

    return ask


@pytest.fixture
def person(photos):
    """The six photos of a person."""
    return sorted((photos / "Amelie_Mauresmo").iterdir())


def test_a_photo_finds_the_others_of_its_person_and_the_rest_is_unknown(ask, person):
    code, out, _ = ask("search", person[1], "-k", 8, "--by", "embedding", "--json")
    value = json.loads(out)
    [result] = value["results"]
    assert code == 0 and value["faces"] == 78
    assert [hit["name"] for hit in result["hits"][:6]] == ["Amelie_Mauresmo"] * 6
    assert [hit["within_threshold"] for hit in result["hits"]] == [True] * 6 + [False] * 2
    assert result["hits"][0]["path"] == str(person[1]) and result["hits"][0]["distance"] < 1e-6
    assert {hit["path"] for hit in result["hits"][:6]} == set(map(str, person))


def test_two_photos_show_the_same_person_or_not(ask, person, photos):
    other = sorted((photos / "Ali_Naimi").iterdir())[0]
    code, out, _ = ask("verify", person[0], person[1])
    assert code == 0 and out.startswith("the same person: cosine distance 0.")
    code, out, _ = ask("verify", person[0], other)
    assert code == 1 and out.startswith("two people: cosine distance 0.")
    assert "false-match rate" in out


def test_the_codes_that_are_printed_are_those_that_are_compared(ask, person, library):
    code, out, _ = facehash("encode", library, *person[:2], "--weights-dir", weights_dir())
    lines = [line.split("\t") for line in out.splitlines()]
    bits = [np.array(list(line[3]), np.uint8) for line in lines if line[1] == "1"]
    assert code == 0 and len(bits) == 2
    refusal = facehash("encode", library, person[0], "--detector", "haar")
    assert refusal[0] == 2 and "a library has its own detector" in refusal[2]
    packed = packed_from_bits(np.stack(bits))
    assert packed[0].tobytes().hex() == lines[0][2]
    expected = int((bits[0] != bits[1]).sum())
    question = ("search", person[0], "-k", 78, "--json", "--face", 1)
    _, out, _ = ask(*question, "--distance", "hamming")
    found = {
        (hit["path"], hit["face"]): hit["distance"] for hit in json.loads(out)["results"][0]["hits"]
    }
    assert found[str(person[0]), 1] == 0 and found[str(person[1]), 1] == expected
    # Half of 128 bits differ between two people; two faces of one person are nearer.
    assert expected < 45 < np.median(list(found.values())) < 80


def test_codes_are_those_of_the_head_that_comes_with_facehash(library):
    with contextlib.closing(sqlite3.connect(library / "library.db")) as database:
        rows = database.execute("SELECT embedding, code FROM faces").fetchall()
        [(embedder,)] = database.execute(
            "SELECT value FROM settings WHERE key = 'embedder_identity'"
        )
    vectors = unit_rows(np.stack([np.frombuffer(row[0], np.float32) for row in rows]))
    learned = find_head(embedder).learned(128).encode(vectors)
    assert [code for _, code in rows] == [code.tobytes() for code in learned]
    code, out, _ = facehash("stats", "--library", library)
    assert code == 0 and "learned:128" in out


def test_the_example_of_the_readme_prints_what_it_finds(
    library, person, tmp_path, monkeypatch, capsys
):
    text = (ROOT / "README.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(import facehash\n\nwith .*?)```", text, re.DOTALL)
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").symlink_to(library)
    shutil.copy(person[2], tmp_path / "aunt.jpg")
    assert len(example.splitlines()) <= 10
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "face 1 of aunt.jpg" and len(lines) == 6
    assert lines[1] == f"  0.000  Amelie_Mauresmo  {person[2]}, face 1"


def vectors_of(directory, name):
    with contextlib.closing(sqlite3.connect(directory / "library.db")) as database:
        rows = database.execute(
            "SELECT embedding FROM faces JOIN people ON people.id = person_id WHERE name = ?",
            (name,),
        )
        return [vector for (vector,) in rows]


def test_a_forgotten_person_is_not_found(library, photos, person, tmp_path):
    copy = tmp_path / "lib"
    shutil.copytree(library, copy)
    words = ["--library", copy, "--weights-dir", weights_dir()]
    vectors = vectors_of(copy, "Amelie_Mauresmo")
    assert len(traces(copy, *vectors)) == 6
    code, out, _ = facehash("forget", "--person", "Amelie_Mauresmo", *words[:2])
    assert code == 0 and out.startswith("forgotten: 6 faces, ")
    assert not traces(copy, *vectors)
    _, out, _ = facehash("search", person[0], "--face", 1, "-k", 100, *words, "--json")
    hits = json.loads(out)["results"][0]["hits"]
    assert len(hits) == 72 and "Amelie_Mauresmo" not in {hit["name"] for hit in hits}
    code, out, _ = facehash("index", photos, "--names", "folders", *words)
    assert code == 0 and "excluded, because forgotten" in out and "0 new photos" in out
    assert facehash("check", *words[:2])[0] == 0


def test_missing_weights_are_reported_with_the_command_that_fetches_them(photos, tmp_path):
    code, out, err = facehash("index", photos, "--library", tmp_path / "new")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not on this machine; get them with: facehash weights fetch" in err
    assert not (tmp_path / "new").exists()
