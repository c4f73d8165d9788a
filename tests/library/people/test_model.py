"""Random commands and accidents, compared with a simple model of what a person has said.

The model knows faces by photo and number, and people by their names. After every step the library
must have said just that: no more, no less, and undoing must bring back exactly what was before.
"""

import copy
import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from facehash.library.ingest.update import index_folder
from facehash.library.people.edit import (
    merge_people,
    name_faces,
    rename_person,
    split_person,
    unname_faces,
    unname_person,
)
from facehash.library.people.journal import list_statements, undo
from facehash.library.people.people import find_person
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.backup import backup, restore
from facehash.library.upkeep.backup_file import read_backup
from tests.library import fakes
from tests.library.conftest import draw, save

PHOTOS = {"Ann/0.png": 1, "Ann/1.png": 2, "Bo/0.png": 3, "Cy/0.png": 4, "party.png": 6}
FACES = [(photo, 1) for photo in PHOTOS] + [("party.png", 2)]

names = st.sampled_from(["Ann", "Bo", "Cy", "Dora"])
faces = st.sampled_from(FACES)
photos = st.sampled_from(sorted(PHOTOS))


@dataclass
class Said:
    """What a person has said."""

    names: dict = field(default_factory=dict)  # of a face: name and origin
    rejected: set = field(default_factory=set)  # pairs of a face and a name
    aliases: dict = field(default_factory=dict)  # earlier names, and the names that they mean

    def replace(self, old, new):
        self.names = {face: (new if n == old else n, by) for face, (n, by) in self.names.items()}
        self.rejected = {(face, new if n == old else n) for face, n in self.rejected}
        self.aliases = {alias: new if n == old else n for alias, n in self.aliases.items()}


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.photos, self.lib = self.root / "photos", self.root / "lib"
        for photo, seed in PHOTOS.items():
            save(self.photos / photo, draw(seed, width=80 if photo == "party.png" else 40))
        save(self.photos / "other.png", draw(99))  # the folder is never empty
        self.said, self.history, self.backup = Said(), [], None
        self.away, self.digests = {}, {}
        self.index()
        self.store = Store.open(self.lib)
        query = "SELECT path, number, x, y, width, height FROM paths JOIN faces USING (photo_id)"
        self.boxes = {
            (str(Path(path.decode()).relative_to(self.photos)), number): tuple(box)
            for path, number, *box in self.store.database.rows(query)
        }
        self.note_digests()

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.root)

    # The world

    def index(self, **options):
        index_folder(
            self.photos, self.lib, workers=1, progress=False, allow_missing=True,
            make_pipeline=fakes.make_pipeline, **options,
        )  # fmt: skip

    def note_digests(self):
        for photo in PHOTOS:
            if photo not in self.away:
                content = (self.photos / photo).read_bytes()
                self.digests[photo] = hashlib.sha256(content).digest()

    def key(self, face):
        return (self.digests[face[0]], *self.boxes[face])

    def id_of(self, face):
        [[found]] = self.store.database.rows(
            "SELECT faces.id FROM photos JOIN faces ON photo_id = photos.id WHERE digest = ? "
            "AND (x, y, faces.width, faces.height) = (?, ?, ?, ?)",
            self.key(face),
        )
        return found

    def is_present(self, face):
        return face[0] not in self.away

    def names_now(self):
        """Return the names of all faces, also those that follow from folders."""
        by_key = {
            tuple(key): name
            for *key, name in self.store.database.rows(
                "SELECT digest, x, y, faces.width, faces.height, name FROM photos "
                "JOIN faces ON photo_id = photos.id JOIN people ON people.id = person_id"
            )
        }
        return {face: by_key.get(self.key(face)) for face in FACES if self.is_present(face)}

    def is_person(self, name):
        return find_person(self.store, name) is not None

    def meant(self, name):
        return name if self.is_person(name) else self.said.aliases.get(name, name)

    def says(self, act, expected):
        """Do something that is one statement, or none if nothing changes."""
        before, number = copy.deepcopy(self.said), len(list_statements(self.store))
        act()
        if len(list_statements(self.store)) > number:
            self.history.append(before)
        else:
            assert expected == before
        self.said = expected
        self.check()

    def check(self):
        rows, keys = self.store.database.rows, {self.key(face): face for face in FACES}
        found = {
            tuple(key): (name, by)
            for *key, name, by in rows(
                "SELECT digest, x, y, faces.width, faces.height, name, named_by FROM photos "
                "JOIN faces ON photo_id = photos.id JOIN people ON people.id = person_id "
                "WHERE named_by <> 'folders' UNION ALL "
                "SELECT digest, x, y, width, height, name, named_by FROM parked "
                "JOIN people ON people.id = person_id"
            )
        }
        assert {keys.get(key, key): name for key, name in found.items()} == self.said.names
        rejected = {
            (keys.get(tuple(key), tuple(key)), name)
            for *key, name in rows(
                "SELECT digest, x, y, width, height, name FROM rejections "
                "JOIN people ON people.id = person_id"
            )
        }
        assert rejected == self.said.rejected
        query = "SELECT aliases.name, people.name FROM aliases JOIN people ON id = person_id"
        assert dict(rows(query)) == self.said.aliases
        assert not rejected & set(self.names_now().items())
        former = "SELECT count(*) FROM former_faces WHERE digest IN (SELECT digest FROM photos)"
        assert self.store.database.value(former) == 0

    # What a person says

    @rule(face=faces, name=names, split=st.booleans())
    def name(self, face, name, split):
        now = self.names_now().get(face)
        if not self.is_present(face) or (split and now in (None, name)):
            return
        expected = copy.deepcopy(self.said)
        expected.names[face] = name, "user"
        expected.rejected.discard((face, name))
        expected.aliases.pop(name, None)
        # A face that has this name from a folder contradicts what was said, too.
        ids = [self.id_of(face)]
        if split:
            self.says(lambda: split_person(self.store, now, ids, name), expected)
        else:
            self.says(lambda: name_faces(self.store, name, ids), expected)

    @rule(face=faces)
    def unname(self, face):
        if not self.is_present(face):
            return
        expected, now = copy.deepcopy(self.said), self.names_now()[face]
        if now is not None:
            expected.rejected.add((face, now))
        expected.names.pop(face, None)
        ids = [self.id_of(face)]
        self.says(lambda: unname_faces(self.store, ids), expected)

    @rule(name=names)
    def unname_all(self, name):
        if not self.is_person(name):
            return
        expected = copy.deepcopy(self.said)
        for face, (given, _) in self.said.names.items():
            if given == name:
                del expected.names[face]
        expected.aliases = {one: n for one, n in expected.aliases.items() if n != name}
        self.says(lambda: unname_person(self.store, name), expected)

    @rule(name=names, into=names)
    def merge(self, name, into):
        if name == into or not (self.is_person(name) and self.is_person(into)):
            return
        expected = copy.deepcopy(self.said)
        expected.replace(name, into)
        expected.aliases[name] = into
        now = {face for face, n in self.names_now().items() if n in (name, into)}
        now |= {face for face, (n, _) in expected.names.items() if n == into}
        expected.rejected -= {(face, into) for face in now}
        self.says(lambda: merge_people(self.store, [name], into), expected)

    @rule(old=names, new=names)
    def rename(self, old, new):
        if old == new or not self.is_person(old):
            return
        now = self.names_now()
        # Also for a photo that lies in the place of another one.
        query = "SELECT 1 FROM faces JOIN people ON people.id = person_id WHERE name = ?"
        by_folder = self.store.database.value(query, (new,))
        if by_folder or new in {name for name, _ in self.said.names.values()}:
            with pytest.raises(LibraryError):
                rename_person(self.store, old, new)
            return
        expected = copy.deepcopy(self.said)
        expected.aliases.pop(new, None)
        expected.replace(old, new)
        expected.aliases[old] = new
        held = {face for face, name in now.items() if name == old}
        held |= {face for face, (name, _) in expected.names.items() if name == new}
        expected.rejected -= {(face, new) for face in held}
        self.says(lambda: rename_person(self.store, old, new), expected)

    @rule(given=st.dictionaries(photos, names, min_size=1, max_size=3), replace=st.booleans())
    def read_list(self, given, replace):
        given = {photo: name for photo, name in given.items() if photo not in self.away}
        if not given:
            return
        expected = copy.deepcopy(self.said)
        for face in filter(self.is_present, FACES):
            name, by = self.said.names.get(face, (None, None))
            if face[1] != 1 or face[0] not in given:
                if replace and by == "csv":
                    del expected.names[face]
                continue
            meant = self.meant(given[face[0]])
            may = by is None or (by == "csv" and replace)
            if may and meant != name and (face, meant) not in self.said.rejected:
                expected.names[face] = meant, "csv"
        file = self.root / "names.csv"
        lines = [f"{photo},{name}\n" for photo, name in given.items()]
        file.write_text("path,name\n" + "".join(lines))
        self.says(lambda: self.index(names=f"csv:{file}", replace_names=replace), expected)

    @precondition(lambda self: self.history)
    @rule(steps=st.integers(1, 3))
    def undo(self, steps):
        undone = undo(self.store, steps)
        assert len(undone) == min(steps, len(self.history))
        for _ in undone:
            self.said = self.history.pop()
        self.check()

    @rule()
    def back_up(self):
        backup(self.store, self.root / "names.json")
        self.backup = copy.deepcopy(self.said)

    @precondition(lambda self: self.backup is not None)
    @rule(replace=st.booleans())
    def restore(self, replace):
        expected = copy.deepcopy(self.said)
        people = {name for (name,) in self.store.database.rows("SELECT name FROM people")}

        def meant(name):
            if name not in people and name in expected.aliases:
                return expected.aliases[name]
            people.add(name)
            return name

        for alias, name in sorted(self.backup.aliases.items(), key=lambda one: (one[1], one[0])):
            own = meant(name)
            if alias not in people:
                expected.aliases.setdefault(alias, own)
        for face, (name, by) in self.backup.names.items():
            here, there = expected.names.get(face, (None, None))[0], meant(name)
            rejected = (face, there) in expected.rejected
            if here != there and (replace or not (rejected or here)):
                expected.names[face] = there, by
                expected.rejected.discard((face, there))
        for face, name in self.backup.rejected:
            here, there = expected.names.get(face, (None, None))[0], meant(name)
            if here == there and replace:
                del expected.names[face]
            if here != there or replace:
                expected.rejected.add((face, there))
        content = read_backup(self.root / "names.json")
        self.says(lambda: restore(self.store, content, replace), expected)

    # What happens to the files

    @rule(named=st.booleans())
    def index_again(self, named):
        self.index(names="folders" if named else "none")
        self.check()

    @rule(photo=photos, overwrite=st.booleans())
    def vanish(self, photo, overwrite):
        if photo in self.away:
            return
        path = self.photos / photo
        self.away[photo] = path.read_bytes()
        path.unlink()
        if overwrite:
            save(path, draw(50 + PHOTOS[photo]))
        self.index()
        self.check()

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def come_back(self, data):
        photo = data.draw(st.sampled_from(sorted(self.away)))
        (self.photos / photo).write_bytes(self.away.pop(photo))
        self.index()
        self.check()

    @rule(photo=photos)
    def add_caption(self, photo):
        if photo in self.away:
            return
        path = self.photos / photo
        path.write_bytes(path.read_bytes() + b"a caption")
        self.backup = None  # it means the photo without the caption
        self.index()
        self.note_digests()
        self.check()


def run(examples, steps, **options):
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
            database=None, suppress_health_check=list(HealthCheck), print_blob=False, **options,
        ),
    )  # fmt: skip


def test_nothing_that_a_person_said_is_lost():
    run(examples=6, steps=14)


@pytest.mark.full
def test_nothing_that_a_person_said_is_lost_in_long_histories():
    run(examples=150, steps=40)
