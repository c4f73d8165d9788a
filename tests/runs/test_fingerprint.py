import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehash.errors import InputError
from facehash.runs.fingerprint import merge_records, picture_hashes, record_pictures, recorded

IMAGES = np.random.default_rng(5).integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)


def hashes(images, seed=None):
    return picture_hashes(images, np.arange(len(images)), seed)


def test_equal_pixels_have_equal_hashes_and_one_changed_pixel_another():
    changed = IMAGES[:2].copy()
    changed[1, 11, 11, 2] ^= 1
    assert hashes(changed)[0] == hashes(IMAGES)[0]
    assert hashes(changed)[1] != hashes(IMAGES)[1]
    assert len(np.unique(hashes(IMAGES))) == 40
    # The same bytes in another shape are another picture, and a seed changes every hash.
    assert not np.isin(hashes(IMAGES.reshape(40, 6, 24, 3)), hashes(IMAGES)).any()
    assert not np.isin(hashes(IMAGES, seed=0), hashes(IMAGES)).any()


def test_rows_are_hashed_in_the_given_order():
    rows = np.array([7, 3, 3, 39])
    assert np.array_equal(picture_hashes(IMAGES, rows), hashes(IMAGES)[rows])
    assert picture_hashes(IMAGES, rows[:0]).shape == (0,)


@given(st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_a_record_holds_a_set_of_pictures(one, other):
    every = hashes(IMAGES)
    first, second = (record_pictures(every[sorted(rows)]) for rows in (one, other))
    assert set(np.flatnonzero(recorded(first, every))) == one
    assert set(np.flatnonzero(recorded(merge_records(first, second), every))) == one | other
    assert record_pictures(every[[*sorted(one, reverse=True), *one]]) == first


def test_the_record_of_the_papers_data_is_small_and_chance_matches_are_rare():
    drawn = np.random.default_rng(0).integers(0, 2**64, 63_800 + 7_975, dtype=np.uint64)
    record = record_pictures(drawn[:63_800])
    assert len(record) == pytest.approx(425_000, abs=1000)
    assert recorded(record, drawn[:63_800]).all()
    # 7,975 * 63,800 / 2^40 = 0.0005 are expected.
    assert not recorded(record, drawn[63_800:]).any()


def test_the_format_of_the_record_does_not_drift():
    record = record_pictures(np.array([2**63, 2**24], np.uint64))
    assert base64.b64decode(record) == bytes([0, 0, 0, 0, 1, 128, 0, 0, 0, 0])


@pytest.mark.parametrize("record, message", [("a", "not base64"), ("AAAA", "3 bytes, expected")])
def test_a_damaged_record_is_refused(record, message):
    with pytest.raises(InputError, match=message):
        recorded(record, hashes(IMAGES))
