import struct
import sys

import h5py
import numpy as np
import pytest
import scipy.io

from facehash import array_files, hdf5_matlab
from facehash.array_files import ArrayFileError, read_arrays
from tests.helpers.array_files import SAVERS, save_h5

NAMES = ["Ann", "Bo", "Zoë 李 🙂"]
ARRAYS = {
    "matrix": np.arange(12, dtype=np.int16).reshape(3, 4),
    "cube": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "reals": np.array([[0.5, np.nan]]),
}
FORMS = [form for form in SAVERS if form != "hdf5"]


def save(tmp_path, content=ARRAYS, form="npz"):
    ending, saver = SAVERS[form]
    path = tmp_path / f"file{ending}"
    saver(path, content)
    return path


def read(path, required=("matrix",), optional=()):
    """Read without a child process, which takes half a second to start."""
    if path.suffix != ".npz" and path.is_file():
        return hdf5_matlab.read(path, required, optional)[0]
    return read_arrays(path, required, optional)


def refused(path, *parts, required=("matrix",), reader=read):
    with pytest.raises(ArrayFileError) as caught:
        reader(path, required)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize("form", SAVERS)
def test_arrays_have_the_shape_they_were_written_with(tmp_path, form):
    path = save(tmp_path, ARRAYS | {"names": NAMES}, form)
    found = read_arrays(path, ARRAYS, ["names", "missing"])
    assert list(found) == [*ARRAYS, "names"]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert found["names"].dtype.kind == "U" and found["names"].ravel().tolist() == NAMES


@pytest.mark.parametrize("form", SAVERS)
def test_arrays_that_nobody_reads_are_named_in_one_line(tmp_path, form, caplog):
    path = save(tmp_path, ARRAYS | {"names": NAMES}, form)
    read_arrays(path, ["matrix"], ["missing"])
    [line] = [record.getMessage() for record in caplog.records]
    start, _, names = line.rpartition(": ")
    assert start == f"{path}: 3 arrays are not read"
    assert sorted(names.split(", ")) == ["cube", "names", "reals"]
    caplog.clear()
    read_arrays(path, ARRAYS, ["names"])
    assert not caplog.records


@pytest.mark.parametrize("form", ["MATLAB 5", "MATLAB 7.3"])
def test_an_empty_cell_is_an_empty_name(tmp_path, form):
    path = save(tmp_path, {"names": ["Ann", "" if form == "MATLAB 5" else "shape"]}, form)
    if form == "MATLAB 7.3":
        # MATLAB stores the shape of an empty array in its place.
        with h5py.File(path, "r+") as file:
            file["#refs#/names1"].attrs["MATLAB_empty"] = np.uint8(1)
    assert read(path, ["names"])["names"].ravel().tolist() == ["Ann", ""]


@pytest.mark.parametrize("name", ["file.npz", "file.h5", "file.mat"])
def test_a_missing_file_another_content_and_a_folder_are_refused(tmp_path, name):
    refused(tmp_path / name, "no such file")
    for content in (b"", b"matrix = [1 0 1]\n" * 50):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be read as")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    refused(tmp_path / name, "is a folder")


def test_another_suffix_is_refused(tmp_path):
    refused(tmp_path / "file.npy", "end in .npz, .h5, .hdf5, .mat, got '.npy'", reader=read_arrays)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_truncated_file_is_refused(tmp_path, form, share):
    path = save(tmp_path, form=form)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matlab_file_cut_in_an_array_that_nobody_asked_for_is_refused(tmp_path, compressed):
    path = tmp_path / "cut.mat"
    last = np.random.default_rng(0).random(500)
    scipy.io.savemat(path, {"matrix": np.eye(3), "last": last}, do_compression=compressed)
    assert set(read(path, optional=("last",))) == {"matrix", "last"}
    path.write_bytes(path.read_bytes()[:-1000])
    refused(path, "the file ends within an array")


def test_the_child_finds_this_package_whatever_is_in_the_path_of_modules(tmp_path, monkeypatch):
    path = save(tmp_path, form=FORMS[-1])
    monkeypatch.setattr("sys.path", [tmp_path, "", "..", *sys.path])
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(read_arrays(path, ["matrix"])["matrix"], ARRAYS["matrix"])


def test_pickled_objects_are_never_loaded(tmp_path):
    path = save(tmp_path, {"matrix": np.array([1, None, 2], dtype=object)})
    refused(path, "matrix contains Python objects, which are not read for safety; store numbers")


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_array_is_named_with_the_nearest_or_with_all(tmp_path, form):
    path = save(tmp_path, form=form)
    refused(path, "no array 'matrx' (did you mean 'matrix'?)", required=["cube", "matrx"])
    refused(path, "no array 'zzz' (known: cube, matrix, reals)", required=["zzz"])


def test_a_group_instead_of_an_array_is_refused(tmp_path):
    path = save(tmp_path, form="h5")
    with h5py.File(path, "r+") as file:
        del file["matrix"]
        file.create_group("matrix")
    refused(path, "matrix is not an array of numbers or text")


@pytest.mark.parametrize(
    "value",
    [{"a": 1}, scipy.sparse.eye(3).tocsc(), [1, "a"], ["a", np.array(["b", "c"])]],
    ids=["structure", "sparse", "numbers and text", "text of two rows"],
)
def test_other_matlab_values_are_refused(tmp_path, value):
    path = tmp_path / "file.mat"
    if isinstance(value, list):
        cells = np.empty(len(value), object)
        cells[:] = value
        value = cells
    scipy.io.savemat(path, {"matrix": value})
    refused(path, "matrix is not an array of numbers or text")


def element(kind, content, order):
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def save_matlab_array(path, order, shape, kind, stored, content):
    """Write an array x as MATLAB 5 does on a machine of either byte order."""
    flags = element(6, struct.pack(f"{order}II", kind, 0), order)
    lengths = element(5, struct.pack(f"{order}2i", *shape), order)
    parts = flags + lengths + element(1, b"x", order) + element(stored, content, order)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x100)
    mark = {"<": b"IM", ">": b"MI"}[order]
    path.write_bytes(head + mark + element(14, parts, order))


@pytest.mark.parametrize("order", "<>")
def test_numbers_and_utf_16_text_of_matlab_are_read_in_both_byte_orders(tmp_path, order):
    numbers = np.array([[1.5, -2.0]], f"{order}f8")
    save_matlab_array(tmp_path / "x.mat", order, (1, 2), 6, 9, numbers.tobytes())
    found = read(tmp_path / "x.mat", ["x"])["x"]
    assert found.tolist() == [[1.5, -2.0]] and found.dtype == np.dtype("=f8")
    # MATLAB counts units of 16 bits: two of them for the last character.
    units = NAMES[2].encode({"<": "utf-16-le", ">": "utf-16-be"}[order])
    save_matlab_array(tmp_path / "x.mat", order, (1, len(units) // 2), 4, 4, units)
    assert read(tmp_path / "x.mat", ["x"])["x"].tolist() == [NAMES[2]]


def test_a_cell_that_is_not_text_is_refused(tmp_path):
    path = save(tmp_path, {"names": ["a", "b"]}, "MATLAB 7.3")
    with h5py.File(path, "r+") as file:
        file["names"][0, 0] = file.create_dataset("#refs#/x", data=[1.0]).ref
    refused(path, "names must be text, got a cell of float64", required=["names"])


def elsewhere(path, how):
    other = path.with_name("other")
    save_h5(other, {"matrix": np.arange(6)})
    with h5py.File(path, "w") as file:
        if how == "link":
            file["matrix"] = h5py.ExternalLink(other, "matrix")
        elif how == "link to a link":
            file["there"] = h5py.ExternalLink(other, "/")
            file["matrix"] = h5py.SoftLink("/there/matrix")
        elif how == "bytes":
            file.create_dataset("matrix", (6,), "u1", external=[(other, 0, 6)])
        else:
            layout = h5py.VirtualLayout((6,), "i8")
            layout[:] = h5py.VirtualSource(other, "matrix", (6,))
            file.create_virtual_dataset("matrix", layout)


@pytest.mark.parametrize("how", ["link", "link to a link", "bytes", "virtual"])
def test_a_file_cannot_make_another_one_be_read(tmp_path, how):
    elsewhere(tmp_path / "file.h5", how)
    refused(tmp_path / "file.h5", "matrix is stored in another file, which is not read")


@pytest.mark.parametrize("options", [{}, {"chunks": (1000,)}, {"fillvalue": 7}])
def test_an_array_too_large_for_its_file_is_not_allocated(tmp_path, options):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("matrix", (10**11,), "u1", **options)
    refused(tmp_path / "file.h5", "matrix has the shape (100000000000,), far more than")


def test_an_array_that_compresses_well_is_read(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("matrix", data=np.zeros((10_000, 1000), np.uint8), compression=9)
    assert (tmp_path / "file.h5").stat().st_size < 100_000
    assert not read(tmp_path / "file.h5")["matrix"].any()


def test_an_error_in_the_child_process_is_reported(tmp_path):
    path = save(tmp_path, form="MATLAB 5")
    message = "no array 'matrx' (did you mean 'matrix'?)"
    refused(path, message, required=["matrx"], reader=read_arrays)
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "cannot be read as MATLAB file", reader=read_arrays)


def test_a_crash_of_the_child_process_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "_CHILD", "import os; os.abort()")
    path = save(tmp_path, form="h5")
    refused(path, "the process that reads it ended with status -6; the", reader=read_arrays)


def test_a_file_that_hdf5_never_finishes_reading_is_refused_after_the_time_limit(
    tmp_path, monkeypatch
):
    path = save(tmp_path, {"matrix": [[1.0]], "names": NAMES}, "h5")
    content = bytearray(path.read_bytes())
    # The last object of the heap of texts is its free space, of which the size is set to 0.
    texts = (16 + -(-len(name.encode()) // 8) * 8 for name in NAMES)
    at = content.index(b"GCOL") + 16 + sum(texts)
    assert struct.unpack("<HHI", content[at : at + 8])[0] == 0
    content[at + 8 : at + 16] = bytes(8)
    path.write_bytes(content)
    monkeypatch.setattr(array_files, "_SECONDS", 4.0)
    refused(path, "reads it took more than 4 s", required=["names"], reader=read_arrays)
