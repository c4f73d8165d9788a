import os

import pytest
from PIL import Image

from facehash.images.read import UnreadableImageError
from facehash.library.people.forget import forget_faces, forget_photo
from facehash.library.query import browse
from facehash.library.storage.database import LibraryError
from facehash.library.storage.store import Store
from tests.library.conftest import draw, save


@pytest.fixture
def store(index, directory, photos):
    for day, path in enumerate(sorted(photos.rglob("*.png"))):
        os.utime(path, (86_400 * day, 86_400 * day))
    index(names="folders")
    with Store.open(directory) as store:
        yield store


def make(path, digest, side, seconds):
    assert seconds is None
    return f"{path.name} {digest.hex()} {side}".encode()


def test_people_with_the_most_photos_come_first(store):
    people = browse.list_people(store)
    assert [(one.name, one.faces, one.photos) for one in people] == [
        ("Ann", 2, 2), ("Cy", 2, 2), ("Bo", 1, 1),
    ]  # fmt: skip
    assert browse.list_people(store, 1, 1) == people[1:2]
    assert browse.count_people(store) == 3
    assert browse.person_by_id(store, people[2].id) == people[2]
    assert browse.person_of_name(store, "Bo") == people[2].id
    with pytest.raises(LibraryError, match="there is no person 99"):
        browse.person_by_id(store, 99)


def test_photos_are_listed_by_date_with_the_faces_in_question(store, ask):
    [(ann,)] = ask("SELECT id FROM people WHERE name = 'Ann'")
    shown = browse.photos_of_person(store, ann)
    assert [one.path.name for one in shown] == ["1.png", "0.png"]
    assert [(one.date.day, one.is_taken) for one in shown] == [(2, False), (1, False)]
    assert [(one.id, list(one.face_ids)) for one in shown] == [
        (photo, [face])
        for photo, face in ask(
            "SELECT photo_id, id FROM faces WHERE person_id = ? ORDER BY id DESC", ann
        )
    ]
    everything = browse.list_photos(store)
    assert len(everything) == browse.count_photos(store) == 6
    assert [len(one.face_ids) for one in everything if one.path.name == "party.png"] == [2]
    assert browse.list_photos(store, 4, 10) == everything[4:]


def test_a_photo_has_its_files_size_and_faces(store, index, photos):
    save(photos / "again" / "copy.png", draw(6, width=80))
    index()
    face = next(one.id for one in store.faces() if one.path.name == "copy.png")
    details = browse.photo_by_id(store, browse.photo_of_face(store, face))
    assert [path.name for path in details.paths] == ["copy.png", "party.png"]
    assert details.size == (80, 40) and [one.number for one in details.faces] == [1, 2]
    with pytest.raises(LibraryError, match="there is no photo 99"):
        browse.photo_by_id(store, 99)


def test_a_thumbnail_is_made_once_and_deleted_when_a_face_is_forgotten(store, directory):
    photo = browse.list_photos(store)[0]
    first = browse.thumbnail(store, photo.id, 320, make)
    assert first.startswith(b"party.png ") and first.endswith(b" 320")
    assert browse.thumbnail(store, photo.id, 320, None) == first
    [kept] = (directory / "thumbnails").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    forget_faces(store, [photo.face_ids[0]])
    assert not any((directory / "thumbnails").iterdir())


def test_no_picture_is_kept_of_a_photo_with_other_faces_after_one_was_forgotten(
    store, directory, index, ask
):
    [party] = [one for one in browse.list_photos(store) if len(one.face_ids) == 2]
    browse.thumbnail(store, party.id, 320, make)
    forget_faces(store, [party.face_ids[0]])
    # It can still be looked at, as the file can, but the library keeps no copy.
    for number in range(2):
        made = browse.thumbnail(store, party.id, 320, lambda *_, number=number: b"%d" % number)
        assert made == b"%d" % number
    assert not any((directory / "thumbnails").iterdir())
    other = next(one for one in browse.list_photos(store) if one.id != party.id)
    browse.thumbnail(store, other.id, 320, make)
    assert len(list((directory / "thumbnails").iterdir())) == 1
    # Nor does one stay that an earlier version has made.
    [(digest,)] = ask("SELECT digest FROM photos WHERE id = ?", party.id)
    (directory / "thumbnails" / f"{digest.hex()}-320.jpg").write_bytes(b"both")
    index()
    assert len(list((directory / "thumbnails").iterdir())) == 1


def test_a_face_forgotten_while_the_thumbnail_is_made_is_not_kept(store, directory):
    [party] = [one for one in browse.list_photos(store) if len(one.face_ids) == 2]

    def forget(*given):
        forget_faces(store, [party.face_ids[1]])
        return make(*given)

    assert browse.thumbnail(store, party.id, 320, forget)
    assert not list((directory / "thumbnails").glob("*"))


def test_thumbnails_of_photos_that_are_gone_are_deleted_by_the_next_run(
    store, directory, index, photos
):
    for photo in browse.list_photos(store):
        browse.thumbnail(store, photo.id, 320, make)
    (photos / "party.png").unlink()
    index()
    left = [browse.photo_by_id(store, photo.id) for photo in browse.list_photos(store)]
    names = {f"{photo.digest.hex()}-320.jpg" for photo in left}
    assert {path.name for path in (directory / "thumbnails").iterdir()} == names
    assert len(names) == 5


@pytest.mark.parametrize("when", ["made", "written"])
def test_the_thumbnail_of_a_photo_forgotten_meanwhile_is_not_kept(
    store, directory, monkeypatch, when
):
    photo = browse.list_photos(store)[0]
    path = browse.photo_by_id(store, photo.id).paths[0]

    def forget_first(function):
        def forget(*given):
            forget_photo(store, path)
            return function(*given)

        return forget

    if when == "written":
        monkeypatch.setattr(browse, "write_thumbnail", forget_first(browse.write_thumbnail))
    assert browse.thumbnail(store, photo.id, 320, forget_first(make) if when == "made" else make)
    assert not list((directory / "thumbnails").glob("*"))


def test_a_photo_that_cannot_be_read_has_no_thumbnail(store, directory):
    def fail(path, *_):
        raise UnreadableImageError(f"{path}: the photo has changed", "changed")

    with pytest.raises(UnreadableImageError, match="has changed"):
        browse.thumbnail(store, browse.list_photos(store)[0].id, 320, fail)
    assert not (directory / "thumbnails").exists()


def test_a_link_in_place_of_thumbnails_is_refused(store, directory, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (directory / "thumbnails").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a symbolic link"):
        browse.thumbnail(store, browse.list_photos(store)[0].id, 320, make)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_the_folders_that_were_indexed_are_remembered_until_nothing_of_them_is_left(
    store, photos, index, tmp_path
):
    save(tmp_path / "Dora" / "1.png", draw(20))
    index(tmp_path / "Dora")
    assert store.settings().folders.splitlines() == sorted([str(photos), str(tmp_path / "Dora")])
    dora = [one.id for one in store.faces() if one.path.parent.name == "Dora"]
    forget_faces(store, dora)
    assert store.settings().folders == str(photos)
    assert Image.open(tmp_path / "Dora" / "1.png").size == (40, 40)
