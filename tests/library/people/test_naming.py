"""From a folder of photos to names, by groups and suggestions."""

import json
import shutil

import pytest

from facehash.library.people.edit import name_faces
from facehash.library.storage.store import Store
from tests.helpers.face_data import weights_dir
from tests.helpers.facehash_command import facehash


@pytest.mark.full
def test_photos_of_lfw_from_the_folder_to_names(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    chosen = ("Albert_Costa", "Ana_Guevara", "Angela_Bassett", "Ben_Affleck")
    for person in chosen:
        for photo in sorted(shared("faces", "lfw", person).iterdir())[:4]:
            (tmp_path / "photos").mkdir(exist_ok=True)
            shutil.copy(photo, tmp_path / "photos" / photo.name)
    where = ("--library", tmp_path / "lib")
    assert facehash("index", tmp_path / "photos", *where, "--workers", 1)[0] == 0

    def clusters():
        found = json.loads(facehash("people", "cluster", "--json", *where)[1])["clusters"]
        return {
            one["id"]: [face["path"].rsplit("/", 1)[1][:-9] for face in one["faces"]]
            for one in found
        }

    by_id = {one: names for one, names in clusters().items() if len(names) == 4}
    assert sorted(names[0] for names in by_id.values()) == sorted(chosen)
    assert all(len(set(names)) == 1 for names in by_id.values())
    # Two photos are named, the other two are suggested for them.
    with Store.open(tmp_path / "lib") as store:
        for person in chosen[:2]:
            own = [face for face in store.faces() if face.path.name.startswith(person)]
            name_faces(store, person, [face.id for face in own if face.number == 1][:2])
    code, out, _ = facehash("people", "suggest", "--auto", 0.9, *where)
    assert (code, out.splitlines()[-1]) == (0, "4 faces named")
    with Store.open(tmp_path / "lib") as store:
        named = [(face.path.name[:-9], face.name) for face in store.faces() if face.name]
    assert len(named) == 8 and all(file == name for file, name in named)
