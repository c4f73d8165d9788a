"""What a person said goes into a file and comes back, into a fresh library or another one."""

import json
import shutil

import pytest

from facehash.errors import InputError
from facehash.library.people.edit import (
    merge_people,
    name_faces,
    rename_person,
    unname_faces,
)
from facehash.library.people.forget import forget_photo
from facehash.library.people.ignore import ignore_faces
from facehash.library.people.journal import statement, undo
from facehash.library.people.parked import list_parked
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.backup import backup, restore
from facehash.library.upkeep.backup_file import read_backup
from tests.library import fakes
from tests.library.conftest import NAMED

SAID = (
    "SELECT digest, x, y, name, named_by FROM photos JOIN faces ON photo_id = photos.id "
    "JOIN people ON people.id = person_id WHERE named_by IN ('csv', 'user') ORDER BY 1, 2",
    "SELECT aliases.name, people.name FROM aliases JOIN people ON people.id = person_id ORDER BY 1",
    "SELECT digest, x, y, name FROM rejections JOIN people ON people.id = person_id ORDER BY 1, 2",
    "SELECT digest, x, y, name FROM parked JOIN people ON people.id = person_id ORDER BY 1, 2",
    "SELECT digest FROM excluded ORDER BY 1",
    "SELECT digest, x, y, width, height FROM ignored ORDER BY 1, 2",
    "SELECT digest, x, y, width, height, landmarks FROM added_faces ORDER BY 1, 2",
)


def said(store):
    return [store.database.rows(query) for query in SAID]


def ids_of(store, pattern):
    return [face.id for face in store.faces() if face.path.match(pattern)]


@pytest.fixture
def store(index, directory, photos, tmp_path):
    """A library in which a person has said something of every kind."""
    index(names="folders")
    with Store.open(directory) as store:
        merge_people(store, ["Bo"], "Ann")  # of folders only
        name_faces(store, "Jörg", ids_of(store, "party.png")[:1])
        rename_person(store, "Jörg", "Georg")
        unname_faces(store, ids_of(store, "Cy/0.png"))
        name_faces(store, "Dora", ids_of(store, "Ann/1.png"))
        ignore_faces(store, ids_of(store, "party.png")[1:])
        with statement(store, "add-face"):
            store.database.run(
                "INSERT INTO added_faces SELECT digest, x, y, faces.width, faces.height, landmarks "
                "FROM photos JOIN faces ON photo_id = photos.id"
            )
        forget_photo(store, photos / "night.png")
        (tmp_path / "names.csv").write_text("path,name\nCy/1.png,Cyprian\n")
        index(names=f"csv:{tmp_path / 'names.csv'}")
        (photos / "Ann" / "1.png").rename(tmp_path / "away.png")
        index()
        assert [len(rows) for rows in said(store)] == [2, 2, 1, 1, 1, 1, 7]
        yield store


@pytest.fixture
def file(store, tmp_path):
    backup(store, tmp_path / "names.json")
    return tmp_path / "names.json"


def test_a_fresh_library_gets_everything_when_its_photos_are_indexed(
    store, file, index, photos, tmp_path
):
    fresh = tmp_path / "fresh"
    with Store.create(fresh) as other:
        done = restore(other, read_backup(file))
        assert (done.named, done.parked, done.conflicts) == (0, 3, [])
        before = said(other)
        assert before[1:3] == said(store)[1:3] and before[4:] == said(store)[4:]
        assert {one.reason for one in list_parked(other)} == {"restored"}
        # A second time nothing happens.
        done = restore(other, read_backup(file))
        assert (done.named, done.parked, done.unchanged) == (0, 0, 3) and said(other) == before
        # Other paths: the photos are known by their content.
        shutil.move(photos, tmp_path / "moved")
        report = index(tmp_path / "moved", fresh, names="folders")
        assert (report.kept_names.returned, report.kept_names.waiting) == (2, 1)
        assert said(other) == said(store)
        assert other.database.rows(NAMED) == store.database.rows(NAMED)
        # The backup of the restored library is the same but for the paths.
        again = backup(other, tmp_path / "again.json")
        first = read_backup(file)
        assert [one.model_copy(update={"path": None}) for one in again.names] == [
            one.model_copy(update={"path": None}) for one in first.names
        ]
        for part in ("people", "rejections", "forgotten", "ignored", "added"):
            assert getattr(again, part) == getattr(first, part) != []
        restored = restore(other, first)
        assert (restored.named, restored.parked, restored.unchanged) == (0, 0, 3)


def test_a_library_with_the_photos_is_named_at_once_and_it_can_be_undone(
    store, file, index, photos, tmp_path
):
    index(library=tmp_path / "other")
    with Store.open(tmp_path / "other") as other:
        before = said(other)
        assert restore(other, read_backup(file)).named == 2
        assert said(other)[:4] == said(store)[:4]
        undo(other)
        assert said(other)[0] == before[0] and said(other)[2:4] == before[2:4]
        assert said(other)[5:] == [[], []]


def test_what_differs_stays_unless_replacement_is_asked_for(store, file, index, tmp_path):
    index(library=tmp_path / "other", names="folders")
    with Store.open(tmp_path / "other") as other:
        name_faces(other, "Gregor", ids_of(other, "party.png")[:1])
        rename_person(other, "Cy", "Jörg")
        done = restore(other, read_backup(file))
        [night] = [one for one in done.conflicts if "night.png" in one]
        assert night.endswith("is in this library, but is forgotten in the backup")
        face = ids_of(other, "party.png")[0]
        assert sorted(set(done.conflicts) - {night}) == [
            "'Bo' is a name of 'Bo' here, and an earlier name of 'Ann' in the backup",
            "'Jörg' is a name of 'Jörg' here, and an earlier name of 'Georg' in the backup",
            f"face {face} (party.png) is 'Gregor' here, and 'Georg' in the backup",
        ]
        names = {row[3] for row in said(other)[0]}
        assert names == {"Gregor", "Cyprian"} and done.named == 1
        assert restore(other, read_backup(file), replace=True).named == 1
        assert {row[3] for row in said(other)[0]} == {"Georg", "Cyprian"}


def test_a_photo_that_was_forgotten_here_gets_no_name(store, file, index, photos, tmp_path):
    index(library=tmp_path / "other")
    with Store.open(tmp_path / "other") as other:
        forget_photo(other, photos / "party.png")
        done = restore(other, read_backup(file))
        assert (done.named, done.forgotten) == (1, 1)


def test_a_moved_library_and_moved_photos_keep_all_names_without_reading_a_face(
    store, index, directory, photos, tmp_path, monkeypatch
):
    before = said(store)
    faces = store.database.rows("SELECT id, embedding, person_id FROM faces")
    store.close()
    shutil.move(directory, tmp_path / "elsewhere")
    shutil.move(photos, tmp_path / "other drive")
    monkeypatch.setattr(fakes.Halves, "detect", None)
    report = index(tmp_path / "other drive", tmp_path / "elsewhere")
    assert (report.same_content, report.photos, report.removed) == (5, 0, 5)
    with Store.open(tmp_path / "elsewhere") as moved:
        assert moved.database.rows("SELECT id, embedding, person_id FROM faces") == faces
        assert said(moved) == before


def test_a_path_that_is_not_text_comes_back(index, directory, photos, tmp_path):
    (photos / "Bo" / "0.png").rename(photos / "Bo" / "caf\udce9.png")
    index()
    with Store.open(directory) as store:
        name_faces(store, "Bo", ids_of(store, "Bo/*"))
        backup(store, tmp_path / "names.json")
    [name] = read_backup(tmp_path / "names.json").names
    assert name.path == str(photos / "Bo" / "caf\udce9.png")
    with Store.create(tmp_path / "fresh") as fresh:
        restore(fresh, read_backup(tmp_path / "names.json"))
        assert list_parked(fresh)[0].path == photos / "Bo" / "caf\udce9.png"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE faces SET x = 9e999",
        "UPDATE people SET name = CAST(x'ff' || id AS BLOB)",
        "UPDATE parked SET faces = 'x'",
    ],
)
def test_a_damaged_library_is_not_backed_up(store, tmp_path, damage):
    store.database.run(damage)
    with pytest.raises(DamagedLibraryError, match="its names are damaged; .* facehash check"):
        backup(store, tmp_path / "names.json")
    assert not (tmp_path / "names.json").exists()


def test_a_backup_of_an_earlier_version_has_neither_ignored_nor_added_faces(store, file, tmp_path):
    value = json.loads(file.read_text())
    assert value["ignored"][0].keys() == {"digest", "box"}
    landmarks = [one["landmarks"] for one in value["added"]]
    assert {points and len(points) for points in landmarks} == {None, 5}
    del value["ignored"], value["added"]
    file.write_text(json.dumps(value))
    with Store.create(tmp_path / "fresh") as fresh:
        restore(fresh, read_backup(file))
        assert said(fresh)[5:] == [[], []] != said(store)[5:]


def test_files_that_are_no_backups_are_one_line(file, tmp_path):
    value = json.loads(file.read_text())
    broken = tmp_path / "broken.json"
    for content, message in (
        ("{", "not a backup of facehash .not JSON"),
        ("[" * 100_000, "not JSON"),
        (
            json.dumps(value | {"added": [value["added"][0] | {"landmarks": [[0, 0]]}]}),
            "damaged: added.0.landmarks",
        ),
        ("[]", "not a backup of facehash .facehash backup writes one"),
        ('{"schema": 1, "settings": {}, "faces": []}', "not a backup of facehash"),
        (json.dumps(value | {"schema": 2}), "made by a newer facehash .schema 2"),
        (json.dumps(value | {"forgotten": ["ab"]}), "damaged: forgotten.0: String should match"),
        (json.dumps(value | {"names": 5}), "damaged: names: Input should be a valid list"),
        (
            json.dumps(value | {"people": [{"name": "", "earlier_names": []}]}),
            "a name must not be empty",
        ),
        (
            json.dumps(value | {"names": [value["names"][0] | {"box": [0, 0, 1, 10**400]}]}),
            "damaged: names.0.box",
        ),
    ):
        broken.write_text(content)
        with pytest.raises(InputError, match=message) as caught:
            read_backup(broken)
        assert "\n" not in str(caught.value)


def test_corrections_made_here_stay_unless_replacement_is_asked_for(store, file, index, tmp_path):
    index(library=tmp_path / "other", names="folders")
    with Store.open(tmp_path / "other") as other:
        party = ids_of(other, "party.png")[0]
        name_faces(other, "Georg", [party])
        unname_faces(other, [party])
        name_faces(other, "Cy", ids_of(other, "Cy/0.png"))
        before = said(other)
        content = read_backup(file).model_copy(update={"added": []})
        done = restore(other, content)
        assert [one for one in done.conflicts if "night" not in one] == [
            "'Bo' is a name of 'Bo' here, and an earlier name of 'Ann' in the backup",
            f"face {party} (party.png) is not 'Georg' here, and 'Georg' in the backup",
            f"face {ids_of(other, 'Cy/0.png')[0]} (0.png) is 'Cy' here, and not 'Cy' in the backup",
        ]
        assert (done.named, done.parked, done.corrections) == (1, 1, 0)
        assert said(other)[2] == before[2]
        done = restore(other, content, replace=True)
        assert (done.named, done.parked, done.corrections) == (1, 0, 1)
        assert said(other)[2] == said(store)[2]
        assert {row[3] for row in said(other)[0]} == {"Cyprian", "Georg"}
        index(library=tmp_path / "other", names="folders")
        assert not [face for face in other.faces() if face.name and face.path.match("Cy/0.png")]
        # Undone exactly.
        undo(other, 2)
        assert said(other) == before


def test_corrections_about_photos_that_are_gone_count_too(store, file, index, photos, tmp_path):
    index(library=tmp_path / "other")
    with Store.open(tmp_path / "other") as other:
        name_faces(other, "Georg", ids_of(other, "party.png")[:1])
        unname_faces(other, ids_of(other, "party.png")[:1])
        name_faces(other, "Cy", ids_of(other, "Cy/0.png"))
        (photos / "party.png").rename(tmp_path / "party.png")
        (photos / "Cy" / "0.png").rename(tmp_path / "cy.png")
        index(library=tmp_path / "other")
        done = restore(other, read_backup(file))
        assert [one for one in done.conflicts if "night" not in one] == [
            "a face of a photo that is gone (party.png) is not 'Georg' here, and 'Georg' in the "
            "backup",
            "a parked name is 'Cy' here, and not 'Cy' in the backup",
        ]
        assert restore(other, read_backup(file), replace=True).corrections == 1
        assert [one.name for one in list_parked(other)] == ["Dora", "Georg"]
        (tmp_path / "party.png").rename(photos / "party.png")
        assert index(library=tmp_path / "other").kept_names.returned == 1


def test_a_name_of_a_folder_yields_to_a_correction_of_the_backup(store, file, index, tmp_path):
    index(library=tmp_path / "other", names="folders")
    with Store.open(tmp_path / "other") as other:
        cy = ids_of(other, "Cy/0.png")[0]
        # The detector of this library has found the face elsewhere by a pixel.
        other.database.run("UPDATE faces SET x = x + 1")
        assert restore(other, read_backup(file)).corrections == 1
        assert {face.id: face.name for face in other.faces()}[cy] is None
        assert index(library=tmp_path / "other", names="folders").named == 0


def test_a_photo_with_parked_names_is_not_kept_out_by_a_backup(
    store, file, index, photos, tmp_path
):
    index(library=tmp_path / "other")
    with Store.open(tmp_path / "other") as other:
        content = read_backup(file).model_copy(update={"names": [], "rejections": []})
        [digest] = content.forgotten
        assert restore(other, content).conflicts  # night.png is there
        name_faces(other, "Bo", ids_of(other, "Bo/0.png"))
        (photos / "Bo" / "0.png").unlink()
        index(library=tmp_path / "other", allow_missing=True)
        [parked] = list_parked(other)
        content = content.model_copy(update={"forgotten": [parked.digest.hex(), "ab" * 32]})
        done = restore(other, content)
        assert done.conflicts[1:] == [
            f"{photos}/Bo/0.png has parked names here, but is forgotten in the backup"
        ]
        assert said(other)[4] == [(bytes.fromhex("ab" * 32),)]
        undo(other)
        assert said(other)[4] == []
