import numpy as np
import pytest

from facehash.index.base import check_ids, check_k
from facehash.vectors import IndexRowsError


def test_ids_must_be_increasing_and_one_per_row():
    assert list(check_ids(np.array([1, 5]), 2)) == [1, 5]
    for ids in (np.array([1, 1]), np.array([2, 1])):
        with pytest.raises(IndexRowsError, match="must be increasing"):
            check_ids(ids, 2)
    with pytest.raises(IndexRowsError, match=r"int64 \(2,\), got int64 \(1,\)"):
        check_ids(np.array([1]), 2)


def test_k_is_at_least_one():
    assert check_k(1) == 1
    with pytest.raises(IndexRowsError, match="at least 1, got 0"):
        check_k(0)
