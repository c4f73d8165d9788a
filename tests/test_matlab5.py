import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facehash.matlab5 import is_matlab_5, variables

# Written by MATLAB itself, 5 to 7.4, on machines of both byte orders; they come with SciPy.
THEIRS = sorted((Path(scipy.io.__file__).parent / "matlab" / "tests" / "data").glob("*.mat"))
# What SciPy reads under another name or not at all.
OTHERWISE = {"bad_miutf8_array_name.mat", "nasty_duplicate_fieldnames.mat"}


def read(content):
    return {name: one.read() for name, one in variables(memoryview(content)).items()}


@pytest.mark.skipif(not THEIRS, reason="SciPy is installed without its tests")
@pytest.mark.filterwarnings("ignore")
def test_files_of_matlab_are_read_as_scipy_reads_them():
    compared = set()
    for path in THEIRS:
        content = path.read_bytes()
        if not is_matlab_5(content[:128]) or path.name in OTHERWISE:
            continue
        try:
            wanted = scipy.io.loadmat(path)
        except Exception:
            with pytest.raises(Exception, match="."):
                read(content)
            continue
        for name, value in read(content).items():
            if isinstance(value, np.ndarray):
                # Down to the type, but not to the byte order.
                assert value.dtype == wanted[name].dtype.newbyteorder("="), (path, name)
                np.testing.assert_array_equal(value, wanted[name])
                compared.add(value.dtype.kind)
            elif isinstance(value, list):
                cells = ["".join(cell.ravel()) for cell in wanted[name].ravel(order="F")]
                assert value == cells
            else:
                found = wanted.get(name)
                assert not isinstance(found, np.ndarray) or found.dtype.kind in "OV"
    assert compared == set("iufcU")


NUMBERS = st.one_of(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(
    sizes=(32, 64)), hnp.complex_number_dtypes(sizes=(64, 128)))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    array=NUMBERS.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, min_side=0))),
    packed=st.booleans(),
)
def test_numbers_of_every_kind_come_back_as_they_went(tmp_path_factory, array, packed):
    path = tmp_path_factory.getbasetemp() / "numbers.mat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scipy.io.savemat(path, {"x": array}, do_compression=packed)
    found = read(path.read_bytes())["x"]
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


def test_infinite_parts_of_a_complex_number_leave_the_other_part_alone(tmp_path):
    numbers = np.array([[complex(0, np.inf), complex(-np.inf, 1), complex(np.nan, 2)]])
    scipy.io.savemat(tmp_path / "numbers.mat", {"x": numbers})
    found = read((tmp_path / "numbers.mat").read_bytes())["x"]
    np.testing.assert_array_equal(found.real, numbers.real)
    np.testing.assert_array_equal(found.imag, numbers.imag)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_compressed_array_without_all_of_its_sum_is_damaged(tmp_path, cut):
    scipy.io.savemat(tmp_path / "x.mat", {"x": np.arange(50.0)}, do_compression=True)
    content = (tmp_path / "x.mat").read_bytes()
    (length,) = struct.unpack("<I", content[132:136])
    assert len(content) == 136 + length and "x" in read(content)
    cut_off = content[:132] + struct.pack("<I", length - cut) + content[136:-cut]
    with pytest.raises(ValueError, match="compressed array of another length"):
        read(cut_off)


def element(kind, content, order="<"):
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def file(*matrices, order="<"):
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x100)
    return head + (b"IM" if order == "<" else b"MI") + b"".join(matrices)


def matrix(name, kind, shape, *parts, order="<"):
    flags = element(6, struct.pack(f"{order}II", kind, 0), order)
    lengths = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, flags + lengths + element(1, name, order) + b"".join(parts), order)


@pytest.mark.parametrize("order", "<>")
def test_text_of_matlab_is_in_utf_16_of_its_byte_order(order):
    codec = {"<": "utf-16-le", ">": "utf-16-be"}[order]
    text = element(4, "Zoë 李".encode(codec), order)
    assert read(file(matrix(b"x", 4, (1, 5), text, order=order), order=order))["x"] == ["Zoë 李"]


def test_rows_of_text_are_rows():
    text = element(16, b"abcdef")
    assert read(file(matrix(b"x", 4, (2, 3), text)))["x"].tolist() == ["ace", "bdf"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((6, (2, 2), element(9, bytes(24))), "shape .2, 2. and 24 bytes"),
        ((6, (2, -2), element(9, bytes(24))), "shape .2, -2."),
        ((6, (2**31 - 1, 2**31 - 1), element(9, bytes(24))), "and 24 bytes"),
        ((6, (1, 1), element(99, bytes(8))), "numbers of type 99"),
        ((6, (1, 1)), "ends too early"),
        ((6, (3,), element(9, bytes(24))), "shape .3,."),
        ((1, (2**31 - 1, 1), element(14, b"")), "ends too early"),
        ((1, (1, 1), element(9, bytes(8))), "cell of type 9"),
        ((4, (1, 2), element(200, b"ab")), "text of type 200"),
        ((4, (2, 2), element(2, b"abc")), "text of shape"),
    ],
)
def test_what_does_not_fit_its_bytes_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        read(file(matrix(b"x", *parts)))


def test_an_element_longer_than_the_file_is_refused():
    whole = file(matrix(b"x", 6, (1, 2), element(9, bytes(16))))
    for length in range(129, len(whole)):
        with pytest.raises(ValueError, match="ends within|ends too early"):
            read(whole[:length])
