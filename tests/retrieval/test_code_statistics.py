import numpy as np
import pytest

from facehash.codes import packed_from_bits
from facehash.retrieval import code_statistics as module
from facehash.retrieval.code_statistics import code_statistics


def test_a_hand_made_set_of_codes():
    # Bit 0 is always 1, bit 1 never; bits 2 and 3 are opposites; bit 4 agrees with 2 in half.
    codes = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 0], [1, 0, 0, 1, 1], [1, 0, 0, 1, 0]], np.uint8)
    found = code_statistics(packed_from_bits(codes), 5)
    assert found.ones.tolist() == [1.0, 0.0, 0.5, 0.5, 0.5]
    assert found.dead == 2
    assert found.correlation == pytest.approx((1 + 0 + 0) / 3)  # pairs (2,3), (2,4), (3,4)


def test_statistics_equal_those_of_numpy_over_several_blocks(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 64)
    rng = np.random.default_rng(3)
    codes = (rng.random((300, 20)) < rng.uniform(0.2, 0.8, 20)).astype(np.uint8)
    found = code_statistics(packed_from_bits(codes), 20)
    np.testing.assert_allclose(found.ones, codes.mean(axis=0))
    expected = np.abs(np.corrcoef(codes.T))[np.triu_indices(20, k=1)].mean()
    assert found.correlation == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("bits", [1, 8])
def test_codes_that_are_all_alike_have_no_correlation(bits):
    found = code_statistics(packed_from_bits(np.ones((3, bits), np.uint8)), bits)
    assert (found.dead, found.correlation) == (bits, None)
