import logging
import os

import numpy as np
import pytest
from PIL import Image

from data.conversion import SourceError
from data.folders import FolderTree
from facehash.images.read import resize
from tests.helpers import datasets
from tests.helpers.datasets import write_picture


@pytest.fixture
def tree(tmp_path):
    """Three people with four pictures each."""
    root = tmp_path / "faces"
    for number, person in enumerate(["carl", "Ann", "bea"]):
        for image in range(4):
            write_picture(root / person / f"{image}.png", 10 * number + image)
    return root


@pytest.fixture
def load(tree, tmp_path):
    def load(source=tree, **options):
        return datasets.load(source, cache=tmp_path / "cache", **options)

    return load


def values(faces):
    return faces.images[:, 8, 8, 0].tolist()


def test_people_and_their_images_are_sorted(load):
    faces = load()
    assert faces.identities == ("Ann", "bea", "carl")
    assert faces.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert values(faces) == [10, 11, 12, 13, 20, 21, 22, 23, 0, 1, 2, 3]
    assert faces.counts() == {"identities": 3, "train": 9, "gallery": 9, "query": 3}
    assert faces.images.shape == (12, 16, 16, 3) and faces.side == 16
    faces = load(crop="arcface112", max_per_identity=2)
    assert faces.counts() == {"identities": 3, "train": 6, "gallery": 6, "query": 3}
    assert faces.crop == "arcface112"


def test_every_picture_format_is_read_whatever_the_case_of_the_suffix(load, tree):
    for suffix in ("jpg", "JPEG", "Png", "bmp", "webp", "tif", "gif", "PGM"):
        write_picture(tree / "dan" / f"x.{suffix}", 200)
    assert values(load())[-8:] == pytest.approx([200] * 8, abs=2)


def test_other_files_are_ignored_and_links_are_followed(load, tree):
    write_picture(tree / "Ann" / ".hidden.png")
    write_picture(tree / ".trash" / "1.png")
    (tree / "Ann" / "notes.txt").write_text("hello")
    (tree / "Ann" / "folder.png").mkdir()
    (tree / "readme.md").write_text("hello")
    write_picture(tree / "loose.png")
    (tree / "nobody").mkdir()
    (tree / "linked").symlink_to(tree / "Ann", target_is_directory=True)
    assert len(load().labels) == 16 and load().identities == ("Ann", "bea", "carl", "linked")


def test_pictures_of_any_orientation_and_size_become_upright_squares(load, tree):
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(upright[::-1, ::-1]).save(tree / "Ann" / "0.png", exif=exif)
    write_picture(tree / "Ann" / "1.png", 7, size=(90, 20))
    images = load().images
    assert np.array_equal(images[0], resize(upright, 16)) and (images[1] == 7).all()


def test_more_images_than_a_batch_keep_their_order(tmp_path):
    for number in range(300):
        write_picture(tmp_path / f"{number % 3}" / f"{number:03d}.png", number % 250, size=(8, 8))
    blocks = list(FolderTree(tmp_path, 8).blocks())
    assert len(blocks) == 2
    wanted = [number % 250 for person in range(3) for number in range(person, 300, 3)]
    assert np.concatenate([block.images for block in blocks])[:, 0, 0, 0].tolist() == wanted


def test_a_new_picture_and_another_side_are_converted(load, tree):
    assert len(load().labels) == 12
    write_picture(tree / "Ann" / "new.png")
    assert len(load().labels) == 13
    assert load(side=24).side == 24 and load(side=16).side == 16


def test_a_name_that_is_not_utf_8_loads(load, tree):
    name = os.fsdecode(b"Zo\xeb")
    for number in range(2):
        write_picture(tree / name / f"{number}.png", 99)
    # Converted, then opened from the cache.
    assert name in load().identities and name in load().identities


def test_unreadable_images_are_omitted_and_counted_each_time(load, tree, caplog):
    for number in range(50):
        write_picture(tree / "dan" / f"{number:02d}.png", 50)
    (tree / "dan" / "07.png").write_bytes(b"broken")
    (tree / "eve").mkdir()
    (tree / "eve" / "1.png").write_bytes(b"broken")
    for _ in ("converting", "opening the cache"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            faces = load()
        # A person without readable images is not an identity.
        assert len(faces.labels) == 61 and "eve" not in faces.identities
        assert "2 of 63 images are unreadable and omitted; the first is" in caplog.text
        assert "07.png: not a picture" in caplog.text


@pytest.mark.parametrize("broken, fails", [(5, False), (6, True)])
def test_more_than_5_percent_unreadable_is_an_error(tmp_path, broken, fails):
    for number in range(100):
        write_picture(tmp_path / "a" / f"{number:02d}.png", size=(4, 4))
    for number in range(broken):
        (tmp_path / "a" / f"{number:02d}.png").write_bytes(b"broken")
    tree = FolderTree(tmp_path, 8)
    if fails:
        with pytest.raises(SourceError, match="6 of 100 images are unreadable, more than 5%; the"):
            list(tree.blocks())
    else:
        assert len(next(tree.blocks()).labels) == 95


def test_a_source_without_people_is_an_error_that_describes_the_layout(load, tmp_path):
    with pytest.raises(SourceError, match="mine: .*nowhere does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    message = "empty: no images found; expected one folder per person, <identity>"
    with pytest.raises(SourceError, match=message):
        load(tmp_path / "empty")
    write_picture(tmp_path / "flat" / "1.png")
    with pytest.raises(SourceError, match="its images are not in folders of people"):
        load(tmp_path / "flat")
