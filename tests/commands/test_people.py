import re


def test_people_are_listed_named_merged_and_renamed(facehash, library, photos):
    at = ("--library", library)
    code, out, _ = facehash("people", "list", *at)
    assert code == 0
    assert out.splitlines() == [
        "Ann       2 faces on 2 photos",
        "Bo         1 face on 1 photo",
        "Cy        2 faces on 2 photos",
        "3 people; 2 faces without a name",
    ]
    _, out, _ = facehash("search", photos / "party.png", *at, "-k", 1)
    ids = re.findall(r"#(\d+)", out)
    assert facehash("people", "name", "Dora", *ids, *at)[:2] == (0, "2 faces named Dora\n")
    assert facehash("people", "merge", "Ann", "Bo", "--into", "Cy", *at)[1] == "3 faces named Cy\n"
    assert facehash("people", "rename", "Cy", "Cyd", *at)[1] == "Cy is now Cyd\n"
    _, out, _ = facehash("people", "list", *at)
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["Cyd", "5"], ["Dora", "2"]]


def test_mistakes_are_one_line(facehash, library):
    for words in (
        ("rename", "Ana", "X"),
        ("merge", "Ann", "--into", "Nobody"),
    ):
        code, _, err = facehash("people", *words, "--library", library)
        assert (code, err.count("\n")) == (2, 1)
