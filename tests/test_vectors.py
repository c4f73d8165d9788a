import numpy as np
import pytest

from facehash.embedders.base import check_faces
from facehash.errors import InputError
from facehash.vectors import IndexRowsError, Space, check_finite, unit_rows

VECTORS = Space("cosine", 3)
CODES = Space("hamming", 12)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((2, 3)), r"queries must be float32 \(n, 3\), got float64 \(2, 3\)"),
        (np.ones((2, 4), np.float32), r"queries must be float32 \(n, 3\), got"),
        (np.ones(3, np.float32), r"queries must be float32 \(n, 3\), got"),
        *(
            (np.array([[0, value, 1]], np.float32), "queries contain values that are not finite")
            for value in (np.nan, np.inf, -np.inf)
        ),
    ],
)
def test_vectors_that_cannot_be_searched_are_refused(rows, message):
    with pytest.raises(IndexRowsError, match=message):
        VECTORS.check(rows, "queries")


def test_vectors_are_scaled_to_length_one_except_zeros():
    rows = unit_rows(np.array([[3, 4], [0, 0], [-2, 0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    assert rows.dtype == np.float32
    # Scaled rows are not copied.
    assert unit_rows(rows) is rows


def test_tiny_and_huge_vectors_keep_their_direction():
    rows = np.array([[1e-30, 0], [0, 1e30]], np.float32)
    assert unit_rows(rows).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "faces",
    [np.zeros((2, 9, 9, 3)), np.zeros((2, 9, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)],
)
def test_faces_of_another_shape_or_dtype_are_refused(faces):
    with pytest.raises(ValueError, match=r"faces must be uint8 \(n, 9, 9, 3\), got"):
        check_faces(faces, 9)


def test_a_network_that_returns_nan_is_named():
    check_finite(np.zeros((2, 3), np.float32), "net")
    with pytest.raises(InputError, match="net: the network returned values that are not finite"):
        check_finite(np.array([[1, np.nan]], np.float32), "net")
