"""Commands that print JSON print nothing else on standard output, and name its schema."""

import json

import pytest

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


@pytest.fixture
def printed(facehash):
    """Run a command with --json; return its exit code and the value it printed."""

    def printed(*words):
        code, out, err = facehash(*words, "--json")
        assert err == ""
        value = json.loads(out)
        assert value.pop("schema") == 1
        return code, value

    return printed


def test_stats(printed, library, photos):
    (photos / "bad.jpg").write_bytes(b"x")
    code, value = printed("stats", "--library", library)
    assert code == 0 and value.pop("bytes") > 10_000
    settings = value.pop("settings")
    assert (settings["detector"], settings["dimension"], settings["codes"]) == ("halves", 12, None)
    expected = {
        "library": str(library), "photos": 7, "files": 7, "unreadable": {}, "faces": 7,
        "without_faces": 1, "people": 3, "named": 5, "parked": 0, "excluded": 0,
    }  # fmt: skip
    assert value == value | expected
    code, value = printed("stats", "--without-faces", "--library", library)
    assert value["without_faces"] == [
        {"path": str(photos / "night.png"), "reason": "no_face", "why": ""}
    ]


def test_check(printed, library):
    where = {"library": str(library)}
    assert printed("check", "--library", library) == (0, where | {"problems": []})
    for path in (library / "index").iterdir():
        path.write_bytes(b"broken")
    code, value = printed("check", "--library", library)
    [problem] = value["problems"]
    assert code == 3 and problem["fix"] == "rebuild" and "index files" in problem["what"]


def test_verify(facehash, printed, photos, monkeypatch):
    first, second = photos / "Ann" / "0.png", photos / "Bo" / "0.png"
    pair = ("verify", first, first, "--detector", "halves", "--embedder", "cosine:12")
    code, value = printed(*pair)
    assert code == 2 and (value["same"], value["threshold"]) == (None, None)
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.3, "made up"))
    code, value = printed(*pair)
    assert code == 0 and value["same"] is True and value["distance"] == pytest.approx(0, abs=1e-6)
    assert value["photos"] == [str(first), str(first)] and value["faces"] == [1, 1]
    code, value = printed("verify", first, second, *pair[3:])
    assert code == 1 and value["same"] is False and value["threshold"] == 0.3


def test_a_name_given_by_hand_is_shown_beyond_the_threshold_and_marked(
    facehash, printed, library, photos, monkeypatch, tmp_path
):
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.001, "made up"))
    with Store.open(library) as store:
        [bo] = [face.id for face in store.faces() if face.name == "Bo"]
    facehash("people", "name", "Bob", bo, "--library", library)
    query = save(tmp_path / "query.png", draw(77))
    words = ("search", query, "--library", library, "-k", 9)
    _, out, _ = facehash(*words, "--html", tmp_path / "page.html")
    assert out.count("Bob (beyond threshold)") == 1 and out.count("  unknown") == 6
    assert "Bob (beyond threshold)" in (tmp_path / "page.html").read_text()
    _, value = printed(*words)
    hits = {hit["name"]: hit for hit in value["results"][0]["hits"]}
    assert (hits["Bob"]["named_by"], hits["Bob"]["within_threshold"]) == ("user", False)
    assert hits["Ann"]["named_by"] == "folders" and hits[None]["named_by"] is None
    _, out, _ = facehash("search", photos / "Bo" / "0.png", "--library", library, "-k", 1)
    assert "  Bob  " in out
