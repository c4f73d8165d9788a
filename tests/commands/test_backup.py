import json
import stat

from facehash.library.storage.store import Store


def test_names_are_backed_up_and_restored(facehash, library, photos, tmp_path):
    file, fresh = tmp_path / "names.json", tmp_path / "fresh"
    with Store.open(library) as store:
        party = [face.id for face in store.faces() if face.name is None]
    facehash("people", "name", "Dora", *party, "--library", library)
    facehash("people", "rename", "Bo", "Bob", "--library", library)
    code, out, _ = facehash("backup", file, "--library", library)
    assert (code, out) == (
        0, "2 names of 2 people, 0 corrections, 0 ignored faces, 0 added faces and 0 forgotten "
        f"photos in {file}\n"
    )  # fmt: skip
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # The names are readable in the file, which a later backup replaces.
    assert json.loads(file.read_text())["people"] == [{"name": "Bob", "earlier_names": ["Bo"]}]
    assert facehash("backup", file, "--library", library)[0] == 0
    code, out, _ = facehash("restore", file, "--library", fresh)
    assert (code, out) == (0, "0 faces named\n2 names parked until the photo is indexed\n")
    index = ("index", photos, "--library", fresh, "--workers", 1, "--detector", "halves")
    code, out, _ = facehash(*index, "--embedder", "cosine:12", "--names", "folders")
    assert "names given: 0 kept, 2 given back\n5 faces named\n" in out
    assert "Bob" in facehash("people", "list", "--library", fresh)[1]
    facehash("people", "name", "Eve", party[0], "--library", library)
    code, out, err = facehash("restore", file, "--library", library)
    assert (code, out) == (3, "0 faces named\n1 name unchanged\n")
    assert err == f"differs: face {party[0]} (party.png) is 'Eve' here, and 'Dora' in the backup\n"
    assert facehash("restore", file, "--library", library, "--replace")[0] == 0


def test_a_backup_of_many_names_replaces_an_earlier_one(facehash, library, tmp_path):
    with Store.open(library) as store:
        person = store.database.value("SELECT min(id) FROM people")
        store.database.run_many(
            "INSERT INTO parked VALUES (?, 0, 0, 9, 9, ?, 'user', 1, NULL, NULL, NULL, NULL, "
            "'gone', 0)",
            [(number.to_bytes(32, "big"), person) for number in range(600)],
        )
    file = tmp_path / "names.json"
    assert facehash("backup", file, "--library", library)[0] == 0
    assert file.stat().st_size > 100 << 10
    code, out, err = facehash("backup", file, "--library", library)
    assert (code, err) == (0, "") and out.startswith("60")
    other = file.read_text().replace('"facehash backup"', '"another program"')
    file.write_text(other)
    assert facehash("backup", file, "--library", library)[0] == 2 and file.read_text() == other


def test_a_file_that_is_not_a_backup_is_neither_overwritten_nor_restored(
    facehash, library, photos, tmp_path
):
    for name, content in (("a.json", '{"precious": 1}'), ("b.txt", ""), ("c.json", "[]")):
        file = tmp_path / name
        file.write_text(content)
        code, _, err = facehash("backup", file, "--library", library)
        assert (code, err.count("\n"), file.read_text()) == (2, 1, content)
        code, _, err = facehash("restore", file, "--library", tmp_path / "fresh")
        assert (code, err.count("\n")) == (2, 1) and not (tmp_path / "fresh").exists()
    code, _, err = facehash("backup", photos / "names.json", "--library", library)
    assert code == 2 and "a folder with indexed photos" in err
    assert facehash("backup", "-", "--library", library)[1].startswith('{\n "schema": 1,')
