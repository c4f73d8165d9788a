import os

import pytest

from data.conversion import SourceError
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


def test_a_source_without_people_is_an_error_that_describes_the_layout(load, tmp_path):
    with pytest.raises(SourceError, match="mine: .*nowhere does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    message = "empty: no images found; expected one folder per person, <identity>"
    with pytest.raises(SourceError, match=message):
        load(tmp_path / "empty")
