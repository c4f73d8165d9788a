"""Names that a person gave survive whatever happens to the files."""

import shutil

import numpy as np
import pytest
from PIL import Image

from facehash.calibration.thresholds import THRESHOLDS, Threshold
from facehash.errors import InputError
from facehash.images.face import overlap
from facehash.library.people.edit import name_faces, unname_faces
from facehash.library.people.forget import forget_faces, forget_person, forget_photo
from facehash.library.people.parked import Purged, list_parked, purge
from facehash.library.storage.store import Store
from facehash.library.upkeep.check import check, rebuild
from tests.library.conftest import draw, few_lean, save, traces, what_is_stored_of


@pytest.fixture
def store(index, directory):
    index()
    with Store.open(directory) as store:
        yield store


@pytest.fixture
def threshold(monkeypatch):
    """Photos that differ in noise only are within this threshold, those of two seeds are not."""
    monkeypatch.setitem(THRESHOLDS, "projection", Threshold(0.2, "made up"))


@pytest.fixture
def names(ask):
    """Return who is where: the end of the path, the number of the face, the name, its origin."""

    def names():
        found = ask(
            "SELECT path, number, name, named_by FROM paths JOIN faces USING (photo_id) "
            "JOIN people ON people.id = person_id ORDER BY path, number"
        )
        return [("/".join(path.decode().split("/")[-2:]), *rest) for path, *rest in found]

    return names


def ids_of(store, path):
    return [face.id for face in store.faces() if face.path == path]


def add_caption(path):
    """Change the bytes of a PNG file, not its pixels, as a program for captions does."""
    content = path.read_bytes()
    picture = np.asarray(Image.open(path))
    save(path, picture)
    path.write_bytes(path.read_bytes() + b"a caption")
    assert path.read_bytes() != content


def with_noise(image, seed=0, strength=4):
    noise = np.random.default_rng(seed).integers(-strength, strength + 1, image.shape)
    return np.clip(image.astype(int) + noise, 1, 255).astype(np.uint8)


@few_lean("embedder", ["cosine:12", "hamming:32", "euclidean:12", "projecting:32"], lean=2)
def test_a_caption_written_into_a_file_keeps_its_names(index, directory, photos, names, embedder):
    index(embedder=embedder)
    party = photos / "party.png"
    with Store.open(directory) as store:
        left, right = ids_of(store, party)
        name_faces(store, "Dora", [right])
        name_faces(store, "Emil", [left])
        add_caption(party)
        report = index()
        kept = report.kept_names
        assert (kept.kept, kept.carried, kept.returned, kept.waiting) == (0, 2, 0, 0)
        assert report.photos == 1
        assert names() == [
            ("photos/party.png", 1, "Emil", "user"),
            ("photos/party.png", 2, "Dora", "user"),
        ]
        assert list_parked(store) == []
    assert index().kept_names.kept == 2 and check(directory) == []


def test_a_retouched_photo_keeps_the_names_within_the_threshold_only(
    threshold, store, index, photos, names, ask
):
    ann, bo = photos / "Ann" / "0.png", photos / "Bo" / "0.png"
    name_faces(store, "Ann", ids_of(store, ann))
    name_faces(store, "Bo", ids_of(store, bo))
    save(ann, with_noise(draw(1)))
    save(bo, draw(99))
    kept = index().kept_names
    assert (kept.kept, kept.carried, kept.waiting) == (0, 1, 1)
    [parked] = kept.parked
    assert (parked.name, parked.path, parked.reason) == ("Bo", bo, "changed")
    assert names() == [("Ann/0.png", 1, "Ann", "user")]
    # Reported once, parked until the photo is back, wherever that is.
    assert index().kept_names.parked == () and len(list_parked(store)) == 1
    save(photos / "later" / "bo.png", draw(3))
    kept = index().kept_names
    assert (kept.kept, kept.returned, kept.waiting) == (1, 1, 0)
    assert names()[1:] == [("later/bo.png", 1, "Bo", "user")]


def test_of_several_faces_the_nearest_gets_the_name_and_the_box_breaks_ties(
    threshold, store, index, photos, names
):
    one, other = draw(20), draw(21)
    # Twice the same face, and two faces that change places.
    save(photos / "twins.png", np.concatenate([one, one], axis=1))
    save(photos / "swap.png", np.concatenate([one, other], axis=1))
    index()
    for path, given in (("twins.png", ("Tim", "Tom")), ("swap.png", ("One", "Other"))):
        for face, name in zip(ids_of(store, photos / path), given, strict=True):
            name_faces(store, name, [face])
    save(photos / "twins.png", with_noise(np.concatenate([one, one], axis=1), 2))
    save(photos / "swap.png", np.concatenate([with_noise(other), with_noise(one, 1)], axis=1))
    assert index().kept_names.carried == 4
    assert names() == [
        ("photos/swap.png", 1, "Other", "user"),
        ("photos/swap.png", 2, "One", "user"),
        ("photos/twins.png", 1, "Tim", "user"),
        ("photos/twins.png", 2, "Tom", "user"),
    ]


def test_without_a_threshold_only_the_same_face_keeps_its_name(store, index, photos, names):
    ann = photos / "Ann" / "0.png"
    name_faces(store, "Ann", ids_of(store, ann))
    save(ann, with_noise(draw(1), strength=60))
    kept = index().kept_names
    assert (kept.carried, kept.waiting) == (0, 1) and names() == []


def test_the_threshold_counts_only_for_faces_with_enough_detail(
    threshold, store, index, photos, names
):
    small, ann = photos / "small.png", photos / "Ann" / "0.png"
    save(small, draw(30, 10, 10))
    index()
    name_faces(store, "Tiny", ids_of(store, small))
    add_caption(small)
    assert index().kept_names.carried == 1
    save(small, with_noise(draw(30, 10, 10)))
    kept = index().kept_names
    assert (kept.carried, kept.waiting) == (0, 1) and names() == []
    # Either face may be the one without detail.
    name_faces(store, "Ann", ids_of(store, ann))
    save(ann, with_noise(draw(1, 10, 10), strength=8))
    kept = index().kept_names
    assert (kept.carried, kept.waiting) == (0, 2) and names() == []


def test_a_half_synchronized_file_has_its_names_again_when_it_is_whole(
    threshold, store, index, photos, names, ask
):
    ann = photos / "Ann" / "0.png"
    [face] = ids_of(store, ann)
    name_faces(store, "Ann", [face])
    ann.write_bytes(ann.read_bytes()[:-300])
    assert index().kept_names.waiting == 1
    assert ask("SELECT count(*) FROM parked WHERE vector IS NOT NULL") == [(1,)]
    # What arrives is another edition of the photo than the one that was there.
    save(ann, with_noise(draw(1)))
    kept = index().kept_names
    assert (kept.carried, kept.waiting) == (1, 0)
    assert names() == [("Ann/0.png", 1, "Ann", "user")]


def test_a_folder_that_was_away_has_its_names_again_and_lists_count_too(
    index, directory, photos, names, tmp_path, ask
):
    list_of_names = tmp_path / "names.csv"
    list_of_names.write_text("path,name\nCy/0.png,Cyprian\n")
    index(names=f"csv:{list_of_names}")
    with Store.open(directory) as store:
        name_faces(store, "Cy", ids_of(store, photos / "Cy" / "1.png"))
    shutil.move(photos / "Cy", tmp_path / "away")
    report = index(allow_missing=True)
    assert (report.removed, report.kept_names.waiting) == (2, 2)
    assert [one.name for one in report.kept_names.parked] == ["Cy", "Cyprian"]
    # No vector of a photo that is gone stays in the library.
    assert ask("SELECT count(*) FROM parked WHERE vector IS NULL AND reason = 'gone'") == [(2,)]
    # Another drive, other names of files.
    shutil.move(tmp_path / "away" / "0.png", photos / "zero.png")
    shutil.move(tmp_path / "away", photos / "new")
    kept = index().kept_names
    assert (kept.returned, kept.waiting) == (2, 0)
    assert names() == [
        ("new/1.png", 1, "Cy", "user"),
        ("photos/zero.png", 1, "Cyprian", "csv"),
    ]


def test_a_copy_that_is_retouched_and_the_original_both_keep_the_name(
    threshold, store, index, photos, names
):
    ann, copy = photos / "Ann" / "0.png", photos / "copy.png"
    name_faces(store, "Ann", ids_of(store, ann))
    shutil.copy(ann, copy)
    index()
    save(ann, with_noise(draw(1)))
    kept = index().kept_names
    assert (kept.kept, kept.carried, kept.waiting) == (1, 1, 0)
    assert [row[::2] for row in names()] == [("Ann/0.png", "Ann"), ("photos/copy.png", "Ann")]


def test_a_name_that_was_given_since_stays(threshold, store, index, photos, names):
    ann = photos / "Ann" / "0.png"
    name_faces(store, "Ann", ids_of(store, ann))
    save(photos / "edited.png", with_noise(draw(1)))
    index()
    name_faces(store, "Anna", ids_of(store, photos / "edited.png"))
    (photos / "edited.png").rename(ann)
    kept = index().kept_names
    assert (kept.kept, kept.carried, kept.waiting) == (1, 0, 1)
    assert names() == [("Ann/0.png", 1, "Anna", "user")]
    # The first photo comes back elsewhere.
    save(photos / "back.png", draw(1))
    assert index().kept_names.returned == 1
    assert names()[1:] == [("photos/back.png", 1, "Ann", "user")]


def test_a_killed_run_loses_no_name(threshold, store, index, photos, names, monkeypatch):
    ann = photos / "Ann" / "0.png"
    name_faces(store, "Ann", ids_of(store, ann))
    save(ann, with_noise(draw(1)))
    (photos / "party.png").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("facehash.library.ingest.update._Update.finish", None)
        with pytest.raises(TypeError):
            index()
    assert index().kept_names.carried == 1
    assert names() == [("Ann/0.png", 1, "Ann", "user")]


def test_rebuilding_after_a_killed_run_loses_no_name(store, index, photos, directory, monkeypatch):
    ann = photos / "Ann" / "0.png"
    name_faces(store, "Ann", ids_of(store, ann))
    add_caption(ann)
    with monkeypatch.context() as patched:
        patched.setattr("facehash.library.ingest.update._Update.finish", None)
        with pytest.raises(TypeError):
            index()
    rebuild(directory)
    assert [one.reason for one in list_parked(store)] == ["changed"]
    assert index().kept_names.carried == 1


def test_what_a_face_is_not_moves_with_it(store, index, photos):
    bo = photos / "Bo" / "0.png"
    index(names="folders")
    unname_faces(store, ids_of(store, bo))
    name_faces(store, "Other", ids_of(store, bo))
    add_caption(bo)
    index(names="folders")
    unname_faces(store, ids_of(store, bo))
    assert index(names="folders").named == 0


def test_parked_names_are_purged_for_everybody_or_for_one_person(store, index, photos, directory):
    for name in ("Ann", "Bo"):
        name_faces(store, name, ids_of(store, photos / name / "0.png"))
        (photos / name / "0.png").unlink()
    index(allow_missing=True)
    assert purge(store, "Bo") == Purged(1, 0)
    assert [one.name for one in list_parked(store)] == ["Ann"]
    assert purge(store) == Purged(1, 0) and purge(store) == Purged(0, 0)
    store.database.empty_log()
    assert traces(directory, b"Ann\0", b"/Bo/") == []
    save(photos / "Bo" / "0.png", draw(3))
    assert index().kept_names.returned == 0


def test_forgetting_erases_parked_names_and_keeps_their_photos_out(
    store, index, photos, directory, ask
):
    party, bo = photos / "party.png", photos / "Bo" / "0.png"
    name_faces(store, "Quentin", [ids_of(store, party)[0], *ids_of(store, bo)])
    name_faces(store, "Dora", ids_of(store, photos / "Cy" / "0.png"))
    needles = [one for one in what_is_stored_of(directory, "Quentin") if one]
    party.rename(photos.parent / "party.png")
    bo.write_bytes(b"half a file")
    index()
    digests = [one.digest for one in list_parked(store)]
    needles += [b"Quentin", *digests[:1]]
    assert len(digests) == 2 and traces(directory, b"Quentin") == [b"Quentin"]
    forget_person(store, "Quentin")
    assert list_parked(store) == [] and ask("SELECT * FROM statements") != []
    kept_out = {digest for (digest,) in ask("SELECT digest FROM excluded")}
    # The photo that showed nobody else stays out, the one with another face does not.
    assert len(kept_out) == 1 and kept_out < set(digests)
    left = {one for one in needles if one not in kept_out and bytes(bo) not in one}
    assert traces(directory, *left - {bytes(party)}) == []
    save(photos / "again.png", draw(3))
    (photos.parent / "party.png").rename(party)
    report = index()
    assert (report.excluded, report.photos) == (1, 1)
    # A photo that is gone, by its path.
    (photos / "Cy" / "0.png").unlink()
    index()
    forget_photo(store, photos / "Cy" / "0.png")
    assert list_parked(store) == [] and traces(directory, b"Dora") == []


def test_forgetting_a_face_erases_what_was_said_about_it_only(store, index, photos, ask):
    first, second = ids_of(store, photos / "party.png")
    name_faces(store, "Ann", [first, second])
    forget_faces(store, [first])
    assert ask("SELECT count(*) FROM statement_changes WHERE digest IS NOT NULL") == [(1,)]


def test_damaged_parked_names_are_named(store, index, photos, directory):
    name_faces(store, "Bo", ids_of(store, photos / "Bo" / "0.png"))
    (photos / "Bo" / "0.png").write_bytes(b"half")
    index()
    store.database.run("UPDATE parked SET vector = x'00'")
    save(photos / "Bo" / "0.png", draw(50))
    with pytest.raises(InputError, match="vector of a parked name is damaged"):
        index()
    store.database.run("UPDATE parked SET x = 'text'")
    assert f"{directory}: a parked name is damaged: 'Bo'" in [one.what for one in check(directory)]


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 4, 4), (0, 0, 4, 4)) == 1
    assert overlap((0, 0, 4, 4), (2, 0, 4, 4)) == pytest.approx(8 / 24)
    assert overlap((0, 0, 4, 4), (4, 0, 4, 4)) == 0 == overlap((0, 0, 0, 0), (0, 0, 0, 0))
