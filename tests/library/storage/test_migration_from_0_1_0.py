"""Libraries that facehash 0.1.0 made lose nothing: see tests/fixtures/library-0.1.0."""

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from facehash.library.people.forget import forget_photo
from facehash.library.people.people import list_people
from facehash.library.query.library import open_library
from facehash.library.storage.schema import MIGRATIONS, version_of
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from tests.helpers.library_0_1_0 import ALBUM, make_album, unpack
from tests.library import fakes

BOTH = pytest.mark.parametrize("name", ["library", "library-unwiped"])


def content(library):
    """Return what a library holds, as expected.json describes it."""
    with Store.open(library) as store:
        query = store.database.rows
        named_by = dict(query("SELECT id, named_by FROM faces"))
        codes = dict(query("SELECT id, code FROM faces"))
        photos = query("SELECT id, digest, width, height, reason, detail FROM photos ORDER BY id")
        return {
            "settings": dict(query("SELECT key, value FROM settings ORDER BY key")),
            "generation": store.generation(),
            "photos": [
                {"id": i, "digest": d.hex(), "width": w, "height": h, "reason": r, "detail": t}
                for i, d, w, h, r, t in photos
            ],
            "paths": [
                {"path": p.decode(), "photo_id": i, "size": s, "mtime_ns": m, "reason": r}
                for p, i, s, m, r in query(
                    "SELECT path, photo_id, size, mtime_ns, reason FROM paths ORDER BY path"
                )
            ],
            "faces": [
                vars(face)
                | {
                    "path": str(face.path),
                    "box": list(face.box),
                    "named_by": named_by[face.id],
                    "code": codes[face.id].hex(),
                }
                for face in store.faces()
            ],
            "people": [vars(person) for person in list_people(store)],
            "aliases": dict(
                query(
                    "SELECT aliases.name, people.name FROM aliases "
                    "JOIN people ON people.id = person_id ORDER BY aliases.name"
                )
            ),
            "kept_out": [d.hex() for (d,) in query("SELECT digest FROM excluded ORDER BY digest")],
            "unwiped": [d.hex() for (d,) in query("SELECT request FROM pending_erase")],
        }


def check_searches(library, expected):
    vectors = np.array(expected["query_vectors"], np.float32)
    for by, answers in expected["search_vectors_k20"].items():
        with open_library(library, by=by, make_pipeline=fakes.make_pipeline) as opened:
            for found, wanted in zip(opened.search_vectors(vectors, 20), answers, strict=True):
                assert [hit.face_id for hit in found.hits] == [one["face_id"] for one in wanted]
                np.testing.assert_allclose(
                    [hit.distance for hit in found.hits],
                    [one["distance"] for one in wanted],
                    atol=1e-6,
                )


@BOTH
def test_everything_is_there_after_the_migration(tmp_path, name):
    library, expected = unpack(name, tmp_path)
    found = content(library)
    assert found == {key: expected[key] for key in found}
    with Store.open(library) as store:
        assert version_of(store.database) == len(MIGRATIONS) > expected["user_version"]
    # The index files of 0.1.0 are still used.
    files = sorted((library / "index").iterdir())
    check_searches(library, expected)
    assert sorted((library / "index").iterdir()) == files
    pending = bool(expected["unwiped"])
    assert [problem.fix for problem in check(library)] == ["rebuild"] * pending


def index_again(index, library, album):
    report = index(album / "Cy", library)
    assert (report.unchanged, report.photos, report.excluded) == (2, 0, 0)


def forget_again(index, library, album):
    with Store.open(library) as store:
        assert forget_photo(store, Path(ALBUM) / "Dot" / "2.png").photos == 0


@pytest.mark.parametrize("finish", [lambda _, library, __: rebuild(library), index_again,
                                    forget_again], ids=["rebuild", "index", "forget"])  # fmt: skip
def test_a_pending_erasure_is_completed(tmp_path, index, finish):
    library, expected = unpack("library-unwiped", tmp_path)
    if finish is index_again:
        move_album(library, tmp_path / "album")
    finish(index, library, tmp_path / "album")
    assert check(library) == []
    check_searches(library, expected)


def move_album(library, album):
    """Write the album to another folder, and let the library have indexed it there."""
    make_album(album)
    with contextlib.closing(sqlite3.connect(library / "library.db")) as database, database:
        database.execute(
            "UPDATE paths SET path = CAST(replace(CAST(path AS TEXT), ?, ?) AS BLOB)",
            (ALBUM, str(album)),
        )


def test_indexing_the_same_album_changes_nothing(tmp_path, index):
    library, expected = unpack("library", tmp_path)
    move_album(library, tmp_path / "album")
    before = content(library)
    report = index(tmp_path / "album", library, names="folders")
    assert (report.unchanged, report.excluded) == (13, 1)
    assert (report.photos, report.faces, report.named) == (0, 0, 0)
    assert content(library) == before and check(library) == []
    check_searches(library, expected)
