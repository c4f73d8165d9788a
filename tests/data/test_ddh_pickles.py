import pickle
import tracemalloc

import numpy as np
import pytest

import data
from data.ddh_pickles import PickledFaces
from data.faces import FacesFileError
from data.pickles import PickleError
from data.sources import SourceError

TRAIN, TEST = "train_vec_folder_32_32", "test_vec_folder_32_32"


def pixels(count, dtype="f4", seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3072)).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    """A source of two people, its files to be replaced one by one."""
    source = tmp_path / "source"

    class Folder:
        path = source

        def write(self, name, content, protocol=2):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(content, protocol=protocol))

        def load(self, name="youtube_faces", **options):
            arguments = {"loader": None, "side": 32, "seed": 0, "queries_per_identity": 1}
            arguments |= {"cache": tmp_path / "cache", "source": source} | options
            return data.load(name, **arguments)

    made = Folder()
    made.write(f"{TRAIN}/a", (pixels(4), [3, 3, 8, 8]))
    made.write(f"{TEST}/a", (pixels(2, seed=1), [3, 8]))
    return made


def as_images(x):
    """What the layout says, row by row: red plane, green plane, blue plane."""
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
    faces = data.load(
        name,
        loader=None,
        source=source,
        side=32,
        seed=0,
        queries_per_identity=1,
        cache=tmp_path,
    )
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


def test_people_are_named_by_their_label_in_the_order_of_numbers(folder):
    folder.write(f"{TRAIN}/a", (pixels(4), [10, 9, 10, 9]))
    folder.write(f"{TEST}/a", (pixels(2), [9, 10]))
    faces = folder.load()
    assert faces.identities == ("9", "10")
    assert faces.labels.tolist() == [1, 0, 1, 0, 0, 1]


def test_files_are_taken_in_sorted_order_and_hidden_ones_left(folder):
    folder.write(f"{TRAIN}/b", (np.full((1, 3072), 2.0), [3]))
    folder.write(f"{TRAIN}/B", (np.full((1, 3072), 1.0), [3]))
    (folder.path / TRAIN / ".DS_Store").write_bytes(b"no pickle")
    images = folder.load().read(np.array([0, 5]))
    assert (images[0] == 1).all() and (images[1] == 2).all()


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f2", "f4", "f8", ">f4"])
def test_any_number_type_gives_the_same_images(folder, dtype):
    folder.write(f"{TRAIN}/a", (pixels(4, dtype), [3, 3, 8, 8]))
    assert np.array_equal(folder.load().read(np.arange(4)), as_images(pixels(4)))


def test_floats_up_to_1_are_scaled_to_255_and_rounded(folder):
    x = np.linspace(0, 1, 4 * 3072).reshape(4, 3072)
    folder.write(f"{TRAIN}/a", (x, [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", (x[:2], [3, 8]))
    assert np.array_equal(folder.load().read(np.arange(4)), as_images(np.rint(x * 255)))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_every_byte_value_survives_division_by_255(folder, dtype):
    x = pixels(4, "f8")
    folder.write(f"{TRAIN}/a", ((x / 255).astype(dtype), [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", ((x[:2] / 255).astype(dtype), [3, 8]))
    assert np.array_equal(folder.load().read(np.arange(4)), as_images(x))


def test_one_dark_file_among_bright_ones_is_not_brightened(folder):
    folder.write(f"{TRAIN}/a", (np.ones((4, 3072), "f4"), [3, 3, 8, 8]))
    images = folder.load().read(np.arange(4))
    assert (images == 1).all()


def test_floats_just_above_1_are_warned_of(folder, caplog):
    folder.write(f"{TRAIN}/a", (np.full((4, 3072), 1.000001), [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", (np.ones((2, 3072)), [3, 8]))
    folder.load()
    assert "the brightest pixel of all images is 1 of 255" in caplog.text


def test_integers_up_to_1_are_not_scaled(folder):
    folder.write(f"{TRAIN}/a", (np.ones((4, 3072), "u1"), [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", (np.ones((2, 3072), "u1"), [3, 8]))
    assert (folder.load().read(np.arange(6)) == 1).all()


def test_fractions_are_rounded_to_the_nearest_value(folder):
    x = np.resize([0.4, 0.6, 254.5, 254.6, 253.5], (4, 3072))
    folder.write(f"{TRAIN}/a", (x, [3, 3, 8, 8]))
    assert np.array_equal(folder.load().read(np.arange(4)), as_images(np.rint(x)))


@pytest.mark.parametrize(
    "labels",
    [
        [3, 3, 8, 8],
        (3, 3, 8, 8),
        [3.0, 3.0, 8.0, 8.0],
        [np.int64(3), np.int64(3), np.int32(8), np.float32(8)],
        np.array([3, 3, 8, 8], "u1"),
        np.array([3, 3, 8, 8], ">i8"),
        np.array([3, 3, 8, 8], "f4"),
        np.array([[3], [3], [8], [8]]),
        [[3], [3], [8], [8]],
        [[3, 3, 8, 8]],
        [np.array([3]), np.array(3), np.array([8]), np.array([[8]])],
    ],
)
def test_labels_may_be_integers_or_whole_floats_in_a_list_or_a_column(folder, labels):
    folder.write(f"{TRAIN}/a", (pixels(4), labels))
    faces = folder.load()
    assert faces.identities == ("3", "8") and faces.labels.tolist() == [0, 0, 1, 1, 0, 1]


def test_another_side_is_resized(folder):
    from facehash.images.read import resize

    image = folder.load(side=48).read(np.array([2]))[0]
    assert np.array_equal(image, resize(as_images(pixels(4))[2], 48))


def test_any_name_loads_with_the_loader_named(folder):
    assert folder.load("mine", loader="ddh_pickles").name == "mine"


# The errors, one by one.


def test_a_missing_folder_is_named(folder, tmp_path):
    with pytest.raises(SourceError, match="youtube_faces: .*nowhere does not exist"):
        folder.load(source=tmp_path / "nowhere")


def test_a_folder_without_the_two_folders_says_which_are_wanted(folder, tmp_path):
    with pytest.raises(SourceError, match="no folders train_vec_folder_32_32 and test_vec.* or tr"):
        folder.load(source=tmp_path)


@pytest.mark.parametrize("part", [TRAIN, TEST])
def test_an_empty_folder_is_named(folder, part):
    (folder.path / part / "a").unlink()
    with pytest.raises(SourceError, match=rf"{part}: is empty, pickles of \(x, y\) are expected"):
        folder.load()


def test_a_forbidden_global_is_named(folder):
    (folder.path / TRAIN / "a").write_bytes(b"cposix\nsystem\n(S'echo'\ntR.")
    with pytest.raises(PickleError, match=r"train_.*a: forbidden global posix.system; only NumPy"):
        folder.load()


def test_a_truncated_pickle_is_named(folder):
    path = folder.path / TEST / "a"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PickleError, match=r"test_vec_folder_32_32.a: truncated pickle"):
        folder.load()


def test_x_and_y_of_different_length_are_refused(folder):
    folder.write(f"{TRAIN}/a", (pixels(4), [3, 3, 8]))
    with pytest.raises(FacesFileError, match="x has 4 rows but y has 3 labels; they must be equal"):
        folder.load()


def test_a_width_that_is_not_3072_is_refused(folder):
    folder.write(f"{TRAIN}/a", (pixels(4)[:, :3071], [3, 3, 8, 8]))
    with pytest.raises(FacesFileError, match=r"shape \(4, 3071\), expected \(n, 3072\): 3 x 32 x"):
        folder.load()


def test_labels_within_lists_named_over_and_over_are_not_multiplied_out(folder):
    labels = [3]
    for _ in range(7):
        labels = [labels] * 8
    folder.write(f"{TRAIN}/a", (pixels(8), labels))
    tracemalloc.start()
    try:
        with pytest.raises(FacesFileError, match="labels must be a flat list .*: a list is in it"):
            folder.load()
        # As an array, the two million numbers would take 16 MB, and with 30 levels all there is.
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "labels, found",
    [
        ([3, 3, 8, 8.5], "got 8.5"),
        ([3, 3, 8, float("nan")], "got nan"),
        (["3", "3", "8", "8"], "flat list of integers: a str is in it"),
        ([True, True, False, False], "got bool"),
        ([None] * 4, "flat list of integers: a NoneType is in it"),
        (7, r"shape \(n,\), got \(\)"),
        (np.eye(4, dtype=int), r"shape \(n,\), got \(4, 4\)"),
        ([[3, 3], [8]], "flat list of integers: a list is in it"),
        ([3, 3, 8, 2**63], "too large|got object"),
        ([3, 3, 8, 2**80], "too large|got object"),
    ],
)
def test_labels_that_are_not_integers_are_refused(folder, labels, found):
    folder.write(f"{TRAIN}/a", (pixels(4), labels), protocol=3)
    with pytest.raises(FacesFileError, match=f"labels .*{found}"):
        folder.load()


def test_a_test_identity_without_training_image_is_refused(folder):
    folder.write(f"{TEST}/a", (pixels(2), [3, 5]))
    with pytest.raises(
        FacesFileError, match=r"identity 5 has test images but no training image \(1"
    ):
        folder.load()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(folder, bad):
    x = pixels(4)
    x[2, 7] = bad
    folder.write(f"{TRAIN}/a", (x, [3, 3, 8, 8]))
    with pytest.raises(FacesFileError, match="a: x contains NaN or infinity"):
        folder.load()


def test_nan_among_values_up_to_1_is_refused(folder):
    x = pixels(4) / 255
    x[0, 0] = np.nan
    folder.write(f"{TRAIN}/a", (x, [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", (pixels(2) / 255, [3, 8]))
    with pytest.raises(FacesFileError, match="a: x contains NaN or infinity"):
        folder.load()


@pytest.mark.parametrize("value, shown", [(-0.5, "-0.5 to 255.0"), (255.5, "0.0 to 255.5")])
def test_values_out_of_range_are_refused_with_their_minimum_and_maximum(folder, value, shown):
    x = pixels(4)
    x[0, :2] = 0, 255
    x[2, 7] = value
    folder.write(f"{TRAIN}/a", (x, [3, 3, 8, 8]))
    with pytest.raises(
        FacesFileError, match=rf"values from {shown}, expected 0 to 255 \(or 0 to 1"
    ):
        folder.load()


def test_standardised_values_are_refused(folder):
    folder.write(f"{TRAIN}/a", (np.linspace(-1, 1, 4 * 3072).reshape(4, 3072), [3, 3, 8, 8]))
    folder.write(f"{TEST}/a", (np.zeros((2, 3072)), [3, 8]))
    with pytest.raises(FacesFileError, match=r"values from -1.0 to "):
        folder.load()


@pytest.mark.parametrize(
    "content, found",
    [
        (pixels(2), r"an array of float32 \(2, 3072\), expected a tuple \(x, y\)"),
        ((pixels(2), [3, 8], 1), "a tuple of 3, expected a tuple"),
        (([1, 2], [3, 8]), "x is a list of 2, expected an array of numbers"),
        ((pixels(2).astype(bool), [3, 8]), "x is an array of bool"),
    ],
)
def test_a_file_that_holds_something_else_says_what(folder, content, found):
    folder.write(f"{TRAIN}/a", content, protocol=3)
    with pytest.raises(FacesFileError, match=found):
        folder.load()


def test_an_error_leaves_no_cache(folder, tmp_path):
    folder.write(f"{TEST}/a", (pixels(2), [3, 5]))
    with pytest.raises(FacesFileError):
        folder.load()
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]


def test_a_file_without_rows_is_passed_over(folder):
    folder.write(f"{TRAIN}/0", (pixels(0), np.zeros(0, int)), protocol=3)
    assert len(folder.load().train) == 4


def test_reading_stops_looking_for_the_maximum_at_the_first_bright_file(folder, monkeypatch):
    from data import ddh_pickles

    read = []
    original = ddh_pickles.load_pickle
    monkeypatch.setattr(
        ddh_pickles, "load_pickle", lambda path: read.append(path) or original(path)
    )
    list(PickledFaces(folder.path).blocks())
    assert len(read) == 3
