import pickle
import tracemalloc

import numpy as np
import pytest

from data.conversion import SourceError
from data.labeled_images import FacesFileError
from facehash.images.read import resize
from tests.helpers import datasets
from tests.helpers.datasets import random_pixels, write_pickle

TRAIN, TEST = "train_vec_folder_32_32", "test_vec_folder_32_32"
LABELS = [3, 3, 8, 8]


@pytest.fixture
def folder(tmp_path):
    """A source of two people, its files to be replaced one by one."""
    source = tmp_path / "source"

    class Folder:
        path = source

        def write(self, name, content, protocol=2):
            write_pickle(source / name, content, protocol)

        def load(self, name="youtube_faces", source=source, **options):
            return datasets.load(source, name, tmp_path / "cache", **{"side": 32} | options)

        def images(self, rows=4):
            return self.load().read(np.arange(rows))

    made = Folder()
    made.write(f"{TRAIN}/a", (random_pixels(4), LABELS))
    made.write(f"{TEST}/a", (random_pixels(2, seed=1), [3, 8]))
    return made


def as_images(x):
    """Convert row by row, as the layout says: red plane, green plane, blue plane."""
    images = np.zeros((len(x), 32, 32, 3), np.uint8)
    for row in range(len(x)):
        for channel in range(3):
            plane = x[row, channel * 1024 : (channel + 1) * 1024]
            images[row, :, :, channel] = plane.reshape(32, 32)
    return images


@pytest.mark.parametrize(
    "name, folders",
    [
        ("youtube_faces", (TRAIN, TEST)),
        ("facescrub", ("train_folder_facescrub", "test_folder_facescrub")),
    ],
)
def test_the_authors_folders_load_as_they_are(shared, tmp_path, name, folders):
    source = shared("pickles", name)
    faces = datasets.load(source, name, tmp_path, side=32)
    wanted_images, wanted_labels, split = [], [], []
    for is_query, folder in enumerate(folders):
        for path in sorted((source / folder).iterdir()):
            with path.open("rb") as file:
                x, y = pickle.load(file, encoding="latin1")
            wanted_images.append(as_images(x))
            wanted_labels += [str(label) for label in y]
            split += [is_query] * len(y)
    assert np.array_equal(faces.read(np.arange(1000)), np.concatenate(wanted_images))
    assert [faces.identities[label] for label in faces.labels] == wanted_labels
    assert faces.counts() == {"identities": 40, "train": 800, "gallery": 800, "query": 200}
    assert np.array_equal(faces.query, np.flatnonzero(split))
    assert np.array_equal(faces.train, faces.gallery)


def test_files_are_sorted_and_hidden_or_empty_ones_skipped(folder):
    folder.write(f"{TRAIN}/0", (random_pixels(0), np.zeros(0, int)), protocol=3)
    folder.write(f"{TRAIN}/b", (np.full((1, 3072), 2.0), [3]))
    folder.write(f"{TRAIN}/B", (np.full((1, 3072), 1.0), [3]))
    (folder.path / TRAIN / ".DS_Store").write_bytes(b"no pickle")
    images = folder.images(6)
    assert (images[0] == 1).all() and (images[5] == 2).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_up_to_1_are_scaled_to_255_and_rounded_to_the_original_bytes(folder, dtype):
    x = random_pixels(4, "f8")
    folder.write(f"{TRAIN}/a", ((x / 255).astype(dtype), LABELS))
    folder.write(f"{TEST}/a", ((x[:2] / 255).astype(dtype), [3, 8]))
    assert np.array_equal(folder.images(), as_images(x))


def test_a_dark_file_among_bright_ones_is_not_scaled(folder):
    folder.write(f"{TRAIN}/a", (np.ones((4, 3072), "f4"), [10, 10, 9, 9]))
    folder.write(f"{TEST}/a", (random_pixels(2), [9, 10]))
    assert (folder.images() == 1).all()
    # People are named by their label, in the order of numbers.
    assert folder.load().identities == ("9", "10")
    # Any name and side, with the loader named.
    faces = folder.load("mine", loader="ddh_pickles", side=48)
    assert np.array_equal(faces.images[2], resize(np.ones((32, 32, 3), np.uint8), 48))


def test_floats_just_above_1_cause_a_warning(folder, caplog):
    folder.write(f"{TRAIN}/a", (np.full((4, 3072), 1.000001), LABELS))
    folder.write(f"{TEST}/a", (np.ones((2, 3072)), [3, 8]))
    folder.load()
    assert "the brightest pixel of all images is 1 of 255" in caplog.text


@pytest.mark.parametrize(
    "labels",
    [
        (3.0, 3.0, 8.0, 8.0),
        [np.int64(3), np.int64(3), np.int32(8), np.float32(8)],
        np.array([3, 3, 8, 8], ">i8"),
        np.array([[3], [3], [8], [8]]),
        [[3], [3], [8], [8]],
        [np.array([3]), np.array(3), np.array([8]), np.array([[8]])],
    ],
)
def test_labels_may_be_integers_or_whole_floats_in_a_list_or_a_column(folder, labels):
    folder.write(f"{TRAIN}/a", (random_pixels(4), labels))
    faces = folder.load()
    assert faces.identities == ("3", "8") and faces.labels.tolist() == [0, 0, 1, 1, 0, 1]


def test_missing_and_empty_folders_are_named(folder, tmp_path):
    with pytest.raises(SourceError, match="youtube_faces: .*nowhere does not exist"):
        folder.load(source=tmp_path / "nowhere")
    message = "expected the folders train_vec_folder_32_32 and test_vec.* or tr"
    with pytest.raises(SourceError, match=message):
        folder.load(source=tmp_path)
    for part in (TEST, TRAIN):
        (folder.path / part / "a").unlink()
        with pytest.raises(SourceError, match=rf"{part}: is empty, expected pickles of \(x, y\)"):
            folder.load()


def test_labels_in_nested_lists_that_repeat_each_other_are_not_expanded(folder):
    labels = [3]
    for _ in range(7):
        labels = [labels] * 8
    folder.write(f"{TRAIN}/a", (random_pixels(8), labels))
    tracemalloc.start()
    try:
        message = "labels must be a flat list .*: it contains a list"
        with pytest.raises(FacesFileError, match=message):
            folder.load()
        # As an array, the two million numbers would take 16 MB; with 30 levels, all memory.
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def with_value(value):
    x = random_pixels(4)
    x[0, :2], x[2, 7] = (0, 255), value
    return x, LABELS


@pytest.mark.parametrize(
    "content, found",
    [
        ((random_pixels(4), [3, 3, 8, 8.5]), "labels .*got 8.5"),
        ((random_pixels(4), list("3388")), "labels .*flat list of integers: it contains a str"),
        ((random_pixels(4), [True, True, False, False]), "labels .*got bool"),
        ((random_pixels(4), np.eye(4, dtype=int)), r"labels .*shape \(n,\), got \(4, 4\)"),
        ((random_pixels(4), [3, 3, 8, 2**80]), "labels .*(too large|got object)"),
        (with_value(np.nan), "a: x contains NaN or infinity"),
        (with_value(-0.5), r"has values from -0.5 to 255.0, expected 0 to 255 \(or 0 to 1"),
        (with_value(255.5), "has values from 0.0 to 255.5, expected 0 to 255"),
        (random_pixels(2), r"an array of float32 \(2, 3072\), expected a tuple \(x, y\)"),
        ((random_pixels(2), [3, 8], 1), "a tuple of 3, expected a tuple"),
        (([1, 2], [3, 8]), "x is a list of 2, expected an array of numbers"),
        ((random_pixels(2).astype(bool), [3, 8]), "x is an array of bool"),
        ((random_pixels(2), [3]), "x has 2 rows but y has 1 labels; they must be equal"),
        ((random_pixels(2)[:, :9], [3, 8]), r"shape \(2, 9\), expected \(n, 3072\): 3 x 32 x 32"),
    ],
)
def test_a_file_of_something_else_is_refused_with_what_it_contains(folder, content, found):
    folder.write(f"{TRAIN}/a", content, protocol=3)
    with pytest.raises(FacesFileError, match=found):
        folder.load()
