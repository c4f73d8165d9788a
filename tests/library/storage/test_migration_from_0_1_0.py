"""Libraries that facehash 0.1.0 made lose nothing: see tests/fixtures/library-0.1.0."""

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from facehash.library.people.edit import name_faces
from facehash.library.people.forget import forget_photo
from facehash.library.people.people import list_people
from facehash.library.query.library import open_library
from facehash.library.storage.database import LibraryError
from facehash.library.storage.schema import MIGRATIONS, version_of
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from tests.helpers.library_0_1_0 import ALBUM, make_album, unpack
from tests.library import fakes

# expected.json has these columns, with bytes in hex and paths as text.
# Of a face; not in 0.1.0.
NEW = ("copies", "damage", "added", "aligned", "seconds", "first_seconds", "last_seconds")
# Every index run notes these.
NOTED = "('folders', 'frames_per_second', 'index_files')"
PHOTOS = ("id", "digest", "width", "height", "reason", "detail")
PATHS = ("path", "photo_id", "size", "mtime_ns", "reason")


def content(library):
    """Return what a library holds, as expected.json describes it."""
    with Store.open(library) as store:
        query = store.database.rows

        def table(name, columns):
            found = query(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {columns[0]}")
            return [dict(zip(columns, row, strict=True)) for row in found]

        faces = query("SELECT id, named_by, code FROM faces")
        more = {i: {"named_by": name, "code": code.hex()} for i, name, code in faces}
        aliases = "SELECT aliases.name, people.name FROM aliases JOIN people ON id = person_id"
        return {
            "settings": dict(query(f"SELECT key, value FROM settings WHERE key NOT IN {NOTED}")),
            "generation": store.generation(),
            "photos": [row | {"digest": row["digest"].hex()} for row in table("photos", PHOTOS)],
            "paths": [row | {"path": row["path"].decode()} for row in table("paths", PATHS)],
            "faces": [
                {key: value for key, value in vars(face).items() if key not in NEW}
                | more[face.id]
                | {"path": str(face.path), "box": list(face.box)}
                for face in store.faces()
            ],
            "people": [vars(person) for person in list_people(store)],
            "aliases": dict(query(aliases)),
            "kept_out": [d.hex() for (d,) in query("SELECT digest FROM excluded ORDER BY digest")],
            "unwiped": [d.hex() for (d,) in query("SELECT request FROM pending_erase")],
        }


def check_searches(library, expected):
    vectors = np.array(expected["query_vectors"], np.float32)
    for by, results in expected["search_vectors_k20"].items():
        options = {"by": by, "distance": "hamming" if by == "code" else None}
        with open_library(library, **options, make_pipeline=fakes.make_pipeline) as opened:
            for found, wanted in zip(opened.search_vectors(vectors, 20), results, strict=True):
                assert [hit.face_id for hit in found.hits] == [hit["face_id"] for hit in wanted]
                distances = [hit["distance"] for hit in wanted]
                assert [hit.distance for hit in found.hits] == pytest.approx(distances, abs=1e-6)


def move_album(library, album):
    """Write the album to another folder, as if the library had indexed it there."""
    make_album(album)
    with contextlib.closing(sqlite3.connect(library / "library.db")) as database, database:
        database.execute(
            "UPDATE paths SET path = CAST(replace(CAST(path AS TEXT), ?, ?) AS BLOB)",
            (ALBUM, str(album)),
        )


@pytest.mark.parametrize("name", ["library", "library-unwiped"])
def test_everything_is_there_after_the_migration(tmp_path, name):
    library, expected = unpack(name, tmp_path)
    files = sorted((library / "index").iterdir())
    found = content(library)
    assert found == {key: expected[key] for key in found}
    with Store.open(library) as store:
        assert version_of(store.database) == len(MIGRATIONS) > expected["user_version"]
    check_searches(library, expected)
    assert sorted((library / "index").iterdir()) == files
    pending = bool(expected["unwiped"])
    assert [problem.fix for problem in check(library)] == ["rebuild"] * pending


@pytest.mark.parametrize("command", ["rebuild", "index", "forget"])
def test_a_pending_erasure_is_completed(tmp_path, index, command):
    library, expected = unpack("library-unwiped", tmp_path)
    if command == "rebuild":
        rebuild(library)
    elif command == "index":
        move_album(library, tmp_path / "album")
        report = index(tmp_path / "album" / "Cy", library)
        assert (report.unchanged, report.photos) == (2, 0)
    else:
        with Store.open(library) as store:
            assert forget_photo(store, Path(ALBUM) / "Dot" / "2.png").photos == 0
    assert check(library) == []
    check_searches(library, expected)


def test_indexing_the_same_album_changes_nothing(tmp_path, index):
    library, expected = unpack("library", tmp_path)
    move_album(library, tmp_path / "album")
    before = content(library)
    report = index(tmp_path / "album", library)
    assert (report.unchanged, report.excluded) == (13, 1)
    assert (report.photos, report.faces, report.named) == (0, 0, 0)
    assert content(library) == before and check(library) == []
    check_searches(library, expected)
    # Names of folders stay too, but for a photo of which a copy is in another folder.
    report = index(tmp_path / "album", library, names="folders")
    assert report.names.contradicted == (tmp_path / "album" / "Ada" / "1.png",)
    assert report.named == 1


def test_names_given_by_hand_wait_for_photos_that_a_migrated_library_has_lost(tmp_path, index):
    library, _ = unpack("library", tmp_path)
    album = tmp_path / "album"
    move_album(library, album)
    with Store.open(library) as store:
        face = next(one for one in store.faces() if one.path == album / "Cy" / "1.png")
        name_faces(store, "Cyprian", [face.id])
        (album / "Cy" / "1.png").rename(tmp_path / "away.png")
        assert index(album, library).kept_names.parked[0].name == "Cyprian"
        (tmp_path / "away.png").rename(album / "back.png")
        assert index(album, library).kept_names.returned == 1


def test_codes_get_their_scale_and_threshold_when_the_library_is_rebuilt(tmp_path, monkeypatch):
    library, expected = unpack("library", tmp_path)
    before = content(library)
    vectors = np.array(expected["query_vectors"], np.float32)
    with open_library(library, make_pipeline=fakes.make_pipeline) as opened:
        assert (opened.by, opened.metric, opened.threshold) == ("code", "hamming", None)
    with pytest.raises(LibraryError, match="made by facehash 0.1.0; .* facehash rebuild --library"):
        open_library(library, distance="asymmetric")
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.3, "made up"))
    rebuild(library)
    assert content(library) == before and check(library) == []
    with open_library(library, make_pipeline=fakes.make_pipeline) as opened:
        assert opened.metric == "asymmetric" and opened.threshold is not None
        found = opened.search_vectors(vectors, 20)
        bits = opened.settings.code_space.dimension
        assert all(0 <= hit.distance <= bits for result in found for hit in result.hits)
    check_searches(library, expected)
