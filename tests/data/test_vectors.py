"""Vectors as a data set: the file, what is refused, and the roles."""

import logging

import numpy as np
import pytest

from data.arrays import read_vectors_file
from data.conversion import SourceError
from data.labeled_images import FacesFileError
from facehash.runs.fingerprint import picture_hashes
from tests.helpers.array_files import SAVERS
from tests.helpers.datasets import load

VECTORS = np.random.default_rng(0).normal(size=(6, 5))
ROLES = ["train", "train", "query", "train", "train", "gallery", "", "gallery", "gallery", ""]
NAMES = ["bob", "bob", "ann", "Zoë 李", "ann", "Zoë 李"]


@pytest.fixture(params=["npz", "h5", "MATLAB 5"])
def write(request, tmp_path):
    return writer(request.param, tmp_path)


@pytest.fixture
def write_npz(tmp_path):
    return writer("npz", tmp_path)


def writer(kind, folder):
    ending, saver = SAVERS[kind]

    def write(**arrays):
        path = folder / f"vectors{ending}"
        saver(path, {key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def test_vectors_of_any_precision_are_read_with_names(write):
    for dtype in ("f4", "f8", "f2"):
        vectors = VECTORS.astype(dtype)
        path = write(vectors=vectors, labels=NAMES)
        faces = load(path, loader="vectors")
        assert faces.images is None and faces.vectors.dtype == np.float32 and faces.dimension == 5
        rows = np.array([4, 0])
        np.testing.assert_array_equal(faces.read(rows), vectors.astype("f4")[rows])
        assert [faces.identities[label] for label in faces.labels] == NAMES
        assert faces.counts() == {"identities": 3, "train": 3, "gallery": 3, "query": 3}
        if dtype == "f8" and path.suffix == ".mat":
            break  # MATLAB has no half precision


def test_integer_labels_get_the_given_names_or_are_the_names(write):
    labels = np.array([0, 0, 2, 2, 1, 1])
    faces = load(write(vectors=VECTORS, labels=labels), loader="vectors")
    assert faces.identities == ("0", "1", "2")
    is_query = np.array([0, 1, 0, 1, 1, 0])
    path = write(vectors=VECTORS, labels=labels, identities=["x", "y", "z"], is_query=is_query)
    faces = load(path, loader="vectors")
    assert [faces.identities[label] for label in faces.labels] == list("xxzzyy")
    assert faces.query.tolist() == [1, 3, 4] and faces.split == "given"


def test_three_roles_are_read(write_npz):
    masks = {role: np.array([role in roles for roles in ROLES]) for role in ("train", "gallery")}
    masks |= {"query": ~(masks["train"] | masks["gallery"])}
    labels = ["x", "x", "", "y", "y", "z", "z", "w", "w", "w"]
    vectors = np.arange(30.0).reshape(10, 3)
    path = write_npz(vectors=vectors, labels=labels, **masks)
    faces = load(path, loader="vectors", protocol="unseen")
    assert faces.train.tolist() == [0, 1, 2, 3] and faces.gallery.tolist() == [4, 6, 7]
    assert faces.query.tolist() == [5, 8] and faces.vectors[2].tolist() == [9, 10, 11]


def test_an_export_of_a_library_is_read_without_faces_that_have_no_name(write_npz, caplog):
    split = np.array([0, 0, 1, 1, 0, 0])
    names = ["bob", "", "bob", "ann", "ann", ""]
    path = write_npz(embedding=VECTORS, name=names, score=np.ones(6), is_query=split)
    with caplog.at_level(logging.WARNING):
        faces = load(path, loader="vectors")
    assert caplog.messages == [f"{path}: 2 of 6 vectors without a name are omitted"]
    np.testing.assert_array_equal(faces.vectors, VECTORS[[0, 2, 3, 4]].astype("f4"))
    assert faces.identities == ("ann", "bob") and faces.labels.tolist() == [1, 1, 0, 0]
    assert faces.query.tolist() == [1, 2]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"vectors": np.zeros((6, 5), int)}, r"vectors must be floats \(n, d\), got int64 \(6, 5"),
        ({"vectors": VECTORS[0]}, r"floats \(n, d\), got float64 \(5,\)"),
        ({"vectors": VECTORS[:0]}, r"got float64 \(0, 5\)"),
        ({"vectors": np.where(VECTORS == VECTORS[3, 1], np.nan, VECTORS)}, "1 of 6 .* is row 3"),
        ({"vectors": VECTORS * 1e300}, "6 of 6 vectors contain NaN or infinity"),
        ({"vectors": None}, "no array 'vectors'"),
        ({"vectors": None, "vector": VECTORS}, r"no array 'vectors' \(did you mean 'vector'\?\)"),
        ({"labels": None}, "no array 'labels'"),
        ({"labels": NAMES[:5]}, "6 vectors but 5 labels"),
        ({"labels": np.arange(5)}, "6 vectors but 5 labels"),
        ({"labels": [""] * 6}, "no vector has a name"),
        ({"identities": ["a", "b"]}, "labels are names, so identities has nothing to name"),
        ({"labels": ["", *NAMES[1:]], "is_query": np.ones(4, bool)}, "6 vectors but 4 of is_query"),
    ],
)
def test_what_is_no_set_of_labeled_vectors_is_refused_in_one_line(write_npz, changes, message):
    path = write_npz(**({"vectors": VECTORS, "labels": NAMES} | changes))
    with pytest.raises(FacesFileError, match=message) as error:
        read_vectors_file(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_folder_and_a_file_of_vectors_read_as_images_are_refused(write_npz, tmp_path):
    with pytest.raises(SourceError, match="is a folder, the loader 'vectors' reads a file"):
        load(tmp_path, loader="vectors")
    with pytest.raises(FacesFileError, match="no array 'images'.*; vectors need dataset.loader: v"):
        load(write_npz(vectors=VECTORS, labels=NAMES))


def test_equal_vectors_are_duplicates_and_content_ranks_by_the_numbers(write_npz):
    vectors = np.repeat(VECTORS, 2, axis=0)[:10]  # a copy of each
    labels = np.repeat([0, 1], [4, 6])
    path = write_npz(vectors=vectors, labels=labels)
    faces = load(path, loader="vectors", duplicates="drop", queries_per_identity=1)
    used = np.concatenate([faces.gallery, faces.query])
    assert sorted(used) == [0, 2, 4, 6, 8]
    kept = load(path, loader="vectors", split="content", queries_per_identity=1)
    assert kept.split == "content" and len(kept.query) == 4  # copies share a role
    hashes = picture_hashes(kept.vectors, np.arange(10), seed=0)
    assert hashes[0] == hashes[1] != hashes[2]
    for person in range(2):
        rows = kept.query[kept.labels[kept.query] == person]
        assert set(hashes[rows]) == {hashes[labels == person].min()}
