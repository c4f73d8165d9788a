import os
import shutil

import numpy as np
import pytest
from PIL import Image

from facehash.errors import InputError
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import UnreadFile
from facehash.library.storage.store import Store
from facehash.vectors import unit_rows
from tests.helpers.privileges import ordinary_rights
from tests.library import fakes
from tests.library.conftest import draw, save


def test_a_folder_becomes_a_library(index, ask, photos):
    report = index()
    assert (report.files, report.photos, report.faces, report.failed) == (7, 7, 7, {})
    faces = ask("SELECT number, x, y, width, height, score, landmarks IS NULL FROM faces")
    assert faces.count((1, 0.0, 0.0, 40.0, 40.0, 0.9, 0)) == 5
    assert set(faces) >= {(1, 0.0, 0.0, 40.0, 40.0, 0.9, 1), (2, 40.0, 1.0, 40.0, 39.0, 0.8, 1)}
    [(path, size)] = ask("SELECT path, size FROM paths ORDER BY path LIMIT 1")
    first = photos / "Ann" / "0.png"
    assert (os.fsdecode(path), size) == (str(first), first.stat().st_size)
    assert ask("SELECT min(length(jpeg)) > 300 FROM crops") == [(1,)]
    crops = np.stack([np.asarray(Image.open(photos / "Ann" / f"{i}.png")) for i in (0, 1)])
    resized = np.stack([fakes.resize(crop, 16) for crop in crops])
    expected = fakes.Projection(12).embed(resized)
    stored = [
        np.frombuffer(row, np.float32)
        for (row,) in ask("SELECT embedding FROM faces ORDER BY id LIMIT 2")
    ]
    assert np.array_equal(stored, expected)


def test_moved_touched_and_copied_files_are_only_hashed(index, photos, ask, monkeypatch):
    index()
    before = ask("SELECT id, photo_id, embedding FROM faces")
    os.utime(photos / "party.png", ns=(1, 1))
    (photos / "Bo" / "0.png").rename(photos / "moved.png")
    shutil.copy(photos / "Ann" / "0.png", photos / "Cy" / "copy.png")
    monkeypatch.setattr(fakes.Halves, "detect", None)
    report = index()
    assert (report.same_content, report.photos, report.removed, report.failed) == (3, 0, 1, {})
    assert ask("SELECT id, photo_id, embedding FROM faces") == before
    assert ask("SELECT count(*) FROM photos") == [(7,)]
    assert ask("SELECT count(*) FROM paths") == [(8,)]
    # Nothing is read if nothing has changed.
    report = index()
    assert (report.unchanged, report.photos, report.removed) == (8, 0, 0)


def test_deleted_and_changed_files_disappear_with_their_faces(index, photos, ask):
    index()
    (photos / "Bo" / "0.png").unlink()
    save(photos / "Ann" / "0.png", draw(50))
    report = index()
    assert (report.photos, report.removed) == (1, 1)
    assert ask("SELECT count(*) FROM photos") == [(6,)]
    assert ask("SELECT count(*) FROM faces") == [(6,)] == ask("SELECT count(*) FROM crops")
    assert ask("SELECT max(id) FROM faces") == [(8,)]
    # One of two copies can be deleted.
    shutil.copy(photos / "Cy" / "0.png", photos / "copy.png")
    assert index().same_content == 1
    (photos / "Cy" / "0.png").unlink()
    index()
    assert ask("SELECT count(*) FROM faces") == [(6,)]


def test_a_second_folder_leaves_the_first_unchanged_and_an_empty_one_may_be_a_missing_drive(
    index, photos, tmp_path, ask
):
    index()
    save(tmp_path / "more" / "x.png", draw(60))
    assert index(tmp_path / "more").removed == 0
    assert ask("SELECT count(*) FROM paths") == [(8,)]
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(LibraryError, match=r"is a drive missing\? .* --allow-missing "):
        index()


def test_unreadable_files_are_recorded_with_a_reason(index, photos, ask):
    (photos / "Ann" / "bad.jpg").write_bytes(b"no picture")
    failing = draw(70).copy()
    failing[0, 0] = fakes.CHOKING
    save(photos / "choking.png", failing)
    save(photos / "grey.png", np.full((20, 20, 3), 77, np.uint8))
    report = index()
    assert report.failed == {"not_a_picture": 1, "detector": 1, "embedder": 1}
    assert report.unread == (
        UnreadFile(photos / "Ann" / "bad.jpg", "not_a_picture", "not a picture in a known format"),
        UnreadFile(photos / "choking.png", "detector", "RuntimeError: choked"),
        UnreadFile(photos / "grey.png", "embedder", "the embedder's vector is not finite"),
    )
    assert report.faces == 7
    reasons = ask("SELECT reason FROM photos WHERE reason IS NOT NULL ORDER BY reason")
    assert reasons == [("detector",), ("embedder",), ("not_a_picture",)]
    assert index().failed == {}
    assert index(retry=True).failed == report.failed


def test_files_without_permission_are_tried_again_and_large_files_on_request(
    index, photos, monkeypatch
):
    monkeypatch.setattr("facehash.library.ingest.read.MAX_FILE_BYTES", 1000)
    report = index()
    assert report.failed["too_large_file"] >= 5
    assert index().failed == {}
    assert index(retry=True).failed == report.failed
    monkeypatch.undo()
    assert index(retry=True).faces == 7
    path = photos / "party.png"
    save(path, draw(75))
    path.chmod(0)
    with ordinary_rights():
        assert index().failed == {"unreadable": 1}
    path.chmod(0o600)
    assert index().photos == 1


def test_invalid_options_are_refused_before_a_library_is_made(index, directory, photos):
    (photos / "other.txt").touch()
    for options, message in [
        ({"codes": "itq:13"}, "one bit per dimension.*have 12"),
        ({"codes": "ltq:8"}, "did you mean"),
        ({"codes": "lsh"}, "lsh:64"),
        ({"codes": "learned:64"}, "learned codes exist for vectors of sface .0ba9fbfa.* only"),
        ({"codes": "lsh:8", "embedder": "hamming:16"}, "already produces codes"),
        ({"names": "folder"}, "did you mean 'folders'"),
        ({"workers": 0}, "at least 1"),
        ({"detector": "eagle"}, "no such detector"),
        ({"folder": photos / "Anne"}, "no such folder .did you mean 'Ann'"),
    ]:
        with pytest.raises(InputError, match=message):
            index(**options)
    assert not directory.exists()
    with pytest.raises(LibraryError, match="neither empty nor a library"):
        index(library=photos)


@pytest.mark.parametrize("codes", ["lsh:40", "itq:9", "learned:9", "adapted:9"])
def test_codes_are_fitted_once_and_computed_for_later_faces(head, index, photos, ask, codes):
    index(codes=codes)
    [(width,)] = set(ask("SELECT length(code) FROM faces"))
    assert width == -(-int(codes.partition(":")[2]) // 8)
    hasher = ask("SELECT * FROM hasher")
    before = ask("SELECT id, code FROM faces")
    save(photos / "new.png", draw(90))
    index()
    assert ask("SELECT * FROM hasher") == hasher
    assert ask("SELECT id, code FROM faces WHERE id <= 7") == before
    assert ask("SELECT count(code) FROM faces") == [(8,)]
    with pytest.raises(LibraryError, match=f"made with the codes {codes}.* not lsh:8"):
        index(codes="lsh:8")


def test_learned_codes_are_those_of_the_head_and_adapted_ones_are_not(
    head, index, directory, ask, tmp_path
):
    index(codes="learned:9")
    with Store.open(directory) as store:
        [(_, vectors)] = store.rows("embedding", store.settings().space)
    learned = head.learned(9).encode(unit_rows(vectors))
    assert [code for (code,) in ask("SELECT code FROM faces ORDER BY id")] == [
        code.tobytes() for code in learned
    ]
    index(library=tmp_path / "other", codes="adapted:9")
    with Store.open(tmp_path / "other") as store:
        [(_, adapted)] = store.rows("code", store.settings().code_space)
    assert (adapted != learned).any()
    with pytest.raises(InputError, match="--codes learned:5: learned codes have 4 or 9 bits"):
        index(library=tmp_path / "third", codes="learned:5")


def test_several_processes_give_the_same_library_as_one(index, ask, photos, tmp_path):
    # Including the ids, which do not depend on the speed of the workers.
    query = "SELECT faces.id, path, number, embedding FROM faces JOIN paths USING (photo_id)"
    index()
    alone = ask(query)
    shutil.rmtree(tmp_path / "lib")
    deadly = draw(70).copy()
    deadly[0, 0] = fakes.DEADLY
    save(photos / "Bo" / "deadly.png", deadly)
    shutil.copy(photos / "Ann" / "0.png", photos / "Ann" / "0 copy.png")
    report = index(workers=2)
    assert (report.faces, report.same_content) == (7, 1)
    assert report.failed == {"crashed": 1}
    assert report.unread[0].path == photos / "Bo" / "deadly.png"
    assert sorted(row for row in ask(query) if b"copy" not in row[1]) == sorted(alone)
    # Recognized by its content, it kills no worker of the next run.
    assert index(workers=2).failed == {}


def test_a_library_is_private_to_its_owner(index, directory):
    old = os.umask(0)
    try:
        index(codes="lsh:8")
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.rglob("*")}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert modes.pop("index") == 0o700
    assert {"library.db", "lock"} < modes.keys() and set(modes.values()) == {0o600}
