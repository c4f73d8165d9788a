"""What was said about faces of photos that are gone or have changed can be undone, and follows."""

import pytest

from facehash.library.people.edit import (
    Changed,
    merge_people,
    name_faces,
    rename_person,
    unname_faces,
    unname_person,
)
from facehash.library.people.forget import forget_person
from facehash.library.people.ignore import ignore_faces, ignored_faces
from facehash.library.people.journal import undo
from facehash.library.people.parked import Purged, list_parked, purge
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from tests.library.conftest import draw, save, traces
from tests.library.people.test_parked import add_caption, ids_of, threshold, with_noise

assert threshold  # a fixture

STATE = (
    "SELECT digest, x, person_id, named_by FROM photos JOIN faces ON photo_id = photos.id "
    "ORDER BY 1, 2",
    "SELECT id, name FROM people ORDER BY id",
    "SELECT name, person_id FROM aliases ORDER BY name",
    "SELECT * FROM rejections ORDER BY 1, 2, 3, 4, 5, 6",
    "SELECT * FROM parked ORDER BY 1, 2",
)


@pytest.fixture
def store(index, directory):
    index()
    with Store.open(directory) as store:
        yield store


@pytest.fixture
def state(ask):
    return lambda: [ask(query) for query in STATE]


@pytest.fixture
def vanish(photos, index, tmp_path):
    """Take photos away; what is returned brings them back."""

    def vanish(*names):
        for name in names:
            (photos / name).rename(tmp_path / name.replace("/", "-"))
        index(allow_missing=True)

        def back():
            for name in names:
                (tmp_path / name.replace("/", "-")).rename(photos / name)
            return index()

        return back

    return vanish


def named(store):
    return [
        (face.path.parent.name, face.name, face.named_by) for face in store.faces() if face.name
    ]


def test_parked_names_of_a_person_who_was_unnamed_come_back_exactly(
    store, photos, state, vanish, threshold, index
):
    name_faces(store, "Ann", [*ids_of(store, photos / "Ann" / "0.png"),
                              *ids_of(store, photos / "Ann" / "1.png"),
                              *ids_of(store, photos / "Bo" / "0.png")])  # fmt: skip
    back = vanish("Ann/0.png")
    (photos / "Bo" / "0.png").write_bytes(b"half a file")
    index()
    before = state()
    assert len(before[-1]) == 2
    assert unname_person(store, "Ann") == Changed(1, 2)
    assert list_parked(store) == []
    [undone] = undo(store)
    assert (undone.restored, undone.parked, undone.kept) == (3, 2, 0)
    # Also the vectors of changed photos, the paths and the reasons.
    assert state() == before
    save(photos / "Bo" / "0.png", with_noise(draw(3)))
    assert back().kept_names.returned == 1
    assert named(store) == [("Ann", "Ann", "user")] * 2 + [("Bo", "Ann", "user")]


@pytest.mark.parametrize("unname_all", [False, True])
def test_undoing_after_the_photo_went_parks_the_name(store, photos, vanish, unname_all):
    bo = photos / "Bo" / "0.png"
    name_faces(store, "Bo", ids_of(store, bo))
    unname_person(store, "Bo") if unname_all else unname_faces(store, ids_of(store, bo))
    back = vanish("Bo/0.png")
    [undone] = undo(store)
    assert (undone.restored, undone.parked, undone.kept) == (1, 1, 0)
    [parked] = list_parked(store)
    assert (parked.name, parked.path, parked.reason) == ("Bo", bo, "gone")
    back()
    assert named(store) == [("Bo", "Bo", "user")] and list_parked(store) == []
    # And the naming itself, the other way round.
    back = vanish("Bo/0.png")
    undo(store)
    assert list_parked(store) == []
    back()
    assert named(store) == []


def test_without_any_record_of_the_face_the_name_is_parked_by_its_box(store, photos, vanish, ask):
    bo = photos / "Bo" / "0.png"
    name_faces(store, "Bo", ids_of(store, bo))
    unname_person(store, "Bo")
    back = vanish("Bo/0.png")
    # A library whose statement was made by version 0.1.
    store.database.run("DELETE FROM former_faces")
    assert undo(store)[0].parked == 1
    assert ask("SELECT faces, path, vector, reason FROM parked") == [(0, None, None, "gone")]
    back()
    assert named(store) == [("Bo", "Bo", "user")]


def test_corrections_ignored_faces_and_the_journal_follow_a_changed_file(
    threshold, store, index, photos, ask
):
    bo, ann = photos / "Bo" / "0.png", photos / "Ann" / "0.png"
    index(names="folders")
    unname_faces(store, ids_of(store, bo))
    name_faces(store, "Anna", ids_of(store, ann))
    unname_person(store, "Anna")
    ignore_faces(store, ids_of(store, photos / "party.png"))
    add_caption(bo)
    save(ann, with_noise(draw(1)))
    add_caption(photos / "party.png")
    report = index(names="folders")
    assert report.photos == 3 and report.kept_names.carried == 0
    assert ids_of(store, bo)[0] not in {face.id for face in store.faces() if face.name}
    assert ignored_faces(store) == set(ids_of(store, photos / "party.png"))
    assert [row.kept for row in undo(store, 2)] == [0, 0]
    assert ignored_faces(store) == set() and ("Ann", "Anna", "user") in named(store)
    assert ask("SELECT * FROM former_faces") == []
    undo(store)
    assert ids_of(store, bo)[0] not in {face.id for face in store.faces() if face.name}
    assert undo(store)[0].restored == 1 and ask("SELECT * FROM rejections") == []
    assert ("Bo", "Bo", "folders") in named(store)


def test_a_correction_stays_with_a_copy_and_follows_the_retouched_photo(
    threshold, store, index, photos, ask
):
    bo = photos / "Bo" / "0.png"
    index(names="folders")
    unname_faces(store, ids_of(store, bo))
    save(photos / "copy.png", draw(3))
    save(bo, with_noise(draw(3)))
    index(names="folders")
    assert ask("SELECT count(DISTINCT digest) FROM rejections") == [(2,)]
    (photos / "copy.png").rename(photos / "Bo" / "copy.png")
    index(names="folders")
    assert not [row for row in named(store) if row[0] == "Bo"]
    # A file that is another photo takes nothing along.
    save(bo, draw(77))
    index(names="folders")
    assert [row for row in named(store) if row[0] == "Bo"] == [("Bo", "Bo", "folders")]


def test_what_was_said_holds_for_a_face_in_a_slightly_different_box(store, index, photos, ask):
    """Another version of the detector may find the same face elsewhere by a pixel."""
    bo = photos / "Bo" / "0.png"
    index(names="folders")
    unname_faces(store, ids_of(store, bo))
    name_faces(store, "Zoe", ids_of(store, bo))
    store.database.run("UPDATE faces SET x = x + 1")
    index(names="folders")
    assert undo(store)[0].kept == 0
    assert not [row for row in named(store) if row[0] == "Bo"]
    assert undo(store)[0].kept == 0 and ("Bo", "Bo", "folders") in named(store)


def test_a_folder_read_since_is_no_obstacle(store, index, photos, state):
    index(names="folders")
    bo = ids_of(store, photos / "Bo" / "0.png")
    merge_people(store, ["Cy"], "Ann")
    name_faces(store, "Bo", bo)
    before = state()
    unname_person(store, "Ann")
    unname_person(store, "Bo")
    # Ann, Bo and Cy are made again, as three people of folders.
    index(names="folders")
    assert [undone.kept for undone in undo(store, 2)] == [0, 0]
    assert state() == before


def test_somebody_named_by_hand_since_is_not_joined_with_an_earlier_name(store, index, photos):
    index(names="folders")
    merge_people(store, ["Cy"], "Ann")
    name_faces(store, "Ann", ids_of(store, photos / "Ann" / "0.png"))
    unname_person(store, "Ann")
    name_faces(store, "Cy", ids_of(store, photos / "Cy" / "0.png"))
    store.database.run("DELETE FROM statements WHERE id = (SELECT max(id) FROM statements)")
    undo(store)
    assert ("Cy", "Cy", "user") in named(store) and ("Ann", "Ann", "user") in named(store)


def test_renaming_to_a_name_that_only_corrections_have_keeps_them(store, index, photos, state):
    index(names="folders")
    unname_faces(store, ids_of(store, photos / "Bo" / "0.png"))
    before = state()
    assert [name for _, name in before[1]] == ["Ann", "Bo", "Cy"]
    rename_person(store, "Cy", "Bo")
    index(names="folders")
    assert not [row for row in named(store) if row[0] == "Bo"] and len(state()[3]) == 1
    undo(store)
    assert state() == before


def test_unnaming_a_person_keeps_what_faces_are_not(store, index, photos, state):
    index(names="folders")
    name_faces(store, "Ann", ids_of(store, photos / "Bo" / "0.png"))
    unname_faces(store, ids_of(store, photos / "Ann" / "0.png"))
    before = state()
    assert unname_person(store, "Ann") == Changed(2, 0)
    index(names="folders")
    assert [row for row in named(store) if row[0] == "Ann"] == [("Ann", "Ann", "folders")]
    undo(store)
    assert state() == before


def test_merging_drops_corrections_that_a_parked_name_contradicts(store, photos, state, vanish):
    bo = ids_of(store, photos / "Bo" / "0.png")
    name_faces(store, "Ann", bo)
    unname_faces(store, bo)
    name_faces(store, "Bea", bo)
    name_faces(store, "Ann", ids_of(store, photos / "party.png"))
    vanish("Bo/0.png")
    before = state()
    assert merge_people(store, ["Bea"], "Ann") == Changed(0, 1)
    assert state()[3] == []
    undo(store)
    assert state() == before


def test_purging_deletes_corrections_of_photos_that_are_gone(store, photos, vanish, directory, ask):
    bo, ann = photos / "Bo" / "0.png", photos / "Ann" / "0.png"
    name_faces(store, "Quentin", [*ids_of(store, bo), *ids_of(store, ann)])
    unname_faces(store, [*ids_of(store, bo), *ids_of(store, ann)])
    vanish("Bo/0.png")
    [(path,)] = ask("SELECT path FROM former_faces")
    assert path == bytes(bo)
    assert purge(store) == Purged(0, 1)
    assert ask("SELECT * FROM former_faces") == []
    store.database.empty_log()
    assert traces(directory, path) == []
    assert len(ask("SELECT * FROM rejections")) == 1
    # The rest of the statement can still be undone.
    assert undo(store)[0].restored == 1 and named(store) == [("Ann", "Quentin", "user")]


def test_forgetting_erases_faces_that_lost_their_name_before_their_photo_went(
    store, photos, vanish, directory, ask
):
    bo, cy = ids_of(store, photos / "Bo" / "0.png"), ids_of(store, photos / "Cy" / "0.png")
    name_faces(store, "Quentin", bo + cy)
    unname_faces(store, bo)
    vanish("Bo/0.png")
    [row] = ask("SELECT digest, path FROM former_faces")
    assert traces(directory, *row, b"Quentin") == [*row, b"Quentin"]
    forget_person(store, "Quentin")
    assert ask("SELECT * FROM former_faces") == []
    assert traces(directory, *row, b"Quentin") == []


def test_who_is_only_in_the_history_is_not_forgotten_without_a_word(store, photos, directory):
    name_faces(store, "Quentin", ids_of(store, photos / "Bo" / "0.png"))
    unname_person(store, "Quentin")
    with pytest.raises(LibraryError, match="'Quentin'.* facehash people purge --history"):
        forget_person(store, "Quentin")
