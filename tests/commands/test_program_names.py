"""--names xmp|picasa|takeout and export --xmp, as a user runs them."""

import json
import re
import shlex

from tests.images.metadata.documents import packet
from tests.library.people.test_programs import LEFT, RIGHT, faces, sidecar


def test_names_of_xmp_are_counted_and_what_is_left_is_listed(facehash, library, photos):
    run = ("index", photos, "--library", library, "--workers", 1, "--names")
    sidecar(photos / "party.png", faces(("Dora", RIGHT), ("Emil", LEFT)))
    sidecar(photos / "Ann" / "0.png", faces(("Bea", (0.5, 0.5, 1, 1)), size=""))
    code, out, err = facehash(*run, "xmp")
    assert code == 0
    assert out.endswith("2 faces named\n1 face renamed\nnames in 2 photos, 3 regions\n")
    assert err == "passed over: 2 sidecar\n"
    # What cannot be done is listed, with the command that helps.
    facehash("people", "name", "Ann", 1, "--library", library)
    sidecar(photos / "night.png", faces(("O'Hara", (0.5, 0.5, 0.5, 0.5)), size=""))
    person = "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Cy</rdf:li><rdf:li>Bob</rdf:li></rdf:Bag>"
    sidecar(photos / "Bo" / "0.png", person + "</Iptc4xmpExt:PersonInImage>")
    (photos / "Cy" / "0.png.xmp").write_bytes(packet("")[:200])
    code, out, err = facehash(*run, "xmp")
    assert code == 3
    assert (
        "names in 4 photos, 4 regions, 1 region without a face of the library, 1 photo with names "
        "whose face is not clear\n"
    ) in out
    lines = err.splitlines()
    assert f"{photos}/Ann/0.png: face 1 stays Ann, given by hand; not Bea" in lines
    assert f"{photos}/Bo/0.png: Cy, Bob are in it, but not said where (1 face)" in lines
    [broken] = [one for one in lines if one.startswith("names not read: ")]
    assert broken.startswith(f"names not read: {photos}/Cy/0.png.xmp: its XMP is damaged")
    [missed] = [one for one in lines if one.startswith("no face found for O'Hara")]
    command = shlex.split(missed.partition("to add it: ")[2])
    assert command[:3] == ["facehash", "people", "add-face"]
    assert command[3:] == [
        str(photos / "night.png"), "--box", "5,5,10,10", "--name", "O'Hara", "--library",
        str(library),
    ]  # fmt: skip
    assert f"no face found for O'Hara in {photos}/night.png; " in missed
    code, out, _ = facehash(*command[1:])
    assert (code, out) == (0, f"face 1 of {photos}/night.png added as #8, named O'Hara\n")
    assert "no face found" not in facehash(*run, "xmp")[2]
    # A point has no box that could be added.
    sidecar(photos / "party.png", faces(("Zoe", (0.25, 0.5, 0, 0)), ("Sky", (0.5, 0, 0, 0))))
    err = facehash(*run, "xmp")[2]
    assert f"no face found for Sky in {photos}/party.png at 40,0\n" in err


def test_no_names_at_all(facehash, library, photos):
    for names in ("xmp", "picasa", "takeout"):
        run = ("index", photos, "--library", library, "--workers", 1, "--names", names)
        code, _, err = facehash(*run)
        assert (code, err) == (0, f"no names of people found by --names {names}\n")


def test_takeout_and_picasa(facehash, library, photos):
    run = ("index", photos, "--library", library, "--workers", 1, "--names")
    people = {"title": "night.png", "people": [{"name": "Owl"}]}
    (photos / "night.png.json").write_text(json.dumps(people))
    code, out, err = facehash(*run, "takeout")
    assert code == 0 and "names in 1 photo, 0 regions, 1 photo with names whose" in out
    assert f"{photos}/night.png: Owl is in it, but not said where (0 faces)\n" in err
    (photos / ".picasa.ini").write_text("[party.png]\nfaces=rect64(800010007800f000),5\n")
    code, out, err = facehash(*run, "picasa")
    assert code == 3 and re.search(r"names not read: .*/\.picasa\.ini: \[party\.png\]: ", err)


def test_export_of_sidecars(facehash, library, photos, tmp_path):
    code, out, _ = facehash("export", "--xmp", "beside", "--library", library)
    assert (code, out) == (0, "5 sidecars with 5 names written beside the photos\n")
    code, out, _ = facehash("export", "--xmp", "beside", "--library", library)
    assert out.endswith("written beside the photos\n5 sidecars unchanged\n")
    (photos / "Ann" / "0.png.xmp").write_text("<mine/>")
    code, out, err = facehash("export", "--xmp", "beside", "--library", library)
    assert code == 3 and err.startswith(f"no sidecar: {photos}/Ann/0.png: ")
    assert err.endswith("/0.png: 0.png.xmp is of another program, and stays as it is\n")
    assert err.count("\n") == 1

    code, out, _ = facehash("export", "--xmp", tmp_path / "my side", "--library", library)
    command = shlex.split(out.partition("to read it: ")[2])
    command[command.index("LIBRARY")] = str(tmp_path / "fresh")
    fakes = ("--workers", 1, "--detector", "halves", "--embedder", "cosine:12")
    code, out, _ = facehash(*command[1:], *fakes)
    assert code == 0 and "5 faces named\n" in out

    facehash("people", "unname", *range(1, 8), "--library", library)
    code, out, err = facehash("export", "--xmp", tmp_path / "empty", "--library", library)
    assert (code, err) == (1, "no photo of the library has names\n")


def test_export_is_to_a_file_or_sidecars(facehash, library, tmp_path):
    for words in ((), ("a.csv", "--xmp", "beside"), ("--xmp", tmp_path, "--force")):
        code, _, err = facehash("export", *words, "--library", library)
        assert (code, err.count("\n")) == (2, 1)
