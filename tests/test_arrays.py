import h5py
import numpy as np
import pytest
import scipy.io

import data
from data.arrays import read_arrays
from data.faces import FacesFileError
from data.sources import SourceError
from facehash.faces.images import resize

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
LABELS = np.array([4, 4, 4, 9, 9, 9])
NAMES = ["Ann", "Bo", "Zoë 李 🙂"]


def write_npz(path, **arrays):
    np.savez(path, **arrays)


def write_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            is_text = isinstance(value, list) and isinstance(value[0], str)
            file.create_dataset(key, data=value, dtype=h5py.string_dtype() if is_text else None)


def write_chunked(path, **arrays):
    write_h5(path, **{key: value for key, value in arrays.items() if key != "images"})
    with h5py.File(path, "r+") as file:
        file.create_dataset("images", data=arrays["images"], chunks=(2, 16, 16, 3), compression=1)


def write_mat(path, **arrays):
    cells = {
        key: np.array(value, dtype=object) if isinstance(value, list) else value
        for key, value in arrays.items()
    }
    scipy.io.savemat(path, cells)


def write_mat73(path, **arrays):
    """As MATLAB does: HDF5 behind a header, axes reversed, cells as references to characters."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in arrays.items():
            if isinstance(value, list):
                cells = [
                    file.create_dataset(
                        f"#refs#/{key}{number}",
                        data=np.frombuffer(text.encode("utf-16-le"), np.uint16)[:, None],
                    )
                    for number, text in enumerate(value)
                ]
                refs = np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
                file.create_dataset(key, data=refs, dtype=h5py.ref_dtype)
            else:
                array = np.asarray(value)
                file[key] = array.T if array.ndim > 1 else array[:, None]
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


WRITERS = {
    "npz": ("faces.npz", write_npz),
    "h5": ("faces.h5", write_h5),
    "h5 in chunks": ("faces.hdf5", write_chunked),
    "mat 5": ("faces.mat", write_mat),
    "mat 7.3": ("faces.mat", write_mat73),
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    name, writer = WRITERS[request.param]

    def write(**arrays):
        path = tmp_path / name
        writer(path, **{"images": IMAGES, "labels": LABELS} | arrays)
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
    write_h5(tmp_path / "one.h5", images=IMAGES, labels=LABELS)
    write_chunked(tmp_path / "chunks.h5", images=IMAGES, labels=LABELS)
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
    for name, writer in WRITERS.values():
        if writer is not write_chunked:
            writer(tmp_path / name, images=images, labels=LABELS)
            with pytest.raises(FacesFileError, match=f"faces.*: .*{message}"):
                load(tmp_path / name)


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
@pytest.mark.parametrize("kind", WRITERS)
def test_a_missing_array_is_named_with_those_found(tmp_path, kind, missing):
    name, writer = WRITERS[kind]
    if writer is write_chunked:
        writer = write_h5
    arrays = {"images": IMAGES, "labels": LABELS, "other": np.ones(2)}
    del arrays[missing]
    writer(tmp_path / name, **arrays)
    with pytest.raises(FacesFileError, match=rf"has no \w+ '{missing}' \(found: .*other"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["faces.npz", "faces.h5", "faces.mat"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind, but long enough" * 10])
def test_a_file_of_another_kind_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FacesFileError, match=f"{name}: cannot be"):
        load(tmp_path / name)


def test_a_single_array_called_npz_is_refused(tmp_path):
    with (tmp_path / "faces.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(FacesFileError, match="cannot be read as .npz: it is no zip archive"):
        load(tmp_path / "faces.npz")


def test_a_cell_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "faces.mat"
    write_mat73(path, images=IMAGES, labels=LABELS, identities=["a", "b"])
    with h5py.File(path, "r+") as file:
        del file["#refs#/identities0"]
        file["identities"][0, 0] = file.create_dataset("#refs#/x", data=[1.0]).ref
    with pytest.raises(FacesFileError, match="identities must be text, got a cell of float64"):
        load(path)


@pytest.mark.parametrize("name", ["faces.h5", "faces.mat"])
def test_a_group_in_place_of_an_array_is_refused(tmp_path, name):
    path = tmp_path / name
    writer = write_h5 if name.endswith("h5") else write_mat73
    writer(path, images=IMAGES, labels=LABELS)
    with h5py.File(path, "r+") as file:
        file.create_group("identities")
    with pytest.raises(FacesFileError, match="'identities'"):
        load(path)


def test_an_npz_cut_short_is_refused(tmp_path):
    path = tmp_path / "faces.npz"
    write_npz(path, images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FacesFileError, match="cannot be read as .npz"):
        load(path)


def test_pickled_objects_in_an_npz_are_never_loaded(tmp_path):
    path = tmp_path / "faces.npz"
    write_npz(path, images=IMAGES, labels=LABELS, identities=np.array(["a", None], dtype=object))
    with pytest.raises(
        FacesFileError, match="'identities' holds Python objects, which are not read"
    ):
        load(path)


def test_an_empty_file_of_arrays_is_refused(tmp_path):
    write_npz(tmp_path / "faces.npz", images=IMAGES[:0], labels=LABELS[:0])
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
