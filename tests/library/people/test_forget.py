import os

import pytest

from facehash.library.people.forget import (
    PendingEraseError,
    forget_faces,
    forget_person,
    forget_photo,
)
from facehash.library.people.people import merge_people, rename_person
from facehash.library.query.library import open_library
from facehash.library.storage.database import Database, LibraryError
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check
from tests.library import fakes
from tests.library.conftest import draw, save, traces, what_is_stored_of


@pytest.fixture
def store(index, directory):
    index(names="folders", codes="lsh:64")
    with Store.open(directory) as store:
        yield store


def test_nothing_of_a_forgotten_person_is_left_in_any_byte(store, directory, ask):
    rename_person(store, "Cy", "Cyprian")
    needles = [*what_is_stored_of(directory, "Cyprian"), b"Cyprian", b"/Cy/"]
    assert len(needles) == 12 and traces(directory, *needles) == needles
    digests = ask(
        "SELECT seals.digest FROM faces JOIN paths USING (photo_id), seals WHERE person_id = 3 AND "
        "(place = 'people' AND key = 3 OR place IN ('faces', 'crops') AND key = faces.id "
        "OR place = 'photos' AND key = faces.photo_id OR place = 'paths' AND key = path)"
    )
    assert len(digests) == 2 * 5 and traces(directory, digests[0][0])
    needles += [digest for (digest,) in digests]
    kept = ask("SELECT id, embedding FROM faces WHERE person_id <> 3")
    done = forget_person(store, "Cyprian")
    assert (done.faces, done.photos, done.left) == (2, 2, 0)
    assert traces(directory, *needles) == []
    assert ask("SELECT id, embedding FROM faces WHERE person_id IS NOT NULL") == kept
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        names = {hit.name for hit in library.search(draw(5), k=100)[0].hits}
    assert names == {"Ann", "Bo", None}


def test_what_was_forgotten_does_not_come_back_unless_asked_for(store, index, ask, photos):
    forget_person(store, "Cy")
    report = index(names="folders")
    assert (report.excluded, report.photos) == (2, 0)
    assert ask("SELECT count(*) FROM people WHERE name = 'Cy'") == [(0,)]
    report = index(names="folders", include_forgotten=True)
    assert (report.excluded, report.photos) == (0, 2)
    forget_person(store, "Cy", allow_reindex=True)
    assert index(names="folders").photos == 2


def test_a_photo_stays_for_the_sake_of_other_faces(store, ask, photos):
    [left, right] = ask(
        "SELECT faces.id FROM faces JOIN paths USING (photo_id) WHERE path = ? ORDER BY number",
        os.fsencode(photos / "party.png"),
    )
    done = forget_faces(store, [right[0]])
    assert (done.faces, done.photos, done.left) == (1, 0, 1)
    assert ask("SELECT count(*) FROM paths") == [(7,)]
    done = forget_faces(store, [left[0]])
    assert (done.faces, done.photos, done.left) == (1, 1, 0)
    assert ask("SELECT count(*) FROM paths") == [(6,)]


def test_a_photo_is_forgotten_with_its_copies(store, index, directory, ask, photos):
    save(photos / "elsewhere" / "copy.png", draw(3))
    index()
    needles = [*what_is_stored_of(directory, "Bo"), b"copy.png"]
    done = forget_photo(store, photos / "Bo" / "0.png")
    assert (done.faces, done.photos) == (1, 1)
    assert traces(directory, *needles) == []


def test_a_bad_photo_that_moved_leaves_no_path_behind(store, index, directory, photos):
    (photos / "earlier name.jpg").write_bytes(b"bad")
    index()
    (photos / "earlier name.jpg").rename(photos / "later name.jpg")
    index()
    forget_photo(store, photos / "later name.jpg")
    assert traces(directory, b"earlier name", b"later name") == []


def test_a_folder_of_photos_is_forgotten_even_when_it_is_gone(store, ask, photos):
    photos.rename(photos.with_name("gone"))
    done = forget_photo(store, photos)
    assert (done.faces, done.photos) == (7, 7)
    assert ask("SELECT count(*) FROM people") == [(0,)]


def test_earlier_names_are_forgotten_too(store, directory):
    merge_people(store, ["Ann"], "Bo")
    forget_person(store, "Ann")
    assert traces(directory, b"Ann", b"Bo") == []


def test_ids_of_forgotten_faces_name_nobody_else(store, index, ask, photos):
    [(last,)] = ask("SELECT max(id) FROM faces")
    forget_faces(store, [last])
    save(photos / "new.png", draw(70))
    index()
    assert ask("SELECT max(id) FROM faces") == [(last + 1,)]


def test_who_and_what_is_not_there_is_told(store, photos):
    with pytest.raises(LibraryError, match="nobody called 'An' .did you mean 'Ann'"):
        forget_person(store, "An")
    with pytest.raises(LibraryError, match="has no face 99"):
        forget_faces(store, [99])
    with pytest.raises(LibraryError, match="has no photo .*x.png"):
        forget_photo(store, photos / "x.png")


def test_a_reader_in_the_way_is_told_and_the_next_run_wipes(store, index, directory, monkeypatch):
    monkeypatch.setattr("facehash.library.storage.database._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("facehash.library.storage.database._BATCH", 1)
    reader = Database(directory / "library.db")
    with Store.open(directory) as impatient:
        rows = reader.batches("SELECT * FROM paths, faces")
        next(rows)
        told = "forgotten, but the disk still holds it .another process is reading.; .*rebuild"
        with pytest.raises(PendingEraseError, match=told):
            forget_person(impatient, "Bo")
        needles = what_is_stored_of(directory, "Bo") or [b"/Bo/"]
        assert traces(directory, *needles) == needles
        [problem] = check(directory)
        assert (problem.what, problem.cure) == (
            "the disk still holds what was forgotten",
            "rebuild",
        )
        rows.close()
    reader.close()
    # The next run of any command that writes photos makes up for it.
    index()
    assert check(directory) == [] == traces(directory, *needles)
