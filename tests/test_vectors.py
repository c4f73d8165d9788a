import numpy as np
import pytest

from facehash.embedders.base import check_faces
from facehash.errors import InputError
from facehash.vectors import check_finite, unit_rows


def test_rows_get_length_one_and_zeros_stay():
    rows = unit_rows(np.array([[3, 4], [0, 0], [-2, 0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    assert rows.dtype == np.float32


@pytest.mark.parametrize(
    "faces",
    [np.zeros((2, 9, 9, 3)), np.zeros((2, 9, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)],
)
def test_other_shapes_and_dtypes_are_refused(faces):
    with pytest.raises(ValueError, match=r"faces are uint8 \(n, 9, 9, 3\), got"):
        check_faces(faces, 9)


def test_a_row_that_is_no_vector_is_refused():
    check_finite(np.zeros((2, 3), np.float32), "net")
    with pytest.raises(InputError, match="net: the network returned values that are not finite"):
        check_finite(np.array([[1, np.nan]], np.float32), "net")
