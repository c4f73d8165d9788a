import dataclasses

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash import dataset as module
from facehash.dataset import DatasetError, FaceDataset


def make(**changes):
    """Two people, three images each: two in the gallery, one query."""
    fields = {
        "name": "toy",
        "images": np.arange(6 * 4 * 4 * 3, dtype=np.uint16).astype(np.uint8).reshape(6, 4, 4, 3),
        "labels": np.array([0, 0, 0, 1, 1, 1]),
        "identities": ("ann", "bob"),
        "train": np.array([0, 1, 3, 4]),
        "gallery": np.array([0, 1, 3, 4]),
        "query": np.array([2, 5]),
        "protocol": "seen",
    }
    return FaceDataset(**(fields | changes))


def test_a_sound_data_set_passes_and_is_returned():
    faces = make()
    assert faces.check() is faces and faces.side == 4 and faces.crop == "none"


def test_it_counts_people_and_roles():
    assert make().counts() == {"identities": 2, "train": 4, "gallery": 4, "query": 2}


def test_it_cannot_be_altered():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().name = "other"


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"images": np.zeros((6, 4, 5, 3), np.uint8)},
            r"uint8 \(n, side, side, 3\), got uint8 \(6, 4",
        ),
        ({"images": np.zeros((6, 3, 4, 4), np.uint8)}, r"must be uint8 \(n, side, side, 3\)"),
        ({"images": np.zeros((6, 48), np.uint8)}, r"got uint8 \(6, 48\)"),
        ({"images": np.zeros((6, 4, 4, 3), np.float32)}, "got float32"),
        ({"labels": np.zeros(5, int)}, r"integers of shape \(6,\), got int64 \(5,\)"),
        ({"labels": np.zeros(6)}, "got float64"),
        ({"labels": np.array([0, 0, 0, 1, 1, 2])}, r"lie in 0..1 \(one a name\), got 0..2"),
        ({"labels": np.array([0, 0, -1, 1, 1, 1])}, "got -1..1"),
        ({"protocol": "open"}, "protocol 'open' is neither seen nor unseen"),
        ({"train": np.array([], int)}, "no image has the role 'train'"),
        ({"gallery": np.array([], int)}, "no image has the role 'gallery'"),
        ({"query": np.array([], int)}, "no image has the role 'query'"),
        ({"train": np.array([0, 6])}, "train has indices 0..6, the data set has images 0..5"),
        ({"query": np.array([-1])}, "query has indices -1..-1"),
        ({"gallery": np.array([0, 3, 3])}, "gallery names an image twice"),
        ({"query": np.array([2, 4])}, "1 images are both query and gallery .*number 4"),
        ({"gallery": np.array([0, 3]), "query": np.array([1])}, "both query and train"),
        ({"gallery": np.array([0, 1])}, "identity 'bob' has query images but no gallery image"),
    ],
)
def test_what_would_give_a_meaningless_score_is_refused(changes, message):
    with pytest.raises(DatasetError, match=f"toy: .*{message}"):
        make(**changes).check()


STORAGE = {"in one piece": {}, "in chunks": {"chunks": (2, 4, 4, 3)}, "packed": {"compression": 1}}


@pytest.fixture(scope="module", params=STORAGE)
def stored(request, tmp_path_factory):
    images = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 3), np.uint8)
    path = tmp_path_factory.mktemp("stored") / "images.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, **STORAGE[request.param])
    with h5py.File(path) as file:
        yield images, make(images=file["images"])


@settings(max_examples=60, deadline=None)
@given(indices=st.lists(st.integers(0, 199), max_size=80), sliced=st.sampled_from([48, 500, 10**6]))
def test_a_file_gives_the_same_rows_as_memory(stored, indices, sliced):
    images, faces = stored
    wanted = np.array(indices, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SLICE_BYTES", sliced)
        rows = faces.read(wanted)
    assert rows.dtype == np.uint8 and np.array_equal(rows, images[wanted])
    assert np.array_equal(make(images=images).read(wanted), rows)


def test_reading_a_file_takes_slices_of_bounded_size(stored, monkeypatch):
    images, _ = stored
    taken = []

    class Spy:
        shape, dtype = images.shape, images.dtype

        def __getitem__(self, rows):
            taken.append(rows)
            return images[rows]

    monkeypatch.setattr(module, "_SLICE_BYTES", 10 * 48)
    wanted = np.array([150, 0, 3, 12, 151, 3])
    assert np.array_equal(make(images=Spy()).read(wanted), images[wanted])
    # 0 and 3 share a slice, 12 lies beyond the size of one, and 150 beyond a gap.
    assert taken == [slice(0, 4), slice(12, 13), slice(150, 152)]


def test_images_mapped_from_a_file_are_read_into_memory_of_their_own(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(range(96)) * 3)
    faces = make(images=np.memmap(path, np.uint8, "r", shape=(6, 4, 4, 3)))
    rows = faces.read(np.array([5, 1]))
    assert type(rows) is np.ndarray and rows.flags.writeable
    assert np.array_equal(rows, faces.images[[5, 1]])
