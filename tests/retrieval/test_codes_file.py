import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, packed_from_bits, signs_from_packed
from facehash.retrieval.codes_file import CodeSet, read_codes, write_codes
from tests.helpers.array_files import SAVERS, save_matlab_4

BITS = 12
NAMES = ("gallery_codes", "query_codes", "gallery_labels", "query_labels")


def arrays(kind="bits", dtype=np.int8):
    """Gallery of 5 and query of 3 codes of 12 bits, as other tools store them."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 2, (5, BITS)), rng.integers(0, 2, (3, BITS))]
    if kind == "packed":
        codes = [packed_from_bits(part) for part in codes]
    else:
        codes = [(part if kind == "bits" else 2 * part - 1).astype(dtype) for part in codes]
    labels = [np.array([0, 1, 2, 1, 0]), np.array([2, 1, 0])]
    content = dict(zip(NAMES, codes + labels, strict=True))
    return content | ({"bits": np.int64(BITS)} if kind == "packed" else {})


def expected():
    return CodeSet(**arrays("packed") | {"bits": BITS})


def assert_equal(found, wanted):
    assert found.bits == wanted.bits
    for name in NAMES:
        one, other = getattr(found, name), getattr(wanted, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == (np.uint8 if name.endswith("codes") else np.int64)


def label_sets(content):
    """The same file with label sets: label 0, 1 or 2 as before, and label 3 for the first code."""
    content = dict(content)
    for part in ("gallery", "query"):
        sets = np.eye(4, dtype=bool)[content.pop(f"{part}_labels")]
        sets[0, 3] = True
        content[f"{part}_label_sets"] = sets
    return content


def save(tmp_path, content, form="npz"):
    ending, saver = (".mat", save_matlab_4) if form == "MATLAB 4" else SAVERS[form]
    path = tmp_path / f"codes{ending}"
    saver(path, content)
    return path


@pytest.mark.parametrize("form", [*SAVERS, "MATLAB 4"])
@pytest.mark.parametrize("kind", ["bits", "signs", "packed"])
def test_every_form_of_codes_reads_the_same_from_every_form_of_file(tmp_path, form, kind):
    content = arrays(kind)
    if form == "MATLAB 4":  # supports neither int64 nor arrays without two axes
        content = {
            name: array if array.dtype == np.uint8 else np.asarray(array, np.float64)
            for name, array in content.items()
        }
    assert_equal(read_codes(save(tmp_path, content, form)), expected())


@pytest.mark.parametrize("dtype", [bool, np.uint64, np.float16])
def test_every_dtype_with_the_right_values_is_accepted(tmp_path, dtype):
    assert_equal(read_codes(save(tmp_path, arrays("bits", dtype))), expected())


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_labels_are_rows_or_columns_of_integers_of_any_dtype(tmp_path, shape, dtype):
    labels = {name: arrays()[name].reshape(shape).astype(dtype) for name in NAMES[2:]}
    assert_equal(read_codes(save(tmp_path, arrays() | labels)), expected())


@pytest.mark.parametrize("form", ["npz", "h5", "MATLAB 5", "MATLAB 7.3", "MATLAB 4"])
def test_label_sets_are_read_from_every_form_of_file(tmp_path, form):
    sets = label_sets(arrays())
    content = {n: a if a.dtype != bool else a.astype(np.uint8) for n, a in sets.items()}
    if form == "MATLAB 4":
        content = {name: array.astype(float) for name, array in content.items()}
    found = read_codes(save(tmp_path, content, form))
    for part in ("gallery", "query"):
        labels = getattr(found, f"{part}_labels")
        assert labels.dtype == bool
        np.testing.assert_array_equal(labels, sets[f"{part}_label_sets"])


@pytest.mark.parametrize("sets", [False, True])
def test_with_leave_one_out_the_queries_are_the_gallery(tmp_path, sets):
    content = label_sets(arrays()) if sets else arrays()
    alone = {name: array for name, array in content.items() if name.startswith("gallery")}
    alone["leave_one_out"] = np.int64(1)
    found = read_codes(save(tmp_path, alone))
    assert found.leave_one_out
    np.testing.assert_array_equal(found.query_codes, found.gallery_codes)
    np.testing.assert_array_equal(found.query_labels, found.gallery_labels)
    # Written with both, so that a tool without leave-one-out finds what it needs.
    write_codes(tmp_path / "again.npz", found)
    again = read_codes(tmp_path / "again.npz")
    assert again.leave_one_out and again.query_labels.dtype == found.query_labels.dtype
    with np.load(tmp_path / "again.npz") as file:
        kind = "label_sets" if sets else "labels"
        assert {"query_codes", f"query_{kind}"} <= set(file.files)
    off = content | {"leave_one_out": np.bool_(False)}
    assert not read_codes(save(tmp_path, off)).leave_one_out


def test_other_arrays_in_the_file_are_ignored(tmp_path):
    content = arrays() | {"notes": np.array([{"a": object()}], dtype=object)}
    assert_equal(read_codes(save(tmp_path, content)), expected())


@given(st.integers(1, 80), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_written_codes_are_read_unchanged(tmp_path_factory, bits, n, q, seed):
    rng = np.random.default_rng(seed)
    codes = [packed_from_bits(rng.integers(0, 2, (size, bits))) for size in (n, q)]
    labels = [rng.integers(-(2**62), 2**62, size) for size in (n, q)]
    path = tmp_path_factory.mktemp("codes") / "deep" / "codes.npz"
    write_codes(path, CodeSet(*codes, *labels, bits))
    assert_equal(read_codes(path), CodeSet(*codes, *labels, bits))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("codes.npz", {"bits": 20}, "20 bits must have 3 bytes"),
        ("codes.npz", {"query_labels": np.arange(2)}, "has 2 labels, query_codes has 3"),
        ("codes.h5", {}, "written as .npz"),
    ],
)
def test_wrong_codes_and_names_are_not_written(tmp_path, name, change, message):
    with pytest.raises(CodesError, match=message):
        write_codes(tmp_path / name, CodeSet(**(vars(expected()) | change)))
    assert not list(tmp_path.iterdir())


def big_endian():
    """The same codes as `np.packbits` packs them by default."""
    bits = arrays()
    packed = {name: np.packbits(bits[name].astype(np.uint8), axis=1) for name in NAMES[:2]}
    return arrays("packed") | packed


@pytest.mark.parametrize("form", SAVERS)
def test_codes_in_the_bit_order_of_numpy_are_converted_if_the_file_says_so(tmp_path, form):
    content = big_endian()
    if form != "hdf5":
        content |= {"bit_order": "big" if form in ("npz", "MATLAB 5") else ["big"]}
        found = read_codes(save(tmp_path, content, form))
    else:
        found = read_codes(save(tmp_path, content, form), "big")
    assert_equal(found, expected())
    assert found.bit_order_known


def test_packed_codes_without_a_bit_order_are_taken_for_little_and_marked(tmp_path):
    path = save(tmp_path, arrays("packed"))
    found = read_codes(path)
    assert_equal(found, expected())
    assert not found.bit_order_known
    assert read_codes(path, "little").bit_order_known
    assert read_codes(save(tmp_path, arrays())).bit_order_known  # not packed
    write_codes(path, found)
    assert read_codes(path).bit_order_known
    with pytest.raises(CodesError, match="'little' in the file, not 'big' as requested"):
        read_codes(path, "big")


# -- refusals -------------------------------------------------------------------------------------


def assert_refused(path, *parts):
    with pytest.raises(CodesError) as caught:
        read_codes(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    assert all(part in message for part in parts), message


def test_files_without_the_arrays_are_refused(tmp_path):
    # The forms of files and their damages are tested with `facehash.array_files`.
    content = arrays()
    content["galery_codes"] = content.pop("gallery_codes")
    path = save(tmp_path, content)
    assert_refused(path, "no array 'gallery_codes'", "did you mean 'galery_codes'?")
    path.write_text("gallery_codes = [1 0 1]\n" * 50)
    assert_refused(path, "codes")
    assert_refused(tmp_path / "codes.txt", ".npz, .h5, .hdf5, .mat or .csv", "got '.txt'")


GALLERY, QUERY = arrays()["gallery_codes"], arrays()["query_codes"]
CASES = {
    "bits": [
        ("gallery_codes", 2 * GALLERY, "gallery_codes contains 2; codes are {0, 1} or {-1, +1}"),
        ("gallery_codes", GALLERY - 1.0, "query_codes together contain -1, 0 and 1"),
        ("query_codes", np.full((3, 12), np.nan), "query_codes contains nan"),
        ("query_codes", np.full((3, 12), 9, np.uint8), "packed codes need an array 'bits'"),
        ("query_codes", QUERY[:, :8], "gallery_codes has 12 columns and query_codes 8"),
        ("query_codes", QUERY[0], "two axes (n, bits), got shape (12,)"),
        ("query_codes", QUERY[:0], "query_codes is empty, shape (0, 12)"),
        ("query_codes", np.full((3, 12), "a"), "query_codes must hold numbers, got dtype <U1"),
        ("query_labels", np.arange(2), "query_labels has 2 labels, query_codes has 3 codes"),
        ("query_labels", np.eye(3), "(n,), (n, 1) or (1, n), one identity per code, got (3, 3)"),
        ("query_labels", np.array([1, 2.5, 0]), "query_labels contains 2.5"),
        ("query_labels", np.array([2**64 - 1] * 3, np.uint64), "contains 18446744073709551615"),
        ("query_labels", np.array(["ann", "bob", "eve"]), "must be integers, got dtype <U3"),
        ("bit_order", np.array("big"), "the codes have one column per bit; only packed codes"),
    ],
    "packed": [
        ("bits", np.int64(20), "gallery_codes has 2 columns, packed codes of 20 bits have 3"),
        ("bits", np.int64(11), "gallery_codes have bits set beyond the 11 used"),
        ("bits", np.array([12, 12]), "bits must be one integer from 1 to 1024, got [12, 12]"),
        ("bits", np.float64(12.5), "bits must be one integer from 1 to 1024, got 12.5"),
        ("query_codes", np.zeros((3, 2), int), "must be packed uint8 because 'bits' is present"),
        ("query_codes", np.zeros((3, 12), np.uint8), "12 columns, packed codes of 12 bits have 2"),
        ("bit_order", np.array("middle"), "bit_order must be 'little' or 'big', got 'middle'"),
        ("bit_order", np.array([1, 2]), "bit_order must be 'little' or 'big', got int64 (2,)"),
        ("bit_order", np.array("big"), "the padding must be 0, bit_order is 'big'"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "name", "array", "message"),
    [(kind, *case) for kind, cases in CASES.items() for case in cases],
)
def test_wrong_values_and_shapes_are_refused(tmp_path, kind, name, array, message):
    assert_refused(save(tmp_path, arrays(kind) | {name: array}), message)


SETS = label_sets(arrays())
LEAVE = {"leave_one_out": np.int64(1)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SETS | {"query_label_sets": np.ones((3, 1))}, "must have shape (3, L), one row per code"),
        (SETS | {"query_label_sets": np.ones((4, 3))}, "L at least 2, got (4, 3)"),
        (SETS | {"query_label_sets": np.full((3, 4), 2)}, "must be booleans or 0 and 1, got"),
        (SETS | {"query_label_sets": np.ones((3, 5))}, "over the same L labels"),
        (SETS | {"query_labels": np.arange(3)}, "identities or label sets, not both"),
        ({n: a for n, a in SETS.items() if n != "query_label_sets"}, "no array 'query_label_sets'"),
        (arrays() | {"query_labels": np.eye(3)}, "several labels per code are query_label_sets"),
        (arrays() | LEAVE, "needs the gallery as queries, in the same order"),
        (arrays() | {"leave_one_out": np.int64(2)}, "leave_one_out must be 0 or 1, got 2"),
        ({"query_codes": QUERY} | LEAVE, "no array 'gallery_codes'"),
        ({"gallery_codes": GALLERY} | LEAVE, "no array 'gallery_labels'"),
    ],
)
def test_wrong_label_sets_and_queries_other_than_the_gallery_are_refused(
    tmp_path, content, message
):
    assert_refused(save(tmp_path, content), message)


@pytest.mark.parametrize("columns", [0, 1025])
def test_lengths_outside_1_to_1024_are_refused(tmp_path, columns):
    wide = {"gallery_codes": np.zeros((5, columns)), "query_codes": np.zeros((3, columns))}
    message = f"{columns} columns, a code has 1 to 1024 bits (one row per code, one column per bit)"
    assert_refused(save(tmp_path, arrays() | wide), message)


@pytest.mark.parametrize("kind", ["bits", "packed"])
def test_projections_of_the_queries_are_read_and_written(tmp_path, kind):
    signs = signs_from_packed(expected().query_codes, BITS)
    projections = signs * np.random.default_rng(1).random(signs.shape)
    projections[0, :4] = 0  # goes with either bit
    path = save(tmp_path, arrays(kind) | {"query_projections": projections})
    found = read_codes(path)
    assert_equal(found, expected())
    assert found.query_projections.dtype == np.float32
    np.testing.assert_array_equal(found.query_projections, projections.astype(np.float32))
    write_codes(tmp_path / "again.npz", found)
    again = read_codes(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.query_projections, found.query_projections)
    assert read_codes(save(tmp_path, arrays(kind))).query_projections is None


def test_projections_that_do_not_fit_the_codes_are_refused(tmp_path):
    signs = signs_from_packed(expected().query_codes, BITS).astype(float)
    wrong = signs.copy()
    wrong[2, 5] *= -3
    for projections, message in (
        (wrong, "signs of query_codes: 1 of 36 differ, the first in row 2, bit 5"),
        (signs[1:], "query_projections has 2 rows, query_codes has 3 codes"),
        (signs[:, 1:], r"query_projections must be real numbers \(q, 12\)"),
        (signs * np.nan, "not finite"),
    ):
        path = save(tmp_path, arrays() | {"query_projections": projections})
        with pytest.raises(CodesError, match=message):
            read_codes(path)
