import hashlib

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


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": np.zeros((6, 4, 5, 3), np.uint8)}, r"side, side, 3\), got uint8 \(6, 4, 5"),
        ({"images": np.zeros((6, 4, 4, 3), np.float32)}, "got float32"),
        ({"labels": np.zeros(5, int)}, r"integers of shape \(6,\), got int64 \(5,\)"),
        ({"labels": np.zeros(6)}, "got float64"),
        ({"labels": np.array([0, 0, 0, 1, 1, 2])}, r"lie in 0..1 \(one per identity\), got 0..2"),
        ({"protocol": "open"}, "protocol 'open' is none of seen, unseen, leave_one_out"),
        ({"train": np.array([], int)}, "no image has the role 'train'"),
        ({"train": np.array([0, 6])}, "train has indices 0..6, the data set has images 0..5"),
        ({"gallery": np.array([0, 3, 3])}, "gallery contains an image twice"),
        ({"query": np.array([2, 4])}, "1 images are both query and gallery .*image 4"),
        ({"gallery": np.array([0, 3]), "query": np.array([1])}, "both query and train"),
        (
            {"labels": np.array([0, 0, 0, 1, 1, 2]), "identities": ("ann", "bob", "eve")},
            "identity 'eve' has query images but no gallery image",
        ),
        # With one identity every answer is right: mAP 1 whatever the codes.
        ({"gallery": np.array([0, 1]), "query": np.array([2])}, r"gallery contains 1 identity"),
        ({"train": np.array([3, 4])}, r"train contains 1 identity \('bob'\)"),
    ],
)
def test_data_that_would_give_a_meaningless_score_are_refused(changes, message):
    with pytest.raises(DatasetError, match=f"toy: .*{message}"):
        make(**changes).check()


ALONE = {"protocol": "leave_one_out", "identities": ("ann", "bob", "cy", "di")}
ALONE |= {"labels": np.array([0, 1, 2, 2, 3, 3]), "train": np.array([0, 1])}


def test_with_leave_one_out_the_queries_are_the_gallery():
    rows = np.array([2, 3, 4, 5])
    faces = make(**ALONE, gallery=rows, query=rows)
    assert faces.check().leave_one_out and not make().leave_one_out


@pytest.mark.parametrize(
    ("gallery", "query", "message"),
    [
        ([2, 3, 4, 5], [2, 3, 5, 4], "needs the gallery as queries, in its order"),
        ([2, 3, 4], [2, 3, 4], r"identity 'di' has a single gallery image \(1 such"),
        ([0, 2, 3, 4, 5], [0, 2, 3, 4, 5], "1 images are both query and train"),
    ],
)
def test_leave_one_out_refuses_other_queries_and_people_with_one_image(gallery, query, message):
    with pytest.raises(DatasetError, match=message):
        make(**ALONE, gallery=np.array(gallery), query=np.array(query)).check()


def make_vectors(**changes):
    vectors = np.arange(18, dtype=np.float32).reshape(6, 3)
    return make(**({"images": None, "vectors": vectors} | changes))


def test_a_data_set_holds_vectors_in_place_of_images():
    faces = make_vectors().check()
    assert faces.dimension == 3 and faces.items is faces.vectors
    np.testing.assert_array_equal(faces.read(np.array([5, 0, 5])), faces.vectors[[5, 0, 5]])
    with pytest.raises(DatasetError, match="toy: a data set of vectors has no side"):
        _ = faces.side
    with pytest.raises(DatasetError, match="toy: a data set of images has no dimension"):
        _ = make().dimension


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"vectors": None}, "either images or vectors, got neither"),
        ({"images": make().images}, "either images or vectors, got both"),
        ({"vectors": np.ones((6, 3))}, r"vectors must be float32 \(n, d\), got float64 \(6, 3\)"),
        ({"vectors": np.ones(6, np.float32)}, r"got float32 \(6,\)"),
        ({"vectors": np.full((6, 3), np.inf, np.float32)}, "6 of 6 vectors are not finite"),
        ({"train": np.array([], int)}, "no vector has the role 'train'"),
        ({"gallery": np.array([0, 3, 3])}, "gallery contains a vector twice"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(changes, message):
    with pytest.raises(DatasetError, match=f"toy: .*{message}"):
        make_vectors(**changes).check()


def test_the_digest_of_vectors_is_that_of_their_numbers_and_labels():
    faces = make_vectors()
    found = hashlib.sha256(np.array([6, 3], "<i8").tobytes() + faces.vectors.tobytes())
    found.update(faces.labels.astype("<i8").tobytes())
    assert faces.digest() == found.hexdigest()


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


def test_equal_data_have_equal_digests_however_they_are_stored(tmp_path, monkeypatch):
    array = make()
    (tmp_path / "raw").write_bytes(array.images.tobytes())
    mapped = make(images=np.memmap(tmp_path / "raw", np.uint8, "r", shape=array.images.shape))
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = array.images
        digests = {make(images=file["images"]).digest(), mapped.digest(), array.digest()}
    # Blocks of one image, of four (the last one short), and narrower labels.
    for size in (48, 4 * 48):
        monkeypatch.setattr(module, "_SLICE_BYTES", size)
        digests.add(make(labels=array.labels.astype(np.int8)).digest())
    assert len(digests) == 1 and len(digests.pop()) == 64


@given(place=st.integers(0, 6 * 48 - 1), change=st.integers(1, 255), row=st.integers(0, 5))
def test_every_pixel_and_every_label_changes_the_digest(place, change, row):
    images, labels = make().images.copy(), make().labels.copy()
    images.reshape(-1)[place] ^= np.uint8(change)
    labels[row] = 1 - labels[row]
    digests = {make(**c).digest() for c in ({}, {"images": images}, {"labels": labels})}
    assert len(digests) == 3


def test_an_image_without_a_role_has_no_part_in_the_digest():
    roles = {"train": np.array([0, 3]), "gallery": np.array([0, 3])}
    images = make().images.copy()
    images[[1, 4]] = 7
    assert make(images=images, **roles).digest() == make(**roles).digest() != make().digest()


def test_the_shape_of_the_images_is_part_of_the_digest():
    # Four blank images of side 2 have the pixels of one of side 4.
    none = np.array([], int)
    digests = []
    for side, count in ((4, 1), (2, 4)):
        blank = {"images": np.zeros((6, side, side, 3), np.uint8), "labels": np.zeros(6, int)}
        faces = make(**blank, train=np.arange(count), gallery=none, query=none)
        digests.append(faces.digest())
    assert digests[0] != digests[1]
