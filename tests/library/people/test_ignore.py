import pytest

from facehash.library.people.edit import name_faces
from facehash.library.people.forget import forget_faces, forget_person, forget_photo
from facehash.library.people.ignore import ignore_faces, ignored_faces, unignore_faces
from facehash.library.people.journal import list_statements, statement, undo
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from tests.library.conftest import draw, save, traces

UNNAMED = "SELECT id FROM faces WHERE person_id IS NULL ORDER BY id"


@pytest.fixture
def store(index, directory, photos):
    save(photos / "late.png", draw(91))
    index(names="folders")
    with Store.open(directory) as store:
        yield store


@pytest.fixture
def unnamed(store, ask):
    return [face for (face,) in ask(UNNAMED)]


def test_ignored_faces_are_remembered_until_they_are_not(store, unnamed):
    assert len(unnamed) == 3 and ignored_faces(store) == set()
    assert ignore_faces(store, unnamed[:2]) == 2
    assert ignore_faces(store, unnamed[1:]) == 1
    assert ignored_faces(store) == set(unnamed)
    assert unignore_faces(store, unnamed[:1]) == 1 and unignore_faces(store, unnamed[:1]) == 0
    assert ignored_faces(store) == set(unnamed[1:])


def test_what_was_said_is_listed_and_undone(store, unnamed):
    ignore_faces(store, unnamed)
    unignore_faces(store, unnamed[:1])
    assert [(one.kind, one.said, one.people) for one in list_statements(store)] == [
        ("unignore", (("no longer ignored", 1),), ()),
        ("ignore", (("ignored", 3),), ()),
    ]
    undo(store)
    assert ignored_faces(store) == set(unnamed)
    undo(store)
    assert ignored_faces(store) == set() == set(list_statements(store))


def test_a_name_takes_a_face_off_the_list_and_undo_puts_it_back(store, unnamed):
    ignore_faces(store, unnamed)
    name_faces(store, "Dora", unnamed[:1])
    assert ignored_faces(store) == set(unnamed[1:])
    undo(store)
    assert ignored_faces(store) == set(unnamed)


def test_a_face_with_a_name_or_that_does_not_exist_is_an_error(store, unnamed):
    [ann, *_] = [face.id for face in store.faces() if face.name == "Ann"]
    with pytest.raises(LibraryError, match=f"face {ann} is of 'Ann'; take the name away"):
        ignore_faces(store, [unnamed[0], ann])
    for change in (ignore_faces, unignore_faces):
        with pytest.raises(LibraryError, match="there is no face 99"):
            change(store, [99])
    assert ignored_faces(store) == set()


def test_a_face_stays_ignored_when_its_photo_moves_goes_and_comes_back(
    store, index, photos, unnamed, ask
):
    face = next(one.id for one in store.faces(unnamed) if one.path.name == "late.png")
    ignore_faces(store, [face])
    (photos / "late.png").rename(photos / "moved.png")
    index()
    assert ignored_faces(store) == {face}
    (photos / "moved.png").rename(photos.parent / "away.png")
    index()
    assert ignored_faces(store) == set()
    (photos.parent / "away.png").rename(photos / "late.png")
    index()
    [new] = ignored_faces(store)
    assert new != face and store.faces([new])[0].path.name == "late.png"


def mark_everything(store):
    """Say something of every kind about all faces without a name, and cluster them."""
    faces = [face for (face,) in store.database.rows(UNNAMED)]
    run = store.database.run
    run("INSERT INTO clusters VALUES (77, 1), (78, 2)")
    for face in faces:
        run("INSERT INTO cluster_faces VALUES (?, 77)", (face,))
    ignore_faces(store, faces)
    with statement(store, "split"):
        run("UPDATE cluster_faces SET cluster_id = 78 WHERE face_id = ?", (faces[0],))
    with statement(store, "add-face"):
        for face in faces:
            run(
                "INSERT INTO added_faces SELECT digest, x, y, faces.width, faces.height, landmarks "
                "FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?",
                (face,),
            )
    return faces


def test_forgetting_erases_every_byte_of_it(store, directory, ask, photos, unnamed):
    mark_everything(store)
    late = next(one for one in store.faces(unnamed) if one.path.name == "late.png")
    query = "SELECT digest FROM photos JOIN paths ON photo_id = id WHERE instr(path, ?)"
    [(digest,)] = ask(query, b"late.png")
    assert traces(directory, digest) == [digest]
    forget_faces(store, [late.id], allow_reindex=True)
    assert traces(directory, digest) == []
    assert len(ask("SELECT * FROM ignored")) == len(ask("SELECT * FROM added_faces")) == 2
    assert len(ask("SELECT * FROM cluster_faces")) == 2
    forget_photo(store, photos / "party.png", allow_reindex=True)
    for table in ("ignored", "added_faces", "cluster_faces", "statement_changes", "statements"):
        assert ask(f"SELECT * FROM {table}") == []  # noqa: S608
    assert check(directory) == []


def test_a_forgotten_person_who_has_the_number_of_a_cluster_leaves_its_history(store, ask):
    mark_everything(store)
    store.database.run("UPDATE statement_changes SET before = 1, after = 2 WHERE before = 77")
    assert ask("SELECT name FROM people WHERE id = 1") == [("Ann",)]
    forget_person(store, "Ann")
    assert [one.kind for one in list_statements(store)] == ["add-face", "split", "ignore"]


def test_splits_and_added_faces_are_undone(store, ask):
    faces = mark_everything(store)
    assert [(one.kind, one.said) for one in list_statements(store)] == [
        ("add-face", (("added", 3),)),
        ("split", (("in another cluster", 1),)),
        ("ignore", (("ignored", 3),)),
    ]
    # An added face goes with the statement that added it.
    before = ask("SELECT * FROM cluster_faces ORDER BY 1")
    undo(store)
    assert ask("SELECT * FROM added_faces") == [] == ask(UNNAMED)
    assert {face for face, _ in before} == set(faces)


def test_a_split_is_undone_unless_the_face_was_moved_since(store, ask):
    faces = mark_everything(store)
    undo_steps = [one.kind for one in list_statements(store)]
    assert undo_steps[0] == "add-face"
    store.database.run("DELETE FROM statements WHERE kind = 'add-face'")
    store.database.run(
        "DELETE FROM clusters WHERE id NOT IN (SELECT cluster_id FROM cluster_faces)"
    )
    undo(store)
    assert ask("SELECT DISTINCT cluster_id FROM cluster_faces") == [(77,)]
    assert len(faces) == 3
