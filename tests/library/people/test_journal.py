import pytest

from facehash.library.people.edit import (
    merge_people,
    name_faces,
    rename_person,
    split_person,
    unname_faces,
    unname_person,
)
from facehash.library.people.forget import forget_faces, forget_person, forget_photo
from facehash.library.people.journal import list_statements, undo
from facehash.library.storage.database import DamagedLibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from tests.library.conftest import draw, save, traces

STATE = (
    "SELECT id, person_id, named_by FROM faces ORDER BY id",
    "SELECT id, name FROM people ORDER BY id",
    "SELECT name, person_id FROM aliases ORDER BY name",
    "SELECT digest, x, y, person_id FROM rejections ORDER BY 1, 2, 3, 4",
    "SELECT digest, x, y, person_id, named_by FROM parked ORDER BY 1, 2, 3",
)


@pytest.fixture
def store(index, directory):
    index(names="folders")
    with Store.open(directory) as store:
        yield store


@pytest.fixture
def state(ask):
    return lambda: [ask(query) for query in STATE]


def ids_of(store, name):
    return [face.id for face in store.faces() if face.name == name]


def test_every_statement_is_undone_exactly_one_step_at_a_time(store, state, index, tmp_path):
    ann, bo, cy = (ids_of(store, name) for name in ("Ann", "Bo", "Cy"))
    file = tmp_path / "names.csv"
    file.write_text("path,name\nBo/0.png,Bobby\nparty.png,Dora\n")
    steps = (
        lambda: name_faces(store, "Bo", ann[:1]),
        lambda: name_faces(store, "Zoe", bo),  # only Ann's first face is Bo's now
        lambda: unname_faces(store, ann),
        lambda: merge_people(store, ["Cy"], "Zoe"),
        lambda: name_faces(store, "Cy", cy[:1]),  # the earlier name becomes a person
        lambda: rename_person(store, "Zoe", "Zoë"),
        lambda: rename_person(store, "Zoë", "Zoe"),
        lambda: split_person(store, "Zoe", cy[1:], "Eve"),
        lambda: name_faces(store, "Ann", ann),  # contradicts what unname said
        lambda: unname_person(store, "Ann"),
        lambda: index(names=f"csv:{file}", replace_names=True),
    )
    states = [state()]
    for step in steps:
        step()
        states.append(state())
        assert states[-1] != states[-2]
    kinds = [one.kind for one in list_statements(store)]
    assert kinds[::-1] == [
        "name", "name", "unname", "merge", "name", "rename", "rename", "split", "name", "unname",
        "list",
    ]  # fmt: skip
    for earlier in states[-2::-1]:
        [undone] = undo(store)
        assert state() == earlier and undone.kept == 0
    assert undo(store) == [] == list_statements(store)
    # Several steps at once.
    for step in steps:
        step()
    assert len(undo(store, 99)) == len(steps) and state() == states[0]


def test_the_list_tells_what_was_said(store):
    rename_person(store, "Ann", "Anna")
    merge_people(store, ["Bo"], "Anna")
    name_faces(store, "Dora", ids_of(store, None))
    dora, merge, rename = list_statements(store)
    assert dora.people == ((None, "Dora", 2),) and merge.people == (("Bo", "Anna", 1),)
    assert rename.renamed == (("Ann", "Anna"),) and merge.renamed == ()


def test_what_changed_since_stays(store, index, photos, ask):
    [bo] = ids_of(store, "Bo")
    name_faces(store, "Eve", [bo, *ids_of(store, None)])
    # Without the library's help: a face that another program has named.
    store.database.run("UPDATE faces SET person_id = 1 WHERE id = ?", (bo,))
    [undone] = undo(store)
    assert (undone.restored, undone.kept) == (2, 1)
    assert ids_of(store, "Eve") == [] and bo in ids_of(store, "Ann")


def test_a_statement_is_undone_after_its_photo_moved_vanished_and_changed(
    store, index, photos, state
):
    merged, named = ids_of(store, "Cy"), ids_of(store, "Bo")
    name_faces(store, "Eve", merged + named)
    (photos / "Cy" / "0.png").rename(photos / "elsewhere.png")
    (photos / "Bo" / "0.png").rename(photos.parent / "away.png")
    index(allow_missing=True)
    assert len(state()[-1]) == 1  # parked
    [undone] = undo(store)
    assert (undone.restored, undone.kept) == (3, 0)
    assert ids_of(store, "Eve") == [] == state()[-1]
    # Bo's folder is there no more, so nobody is called Bo.
    assert [name for _, name in state()[1]] == ["Ann", "Cy"]


def test_only_the_newest_statements_are_kept(store, monkeypatch):
    monkeypatch.setattr("facehash.library.people.journal.MOST", 3)
    [bo] = ids_of(store, "Bo")
    for number in range(5):
        name_faces(store, f"Name {number}", [bo])
    assert len(list_statements(store)) == 3
    # What changes nothing is no statement.
    before = list_statements(store)
    name_faces(store, "Name 4", [bo])
    assert list_statements(store) == before


def test_forgetting_erases_the_journal_and_cannot_be_undone(store, directory, ask, photos):
    party, [bo] = ids_of(store, None), ids_of(store, "Bo")
    name_faces(store, "Quentin", party)
    rename_person(store, "Quentin", "Quirin")
    name_faces(store, "Other", [bo])
    unname_faces(store, [bo])
    assert traces(directory, b"Quentin", b"Quirin", b"Other") == [b"Quentin", b"Quirin", b"Other"]
    forget_person(store, "Quirin")
    assert traces(directory, b"Quentin", b"Quirin") == []
    assert [one.kind for one in list_statements(store)] == ["unname", "name"]
    [digest] = ask("SELECT digest FROM photos JOIN faces ON photos.id = photo_id AND faces.id = ?",
                   bo)  # fmt: skip
    forget_faces(store, [bo], allow_reindex=True)
    assert list_statements(store) == [] and ask("SELECT * FROM statement_changes") == []
    assert ask("SELECT * FROM rejections") == []
    assert traces(directory, *digest, b"Other") == []
    unname_faces(store, ids_of(store, "Cy"))
    forget_photo(store, photos / "Cy")
    assert ask("SELECT * FROM statement_changes") == [] == ask("SELECT * FROM rejections")
    assert undo(store) == []


def test_a_statement_about_several_people_is_erased_with_each_of_them(store, directory, photos):
    save(photos / "late.png", draw(91))
    merge_people(store, ["Ann"], "Bo")
    merge_people(store, ["Bo"], "Cy")
    forget_person(store, "Cy")
    assert traces(directory, b"Ann", b"Bo", b"Cy") == []
    assert list_statements(store) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE statements SET made = 'now'",
        "UPDATE statement_changes SET name = x'ff'",
        "UPDATE statement_changes SET before = 'text' WHERE before IS NOT NULL",
    ],
)
def test_a_damaged_journal_is_named(store, directory, damage):
    rename_person(store, "Bo", "Bob")
    store.database.run(damage)
    with pytest.raises(DamagedLibraryError, match="statement 1 is damaged"):
        list_statements(store)
    [problem] = check(directory)
    assert problem.what == f"{directory}: statement 1 is damaged"
