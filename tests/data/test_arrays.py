import h5py
import numpy as np
import pytest

from data.arrays import read_faces_file
from data.conversion import SourceError
from data.labeled_images import FacesFileError, integer_labels
from facehash.images.read import resize
from tests.helpers.array_files import SAVERS, save_h5
from tests.helpers.datasets import load

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


write_some = pytest.mark.parametrize("write", ["npz", "h5", "MATLAB 5"], indirect=True)


def test_images_labels_names_and_split_are_read(write):
    split = np.array([0, 1, 0, 1, 0, 1], np.uint8)
    labels = np.array([0, 0, 2, 2, 1, 1])
    faces = load(write(labels=labels, identities=NAMES, is_query=split))
    assert np.array_equal(faces.read(np.arange(6)), IMAGES)
    assert [faces.identities[label] for label in faces.labels] == [NAMES[label] for label in labels]
    assert faces.query.tolist() == [1, 3, 5] and faces.gallery.tolist() == [0, 2, 4]


@write_some
def test_without_names_and_split_the_labels_are_the_names_and_queries_are_drawn(write):
    faces = load(write())
    assert faces.identities == ("4", "9") and faces.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert faces.counts() == {"identities": 2, "train": 4, "gallery": 4, "query": 2}


@write_some
def test_images_of_another_side_are_resized_and_cached(write, tmp_path):
    path = write(is_query=np.array([0, 1, 0, 0, 1, 1], bool))
    faces = load(path, side=8, cache=tmp_path / "cache")
    for name, rows in {"4": [0, 2, 1], "9": [3, 4, 5]}.items():
        label = faces.identities.index(name)
        found = faces.read(np.flatnonzero(faces.labels == label))
        assert np.array_equal(found, np.stack([resize(IMAGES[row], 8) for row in rows]))
    assert faces.counts() == {"identities": 2, "train": 3, "gallery": 3, "query": 3}
    assert len(list((tmp_path / "cache").glob("*.h5"))) == 1


def test_hdf5_is_opened_lazily(tmp_path):
    save_h5(tmp_path / "one.h5", CONTENT)
    save_chunked(tmp_path / "chunks.h5", CONTENT)
    assert isinstance(read_faces_file(tmp_path / "one.h5").images, np.memmap)
    assert isinstance(read_faces_file(tmp_path / "chunks.h5").images, h5py.Dataset)


def test_a_cache_can_be_given_as_data(shared, tmp_path):
    source = shared("pickles", "youtube_faces")
    first = load(source, "youtube_faces", tmp_path, side=32)
    (cache,) = tmp_path.glob("*.h5")
    for loader in (None, "ddh_pickles"):
        again = load(cache, "youtube_faces", side=32, loader=loader)
        assert np.array_equal(again.images, first.images)
        assert again.identities == first.identities
        for role in ("labels", "train", "gallery", "query"):
            assert np.array_equal(getattr(again, role), getattr(first, role))


@write_some
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": IMAGES.reshape(6, -1)}, r"images must be uint8 .*, got uint8 \(6, 768\)"),
        ({"images": IMAGES[:, :8]}, r"got uint8 \(6, 8, 16, 3\)"),
        ({"images": IMAGES[:0]}, "it contains no images"),
        ({"labels": LABELS + 0.5}, "labels must be integers, got 4.5"),
        ({"labels": LABELS.reshape(2, 3)}, r"labels must have shape \(n,\), got \(2, 3\)"),
        ({"labels": LABELS // 9, "identities": ["a", "a"]}, "identities contains a name twice"),
        ({"identities": np.arange(10)}, "identities must be text, got int64"),
        ({"is_query": np.arange(6)}, "is_query must be 6 booleans"),
    ],
)
def test_invalid_arrays_are_refused(write, changes, message):
    with pytest.raises(FacesFileError, match=f"faces.*: .*{message}"):
        load(write(**changes))


def test_a_missing_array_and_a_group_are_refused_in_hdf5(tmp_path):
    path = tmp_path / "faces.h5"
    save_h5(path, {"images": IMAGES, "other": np.ones(2)})
    with pytest.raises(FacesFileError, match=r"no array 'labels' \(known: .*other"):
        load(path)
    with h5py.File(path, "r+") as file:
        file["labels"] = LABELS
        file.create_group("identities")
    with pytest.raises(FacesFileError, match="identities is a group, expected an array"):
        load(path)


@pytest.mark.parametrize("form", ["h5", "h5 in chunks"])
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
            read_faces_file(path)
        except FacesFileError as error:
            assert "\n" not in str(error)


def test_a_source_that_does_not_fit_the_loader_is_refused(tmp_path):
    (tmp_path / "faces.xls").touch()
    message = r"faces.xls is neither a folder nor a file of arrays \(.h5"
    with pytest.raises(SourceError, match=message):
        load(tmp_path / "faces.xls")
    with pytest.raises(SourceError, match="is a folder, the loader 'arrays' reads a file"):
        load(tmp_path, loader="arrays")
    with pytest.raises(SourceError, match=r"unknown loader 'folder' \(did you mean 'folders'\?\)"):
        load(tmp_path, loader="folder")


@pytest.mark.parametrize("labels", [["a", "b"], [0.5, 1], [0, 2.0**63]])
def test_labels_that_are_not_integers_in_range_are_refused(labels):
    with pytest.raises(FacesFileError, match="x.npz: labels"):
        integer_labels("x.npz", labels)
