import h5py
import numpy as np
import pytest

import data
from data.arrays import read_arrays
from data.faces import FacesFileError
from data.sources import SourceError
from facehash.images.read import resize
from tests.helpers.array_files import SAVERS, save_h5, save_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
LABELS = np.array([4, 4, 4, 9, 9, 9])
CONTENT = {"images": IMAGES, "labels": LABELS}
NAMES = ["Ann", "Bo", "Zoë 李 🙂"]


def save_chunked(path, content):
    save_h5(path, {key: value for key, value in content.items() if key != "images"})
    with h5py.File(path, "r+") as file:
        file.create_dataset("images", data=content["images"], chunks=True, compression=1)


FORMS = SAVERS | {"h5 in chunks": (".hdf5", save_chunked)}


@pytest.fixture(params=FORMS)
def write(request, tmp_path):
    ending, saver = FORMS[request.param]

    def write(**arrays):
        path = tmp_path / f"faces{ending}"
        saver(path, {"images": IMAGES, "labels": LABELS} | arrays)
        return path

    return write


def load(path, **options):
    arguments = {"loader": None, "side": 16, "seed": 0, "queries_per_identity": 1}
    return data.load("mine", source=path, **(arguments | options))


def test_images_and_labels_are_read(write):
    faces = load(write())
    assert np.array_equal(faces.read(np.arange(6)), IMAGES)
    assert faces.identities == ("4", "9") and faces.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert faces.counts() == {"identities": 2, "train": 4, "gallery": 4, "query": 2}


def test_names_go_with_labels_from_0(write):
    faces = load(write(labels=np.array([0, 0, 2, 2, 1, 1]), identities=NAMES))
    assert [faces.identities[label] for label in faces.labels] == [
        *["Ann"] * 2,
        *[NAMES[2]] * 2,
        *["Bo"] * 2,
    ]


def test_a_split_is_kept(write):
    split = np.array([0, 1, 0, 0, 1, 1], np.uint8)
    faces = load(write(is_query=split))
    assert faces.query.tolist() == [1, 4, 5] and faces.gallery.tolist() == [0, 2, 3]


@pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 6)])
def test_labels_may_be_a_row_a_column_or_whole_floats(write, shape):
    labels = LABELS.reshape(shape).astype(float)
    assert load(write(labels=labels)).labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_another_side_is_resized_and_cached(write, tmp_path):
    path = write(is_query=np.array([0, 1, 0, 0, 1, 1], bool))
    faces = load(path, side=8, cache=tmp_path / "cache")
    by_name = {"4": [0, 2, 1], "9": [3, 4, 5]}
    for name, rows in by_name.items():
        label = faces.identities.index(name)
        found = faces.read(np.flatnonzero(faces.labels == label))
        assert np.array_equal(found, np.stack([resize(IMAGES[row], 8) for row in rows]))
    assert faces.counts() == {"identities": 2, "train": 3, "gallery": 3, "query": 3}
    assert len(list((tmp_path / "cache").glob("*.h5"))) == 1


def test_hdf5_is_opened_lazily(tmp_path):
    save_h5(tmp_path / "one.h5", CONTENT)
    save_chunked(tmp_path / "chunks.h5", CONTENT)
    assert isinstance(read_arrays(tmp_path / "one.h5").images, np.memmap)
    assert isinstance(read_arrays(tmp_path / "chunks.h5").images, h5py.Dataset)


def test_a_cache_can_be_handed_in_as_data(shared, tmp_path):
    options = {"loader": None, "side": 32, "seed": 0, "queries_per_identity": 1}
    source = shared("pickles", "youtube_faces")
    first = data.load("youtube_faces", source=source, cache=tmp_path, **options)
    (cache,) = tmp_path.glob("*.h5")
    for loader in (None, "ddh_pickles"):
        again = data.load("youtube_faces", source=cache, **(options | {"loader": loader}))
        assert np.array_equal(again.images, first.images)
        assert again.identities == first.identities
        for role in ("labels", "train", "gallery", "query"):
            assert np.array_equal(getattr(again, role), getattr(first, role))


@pytest.mark.parametrize(
    "images, message",
    [
        (IMAGES.reshape(6, -1), r"images must be uint8 \(n, side, side, 3\), got uint8 \(6, 768\)"),
        (IMAGES[:, :8], r"got uint8 \(6, 8, 16, 3\)"),
        (IMAGES.transpose(0, 3, 1, 2), r"\(6, 3, 16, 16\) \(channels first: transpose to channels"),
        (IMAGES.astype(np.float32), "got float32"),
        (IMAGES[:5], "5 images but 6 labels"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(tmp_path, images, message):
    for ending, saver in SAVERS.values():
        path = tmp_path / f"faces{ending}"
        saver(path, CONTENT | {"images": images})
        with pytest.raises(FacesFileError, match=f"faces.*: .*{message}"):
            load(path)
        path.unlink()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": LABELS + 0.5}, "labels must be integers, got 4.5"),
        ({"labels": LABELS.reshape(2, 3)}, r"labels must have shape \(n,\), got \(2, 3\)"),
        ({"identities": NAMES}, r"labels must lie in 0..2, one for each .* got 4..9"),
        (
            {"labels": [0, 0, 0, 1, 1, 1], "identities": ["a", "a"]},
            "identities names somebody twice",
        ),
        ({"is_query": np.array([0, 1])}, r"is_query must be 6 booleans, got int64 \(2,\)"),
        ({"is_query": np.arange(6)}, "is_query must be 6 booleans"),
    ],
)
def test_wrong_companions_are_refused(write, changes, message):
    changes = {k: np.array(v) if k == "labels" else v for k, v in changes.items()}
    with pytest.raises(FacesFileError, match=message):
        load(write(**changes))


@pytest.mark.parametrize("missing", ["images", "labels"])
@pytest.mark.parametrize("form", SAVERS)
def test_a_missing_array_is_named_with_those_found(tmp_path, form, missing):
    ending, saver = SAVERS[form]
    content = CONTENT | {"other": np.ones(2)}
    del content[missing]
    saver(tmp_path / f"faces{ending}", content)
    with pytest.raises(FacesFileError, match=rf"no array '{missing}' \(known: .*other"):
        load(tmp_path / f"faces{ending}")


@pytest.mark.parametrize("name", ["faces.npz", "faces.h5", "faces.mat"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind, but long enough" * 10])
def test_a_file_of_another_kind_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FacesFileError, match=f"{name}: cannot be read as"):
        load(tmp_path / name)


@pytest.mark.parametrize("form", ["npz", "h5", "MATLAB 5", "MATLAB 7.3"])
def test_names_that_are_numbers_are_refused(tmp_path, form):
    ending, saver = SAVERS[form]
    saver(tmp_path / f"faces{ending}", CONTENT | {"identities": np.arange(10)})
    with pytest.raises(FacesFileError, match="identities must be text, got int64"):
        load(tmp_path / f"faces{ending}")


def test_a_group_in_place_of_an_array_is_refused(tmp_path):
    save_h5(tmp_path / "faces.h5", CONTENT)
    with h5py.File(tmp_path / "faces.h5", "r+") as file:
        file.create_group("identities")
    with pytest.raises(FacesFileError, match="identities is a group, an array is expected"):
        load(tmp_path / "faces.h5")


@pytest.mark.parametrize("form", ["compressed npz", "h5", "h5 in chunks"])
def test_any_flipped_bytes_are_refused_or_harmless(tmp_path, form):
    ending, saver = FORMS[form]
    path = tmp_path / f"faces{ending}"
    saver(path, CONTENT | {"images": IMAGES[:, :4, :4]})
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        # A new file each time: one that is mapped into memory must not change.
        path.unlink()
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except FacesFileError as error:
            assert "\n" not in str(error)


def test_an_empty_file_of_arrays_is_refused(tmp_path):
    save_npz(tmp_path / "faces.npz", {"images": IMAGES[:0], "labels": LABELS[:0]})
    with pytest.raises(FacesFileError, match="there are no images in it"):
        load(tmp_path / "faces.npz")


def test_an_unknown_ending_is_refused(tmp_path):
    (tmp_path / "faces.csv").touch()
    with pytest.raises(
        SourceError, match=r"faces.csv is neither a folder nor a file of arrays \(.h5"
    ):
        load(tmp_path / "faces.csv")


def test_a_folder_is_no_file_of_arrays(tmp_path):
    with pytest.raises(SourceError, match="is a folder, the loader 'arrays' reads a file"):
        load(tmp_path, loader="arrays")


def test_an_unknown_loader_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SourceError, match=r"unknown loader 'folder' \(did you mean 'folders'\?\)"):
        load(tmp_path, loader="folder")
