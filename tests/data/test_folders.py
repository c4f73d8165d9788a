import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data.folders import FolderTree
from data.sources import SourceError
from facehash.images.read import resize


def picture(path, value=100, size=(40, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


@pytest.fixture
def tree(tmp_path):
    """Three people with four pictures each."""
    root = tmp_path / "faces"
    for number, person in enumerate(["carl", "Ann", "bea"]):
        for image in range(4):
            picture(root / person / f"{image}.png", 10 * number + image)
    return root


@pytest.fixture
def load(tree, tmp_path):
    def load(**options):
        arguments = {"loader": None, "side": 16, "seed": 0, "queries_per_identity": 1}
        arguments |= {"cache": tmp_path / "cache", "source": tree} | options
        return data.load("mine", **arguments)

    return load


def values(faces):
    return faces.images[:, 8, 8, 0].tolist()


def test_people_and_their_images_come_in_sorted_order(load):
    faces = load()
    assert faces.identities == ("Ann", "bea", "carl")
    assert faces.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert values(faces) == [10, 11, 12, 13, 20, 21, 22, 23, 0, 1, 2, 3]
    assert faces.counts() == {"identities": 3, "train": 9, "gallery": 9, "query": 3}
    assert faces.images.shape == (12, 16, 16, 3) and faces.side == 16


def test_every_kind_of_picture_counts_whatever_the_case_of_its_ending(load, tree):
    for ending in ("jpg", "JPEG", "Png", "bmp", "webp", "tif", "gif", "PGM"):
        picture(tree / "dan" / f"x.{ending}", 200)
    assert values(load())[-8:] == pytest.approx([200] * 8, abs=2)


def test_hidden_files_and_files_that_are_no_pictures_are_ignored(load, tree):
    picture(tree / "Ann" / ".hidden.png")
    picture(tree / ".trash" / "1.png")
    (tree / "Ann" / "notes.txt").write_text("hello")
    (tree / "Ann" / "folder.png").mkdir()
    (tree / "readme.md").write_text("hello")
    picture(tree / "loose.png")
    (tree / "nobody").mkdir()
    assert len(load().labels) == 12 and load().identities == ("Ann", "bea", "carl")


def test_pictures_are_turned_by_exif_and_resized_by_the_one_function(load, tree):
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(upright[::-1, ::-1]).save(tree / "Ann" / "0.png", exif=exif)
    assert np.array_equal(load().images[0], resize(upright, 16))


def test_pictures_of_any_size_become_squares(load, tree):
    picture(tree / "Ann" / "0.png", 7, size=(90, 20))
    assert (load().images[0] == 7).all()


def test_more_images_than_a_batch_keep_their_order(tmp_path):
    for number in range(300):
        picture(tmp_path / f"{number % 3}" / f"{number:03d}.png", number % 250, size=(8, 8))
    blocks = list(FolderTree(tmp_path, 8).blocks())
    assert len(blocks) == 2
    wanted = [number % 250 for person in range(3) for number in range(person, 300, 3)]
    assert np.concatenate([block.images for block in blocks])[:, 0, 0, 0].tolist() == wanted


def test_links_are_followed(load, tree):
    (tree / "linked").symlink_to(tree / "Ann", target_is_directory=True)
    assert load().identities == ("Ann", "bea", "carl", "linked")


def test_a_new_picture_is_seen(load, tree):
    assert len(load().labels) == 12
    picture(tree / "Ann" / "new.png")
    assert len(load().labels) == 13


def test_a_name_that_is_no_text_loads(load, tree):
    name = os.fsdecode(b"Zo\xeb")
    for number in range(2):
        picture(tree / name / f"{number}.png", 99)
    assert name in load().identities and name in load().identities


def test_other_sides_have_other_caches(load):
    assert load(side=16).side == 16 and load(side=24).side == 24 and load(side=16).side == 16


def test_an_unreadable_image_is_skipped_and_counted_and_the_run_goes_on(load, tree, caplog):
    for number in range(30):
        picture(tree / "dan" / f"{number:02d}.png", 50)
    (tree / "dan" / "07.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        faces = load()
    assert len(faces.labels) == 41
    assert "1 of 42 images are unreadable and left out; the first is" in caplog.text
    assert "07.png: not a picture" in caplog.text


def test_an_image_without_permission_is_left_out_until_it_can_be_read(
    load, tree, caplog, monkeypatch
):
    for number in range(30):
        picture(tree / "dan" / f"{number:02d}.png", 50)

    # Not chmod: root, as whom containers run the tests, may read everything.
    def forbidding(whole_open):
        def forbid(path, *arguments, **options):
            if Path(path).name == "07.png":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return whole_open(path, *arguments, **options)

        return forbid

    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        # Digests are computed through the one, pictures read through the other.
        patch.setattr(Path, "open", forbidding(Path.open))
        patch.setattr(os, "open", forbidding(os.open))
        for way in ("converting", "opening the cache"):
            caplog.clear()
            assert len(load().labels) == 41, way
            assert "1 of 42 images are unreadable and left out; the first is" in caplog.text
            assert "07.png: Permission denied" in caplog.text
        # A newer time makes it look at all the files, and changes nothing.
        os.utime(tree / "Ann" / "0.png", (1, 1))
        caplog.clear()
        assert len(load().labels) == 41 and "converting anew" not in caplog.text
    caplog.clear()
    assert len(load().labels) == 42 and "unreadable and left out" not in caplog.text
    assert "what was unreadable can now be read: converting anew" in caplog.text
    caplog.clear()
    assert len(load().labels) == 42 and not caplog.text


def test_a_person_of_unreadable_images_only_is_nobody(load, tree):
    for number in range(30):
        picture(tree / "dan" / f"{number:02d}.png", 50)
    (tree / "eve").mkdir()
    (tree / "eve" / "1.png").write_bytes(b"broken")
    assert "eve" not in load().identities


def test_more_than_5_percent_unreadable_is_an_error(load, tree):
    (tree / "Ann" / "3.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match="1 of 12 images are unreadable, more than 5%; the first"):
        load()


@pytest.mark.parametrize("broken, fails", [(5, False), (6, True)])
def test_5_percent_itself_is_no_error(tmp_path, broken, fails):
    for number in range(100):
        picture(tmp_path / "a" / f"{number:02d}.png", size=(4, 4))
    for number in range(broken):
        (tmp_path / "a" / f"{number:02d}.png").write_bytes(b"broken")
    tree = FolderTree(tmp_path, 8)
    if fails:
        with pytest.raises(SourceError, match="6 of 100 images are unreadable"):
            list(tree.blocks())
    else:
        assert len(next(tree.blocks()).labels) == 95


def test_a_missing_folder_is_an_error(load, tmp_path):
    with pytest.raises(SourceError, match="mine: .*nowhere does not exist"):
        load(source=tmp_path / "nowhere")


def test_an_empty_folder_is_an_error_that_says_the_layout(load, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SourceError, match="empty: no images found; one folder a person .*<identity>"
    ):
        load(source=tmp_path / "empty")


def test_images_without_a_persons_folder_are_pointed_out(load, tmp_path):
    picture(tmp_path / "flat" / "1.png")
    with pytest.raises(SourceError, match="the images directly in it belong to nobody"):
        load(source=tmp_path / "flat")


def test_one_image_a_person_leaves_no_query(load, tmp_path):
    for person in "ab":
        picture(tmp_path / "single" / person / "1.png")
    with pytest.raises(ValueError, match="no image has the role 'query'"):
        load(source=tmp_path / "single")


def test_real_faces_load(shared, tmp_path):
    source = tmp_path / "pubfig"
    source.mkdir()
    people = sorted(shared("faces", "pubfig83").iterdir())[:3]
    for person in people:
        (source / person.name).symlink_to(person)
    faces = data.load(
        "pubfig83",
        loader=None,
        source=source,
        side=32,
        crop="arcface112",
        seed=0,
        queries_per_identity=5,
        max_per_identity=20,
        cache=tmp_path / "cache",
    )
    assert faces.counts() == {"identities": 3, "train": 60, "gallery": 60, "query": 15}
    assert faces.crop == "arcface112"
    assert faces.identities == tuple(person.name for person in people)
