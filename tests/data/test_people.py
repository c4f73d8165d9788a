import os

import numpy as np
import pytest

import data
from data.conversion import SourceError
from data.people import list_people
from facehash.config import DatasetConfig
from facehash.dataset import DatasetError
from tests.helpers import datasets
from tests.helpers.datasets import write_picture
from tests.helpers.privileges import ordinary_rights

PEOPLE = ("ann", "bea", "carl", "dan")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "faces"


@pytest.fixture
def load(root, tmp_path):
    def load(**options):
        return datasets.load(root, cache=tmp_path / "cache", **options)

    return load


def fill(folder, people=PEOPLE, photos=3, value=0):
    for number, person in enumerate(people):
        for photo in range(photos):
            write_picture(folder / person / f"{photo}.png", value + 10 * number + photo)


def names(faces, role):
    return sorted({faces.identities[label] for label in faces.labels[getattr(faces, role)]})


def test_everything_that_is_not_read_is_counted_in_one_line(root, load, caplog):
    fill(root)
    write_picture(root / "no ending" / "1.png")
    (root / "no ending" / "1.png").rename(root / "no ending" / "1")
    write_picture(root / "copies" / "1.png")
    (root / "copies" / "1.png").rename(root / "copies" / "1.png.1")
    (root / "nobody").mkdir()
    fill(root / "eve", ["2004", "2005/may"])
    (root / "ann" / ".hidden.png").touch()
    (root / "ann" / "friends").symlink_to(root / "bea")
    os.mkfifo(root / "ann" / "pipe.png")
    write_picture(root / "loose.png")
    (root / "readme.md").touch()
    assert len(load().labels) == 12
    (line,) = [one.getMessage() for one in caplog.records if "passed over" in one.getMessage()]
    assert line == (
        f"{root}: passed over: 3 files without the ending of a picture (1 .png.1, 1 none, "
        "1 .md; pictures are among .png.1, none: rename them to .jpg), 6 pictures one level too "
        "deep (the first is eve/2004/0.png; move them up, to eve/0.png), 1 picture outside the "
        "folders of people, 4 people without images (the first is copies), 1 link to a folder, 1 "
        "pipe or device, 1 hidden file or folder"
    )
    caplog.clear()
    load()  # from the cache
    assert line in caplog.text


def test_nothing_is_said_where_nothing_is_passed_over(root, load, caplog):
    fill(root)
    (root / "linked").symlink_to(root / "ann")
    load()
    assert "passed over" not in caplog.text


def test_links_to_nowhere_are_unreadable_images(root, load, caplog):
    fill(root, photos=10)
    (root / "ann" / "0.png").unlink()
    (root / "ann" / "0.png").symlink_to("/mnt/gone/0.png")
    (root / "ann" / "itself").symlink_to("itself")
    assert len(load().labels) == 39
    assert (
        f"2 of 41 images are unreadable and omitted; the first is {root}/ann/0.png: a link to "
        "/mnt/gone/0.png, which does not exist"
    ) in caplog.text
    # Once the disk is mounted, the images are read.
    (root / "ann" / "itself").unlink()
    write_picture(root.parent / "mounted.png")
    (root / "ann" / "0.png").unlink()
    (root / "ann" / "0.png").symlink_to(root.parent / "mounted.png")
    assert len(load().labels) == 40
    for person in ("eve", "fay", "gus"):
        (root / person).symlink_to(f"/mnt/gone/{person}")
    with pytest.raises(SourceError, match=r"3 of 43 images are unreadable, more than 5%.*/eve: a"):
        load()


def test_what_cannot_be_examined_or_listed_stops_nothing(root, load, caplog):
    fill(root, photos=8)
    write_picture(root / "eve" / "1.png")
    write_picture(root / "fay" / "1.png")
    (root / "eve").chmod(0o444)  # it can be listed, and its files cannot be examined
    (root / "fay").chmod(0)
    try:
        with ordinary_rights():
            assert len(load().labels) == 32
    finally:
        for person in ("eve", "fay"):
            (root / person).chmod(0o700)
    assert (
        f"1 of 33 images are unreadable and omitted; the first is {root}/eve/1.png: Permission "
        "denied"
    ) in caplog.text
    assert "1 folder that cannot be listed (the first is fay: Permission denied)" in caplog.text


def test_images_that_are_all_too_deep_are_an_error_with_the_remedy(root, load):
    fill(root / "class")
    message = "one folder per person, .*passed over: 12 pictures one level too deep .*move them up"
    with pytest.raises(SourceError, match=message):
        load()


@pytest.mark.parametrize(
    ("known", "queried"), [("train", "test"), ("Training", "VAL"), ("gallery", "query")]
)
def test_the_parts_of_a_split_become_the_given_split(root, load, known, queried, caplog):
    fill(root / known, photos=4)
    fill(root / queried, PEOPLE[1:], photos=2, value=100)
    caplog.set_level("INFO")
    for _ in ("converting", "opening the cache"):
        faces = load()
        assert faces.split == "given" and faces.identities == PEOPLE
        assert names(faces, "train") == ["ann", "bea", "carl", "dan"]
        assert names(faces, "query") == ["bea", "carl", "dan"]
        assert faces.gallery.tolist() == faces.train.tolist() and len(faces.train) == 16
        assert (faces.read(faces.query) >= 100).all() and (faces.read(faces.train) < 100).all()
        assert "are taken for the parts of a split" in caplog.text
        caplog.clear()


def test_val_beside_queries_belongs_to_the_training_set(root, load):
    fill(root / "train")
    fill(root / "val", photos=1, value=100)
    fill(root / "test", photos=1, value=200)
    faces = load()
    assert len(faces.train) == len(faces.gallery) == 16 and len(faces.query) == 4
    assert faces.read(faces.query).min() >= 200


def test_a_gallery_beside_train_is_not_trained_on(root, load, tmp_path):
    fill(root / "train", photos=4)
    fill(root / "gallery", ["eve", "fay"], photos=5, value=100)
    fill(root / "query", ["eve", "fay"], photos=1, value=200)
    with pytest.raises(DatasetError, match="2 of 2 people .* set dataset.protocol to unseen"):
        load()
    faces = load(protocol="unseen")
    assert names(faces, "train") == list(PEOPLE)
    assert names(faces, "gallery") == names(faces, "query") == ["eve", "fay"]
    assert (len(faces.train), len(faces.gallery), len(faces.query)) == (16, 10, 2)
    capped = load(protocol="unseen", max_per_identity=3)
    assert (len(capped.train), len(capped.gallery), len(capped.query)) == (12, 6, 2)
    # The converted file can be passed in place of the folder, also at another side.
    (cache,) = (tmp_path / "cache").glob("*.h5")
    for side in (16, 24):
        config = DatasetConfig(name="mine", side=side, protocol="unseen")
        again = data.load(config, cache, tmp_path / "resized")
        for role in ("train", "gallery", "query"):
            wanted, found = getattr(faces, role), getattr(again, role)
            assert names(again, role) == names(faces, role) and len(found) == len(wanted)
    fill(root / "query", ["ann"])
    for protocol, count in (("unseen", 1), ("seen", 2)):
        with pytest.raises(DatasetError, match=f"{count} of 3 people .*; remove them"):
            load(protocol=protocol)


def test_people_may_have_such_names_beside_others(root, load):
    fill(root, ["train", "test", "ann"])
    assert load().identities == ("ann", "test", "train")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train"], r"contains train/ only; add test/<identity>/<image> .*or pass .*faces/train"),
        (["test"], "contains test/ only; add train/<identity>"),
        (["train", "gallery"], "contains gallery/ and train/ only; add test/"),
        (["train", "test", "query"], "query/ and test/ and train/; expected one folder of queries"),
    ],
)
def test_parts_that_are_not_a_whole_split_are_refused(root, parts, message):
    for part in parts:
        fill(root / part)
    with pytest.raises(SourceError, match=message):
        list_people(root)


def test_parts_without_folders_of_people_are_refused_with_the_remedy(root):
    for part in ("train", "test"):
        write_picture(root / part / "ann_1.png")
    with pytest.raises(SourceError) as caught:
        list_people(root)
    assert str(caught.value) == (
        f"{root}: test/ and train/ are the parts of a split, but test has no images in folders of "
        "people; expected test/<identity>/<image>: move each image into a folder with the name of "
        "its person"
    )


def test_images_keep_their_person_and_role_over_the_parts(root, load):
    fill(root / "test", photos=1, value=200)
    fill(root / "train", photos=2)
    faces = load()
    value = faces.read(np.arange(len(faces.labels)))[:, 0, 0, 0]
    assert value.tolist() == [0, 1, 10, 11, 20, 21, 30, 31, 200, 210, 220, 230]
    assert faces.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
