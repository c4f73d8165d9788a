import pytest

from facehash.library.people.edit import merge_people, rename_person
from facehash.library.people.forget import (
    PendingEraseError,
    forget_faces,
    forget_person,
    forget_photo,
)
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


def test_no_file_has_a_byte_of_a_forgotten_person(store, directory, ask):
    rename_person(store, "Cy", "Cyprian")
    needles = [*what_is_stored_of(directory, "Cyprian"), b"Cyprian", b"/Cy/"]
    assert len(needles) == 12 and traces(directory, *needles) == needles
    kept = ask("SELECT id, embedding FROM faces WHERE person_id <> 3")
    done = forget_person(store, "Cyprian")
    assert (done.faces, done.photos, done.left) == (2, 2, 0)
    assert traces(directory, *needles) == []
    assert ask("SELECT id, embedding FROM faces WHERE person_id IS NOT NULL") == kept
    with open_library(directory, make_pipeline=fakes.make_pipeline) as library:
        names = {hit.name for hit in library.search(draw(5), k=100)[0].hits}
    assert names == {"Ann", "Bo", None}


def test_copies_and_earlier_paths_of_a_photo_are_forgotten_too(store, index, directory, photos):
    save(photos / "elsewhere" / "copy.png", draw(3))
    (photos / "earlier name.jpg").write_bytes(b"bad")
    index()
    (photos / "earlier name.jpg").rename(photos / "later name.jpg")
    index()
    needles = [*what_is_stored_of(directory, "Bo"), b"copy.png", b"earlier name", b"later name"]
    assert (forget_photo(store, photos / "Bo" / "0.png").faces, len(needles)) == (1, 13)
    forget_photo(store, photos / "later name.jpg")
    assert traces(directory, *needles) == []


def test_earlier_names_are_erased_and_ids_are_never_used_again(
    store, index, directory, ask, photos
):
    merge_people(store, ["Ann"], "Bo")
    with pytest.raises(LibraryError, match="'Ann' is an earlier name of 'Bo'"):
        forget_person(store, "Ann")
    forget_person(store, "Bo")
    assert traces(directory, b"Ann", b"Bo") == []
    [(last,)] = ask("SELECT max(id) FROM faces")
    forget_faces(store, [last])
    save(photos / "new.png", draw(70))
    index()
    assert ask("SELECT max(id) FROM faces") == [(last + 1,)]


def test_with_the_last_face_of_a_person_all_names_go(store, directory, photos, index):
    rename_person(store, "Bo", "Bob")
    (photos / "Cy" / "0.png").unlink()
    rename_person(store, "Cy", "Cyd")
    merge_people(store, ["Ann"], "Bob")
    forget_photo(store, photos / "Ann")
    assert traces(directory, b"Bob", b"Cyd") == [b"Bob", b"Cyd"]
    forget_faces(store, [face.id for face in store.faces() if face.name in ("Bob", "Cyd")])
    assert traces(directory, b"Ann", b"Bob", b"Cyd") == []
    assert store.database.value("SELECT count(*) FROM statement_changes") == 0


def test_unknown_people_faces_and_photos_are_errors(store, photos):
    with pytest.raises(LibraryError, match="nobody is called 'An' .did you mean 'Ann'"):
        forget_person(store, "An")
    with pytest.raises(LibraryError, match="there is no face 99"):
        forget_faces(store, [99])
    with pytest.raises(LibraryError, match="it has no photo .*x.png"):
        forget_photo(store, photos / "x.png")


def test_a_reader_delays_the_erasure_until_the_next_run(store, index, directory, monkeypatch):
    monkeypatch.setattr("facehash.library.storage.database._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("facehash.library.storage.database._BATCH", 1)
    reader = Database(directory / "library.db")
    with Store.open(directory) as impatient:
        rows = reader.batches("SELECT * FROM paths, faces")
        next(rows)
        message = "not yet erased from the disk .another process is reading.; .*rebuild"
        with pytest.raises(PendingEraseError, match=message):
            forget_person(impatient, "Bo")
        needles = what_is_stored_of(directory, "Bo") or [b"/Bo/"]
        assert traces(directory, *needles) == needles
        [problem] = check(directory)
        assert "not yet erased" in problem.what and problem.fix == "rebuild"
        rows.close()
    reader.close()
    # The next command that writes completes the work.
    index()
    assert check(directory) == [] == traces(directory, *needles)
