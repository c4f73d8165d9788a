import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facehash import codes
from facehash.codes import CodesError

bit_matrices = st.integers(1, 70).flatmap(
    lambda bits: hnp.arrays(
        np.uint8, st.tuples(st.integers(0, 5), st.just(bits)), elements=st.integers(0, 1)
    )
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, -0.0, 1e-30, -1e-30]], [[1, 1, 1, -1]]),
        ([np.inf, -np.inf], [1, -1]),
        *((np.array([-1, 0, 1], d), [-1, 1, 1]) for d in (np.float16, np.float32, np.int8)),
    ],
)
def test_the_sign_of_zero_is_plus_one_in_any_real_dtype_and_shape(values, expected):
    signs = codes.sign(values)
    assert signs.dtype == np.int8 and signs.tolist() == expected


def test_bits_are_packed_least_significant_first_with_zero_padding():
    bits = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0, 1, 0, 0]])
    # bit 0 is 1, bit 1 is 2, bit 7 is 128 of byte 0; bit 9 is 2 of byte 1
    assert codes.packed_from_bits(bits).tolist() == [[1, 2], [130, 0]]


@given(bit_matrices)
def test_every_conversion_between_the_three_representations_is_inverted(bits):
    length = bits.shape[1]
    signs = codes.signs_from_bits(bits)
    packed = codes.packed_from_signs(signs)
    assert (signs.dtype, packed.dtype) == (np.int8, np.uint8)
    assert (signs == 2 * bits.astype(int) - 1).all()
    assert packed.shape == (len(bits), codes.packed_width(length))
    assert (codes.packed_from_bits(bits) == packed).all()
    assert (codes.bits_from_packed(packed, length) == bits).all()
    assert (codes.signs_from_packed(packed, length) == signs).all()
    assert (codes.bits_from_signs(signs.astype(float)) == bits).all()
    assert codes.check_packed(packed, length) is packed


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        *((bits, f"1 to 1024 bits, got {bits}") for bits in (0, -1, 1025)),
        *((bits, "must be an integer from 1 to 1024") for bits in (8.0, "8", True, None)),
    ],
)
def test_other_lengths_are_refused(bits, message):
    with pytest.raises(CodesError, match=message):
        codes.packed_width(bits)


@pytest.mark.parametrize(
    ("convert", "value", "allowed"),
    [
        (codes.bits_from_signs, 0, "-1 or 1"),
        (codes.signs_from_bits, -1, "0 or 1"),
        (codes.packed_from_bits, np.nan, "0 or 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(convert, value, allowed):
    matrix = np.ones((2, 3))
    matrix[1, 2] = value
    message = rf"{allowed}, got {float(value)} at row 1, column 2 \(1 such"
    with pytest.raises(CodesError, match=message):
        convert(matrix)


@pytest.mark.parametrize(
    ("convert", "arguments", "message"),
    [
        (codes.sign, ([np.nan, 1.0, np.nan],), r"NaN \(2 of 3 values\)"),
        *((codes.sign, (np.array(v),), "real numbers") for v in (["a"], [1j], [None])),
        (codes.bits_from_signs, (np.ones(3),), r"shape \(n, bits\)"),
        (codes.bits_from_signs, (np.array([["a"]]),), "must be numbers"),
        (codes.check_packed, (np.zeros((1, 3), np.uint8), 12), "must have 2 bytes per code, got 3"),
        (codes.check_packed, (np.zeros((1, 1), int), 8, "these"), r"these must be uint8 \(n, 1\)"),
        (
            codes.bits_from_packed,
            (np.array([[255, 15], [0, 16]], np.uint8), 12),
            r"beyond the 12 used \(row 1, last byte 16\)",
        ),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(convert, arguments, message):
    with pytest.raises(CodesError, match=message) as caught:
        convert(*arguments)
    assert "\n" not in str(caught.value)
