import numpy as np
import pytest

from facehash.codes import CodesError
from facehash.index.base import check_ids, check_k
from facehash.vectors import IndexRowsError, Space

VECTORS = Space("cosine", 3)
CODES = Space("hamming", 12)


def test_a_space_tells_the_width_and_dtype_of_its_rows():
    assert (VECTORS.width, VECTORS.dtype) == (3, np.float32)
    assert (CODES.width, CODES.dtype) == (2, np.uint8)


def test_rows_that_fit_are_returned_as_they_are():
    rows = np.ones((2, 3), np.float32)
    assert VECTORS.check(rows) is rows
    codes = np.array([[255, 15]], np.uint8)
    assert CODES.check(codes) is codes


@pytest.mark.parametrize(
    "rows", [np.ones((2, 3)), np.ones((2, 4), np.float32), np.ones(3, np.float32)]
)
def test_vectors_of_another_dtype_or_shape_are_refused(rows):
    with pytest.raises(IndexRowsError, match=r"rows must be float32 \(n, 3\), got"):
        VECTORS.check(rows)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(value):
    with pytest.raises(IndexRowsError, match="queries contain values that are not finite"):
        VECTORS.check(np.array([[0, value, 1]], np.float32), "queries")


def test_codes_with_dirty_padding_are_refused():
    with pytest.raises(CodesError, match="bits set beyond"):
        CODES.check(np.array([[0, 16]], np.uint8))


def test_ids_must_name_rows_one_by_one():
    assert list(check_ids(np.array([1, 5]), 2)) == [1, 5]
    for ids in (np.array([1, 1]), np.array([2, 1])):
        with pytest.raises(IndexRowsError, match="must increase"):
            check_ids(ids, 2)
    with pytest.raises(IndexRowsError, match=r"int64 \(2,\), got int64 \(1,\)"):
        check_ids(np.array([1]), 2)


def test_k_is_at_least_one():
    assert check_k(1) == 1
    with pytest.raises(IndexRowsError, match="at least 1, got 0"):
        check_k(0)
