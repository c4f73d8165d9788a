import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facehash import codes
from facehash.codes import CodesError
from facehash.errors import InputError

bit_matrices = st.integers(1, 70).flatmap(
    lambda bits: hnp.arrays(
        np.uint8, st.tuples(st.integers(0, 5), st.just(bits)), elements=st.integers(0, 1)
    )
)


def test_sign_of_zero_and_of_negative_zero_is_plus_one():
    signs = codes.sign(np.array([[0.0, -0.0, 1e-30, -1e-30]]))
    assert signs.dtype == np.int8
    assert signs.tolist() == [[1, 1, 1, -1]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_sign_takes_any_real_dtype_and_shape(dtype):
    assert codes.sign(np.array([-1, 0, 1], dtype=dtype)).tolist() == [-1, 1, 1]


def test_sign_of_infinity_is_its_sign():
    assert codes.sign([np.inf, -np.inf]).tolist() == [1, -1]


def test_sign_refuses_nan_and_says_how_many():
    with pytest.raises(CodesError, match=r"NaN \(2 of 3 values\)"):
        codes.sign([np.nan, 1.0, np.nan])


@pytest.mark.parametrize("values", [["a"], [1j], [None]])
def test_sign_refuses_what_is_not_real(values):
    with pytest.raises(CodesError, match="real numbers"):
        codes.sign(np.array(values))


def test_bits_are_packed_least_significant_first_with_zero_padding():
    bits = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0, 1, 0, 0]])
    # bit 0 is 1, bit 1 is 2, bit 7 is 128 of byte 0; bit 9 is 2 of byte 1
    assert codes.packed_from_bits(bits).tolist() == [[1, 2], [130, 0]]


@given(bit_matrices)
def test_every_way_round_the_three_representations_comes_back(bits):
    length = bits.shape[1]
    signs = codes.signs_from_bits(bits)
    packed = codes.packed_from_signs(signs)
    assert (signs == 2 * bits.astype(int) - 1).all()
    assert packed.shape == (len(bits), codes.packed_width(length))
    assert (codes.packed_from_bits(bits) == packed).all()
    assert (codes.bits_from_packed(packed, length) == bits).all()
    assert (codes.signs_from_packed(packed, length) == signs).all()
    assert (codes.bits_from_signs(signs) == bits).all()
    assert codes.check_packed(packed, length) is packed


@given(bit_matrices)
def test_bit_j_is_bit_j_mod_8_of_byte_j_div_8(bits):
    packed = codes.packed_from_bits(bits)
    for row in range(len(bits)):
        for j in range(bits.shape[1]):
            assert packed[row, j // 8] >> (j % 8) & 1 == bits[row, j]


def test_results_have_the_dtypes_of_the_contract():
    signs = np.array([[1.0, -1.0]])
    assert codes.bits_from_signs(signs).dtype == np.uint8
    assert codes.packed_from_signs(signs).dtype == np.uint8
    assert codes.signs_from_bits([[True, False]]).dtype == np.int8


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 1024])
def test_lengths_from_1_to_1024_have_a_width(bits):
    assert codes.packed_width(bits) == -(-bits // 8)
    assert codes.packed_from_bits(np.ones((1, bits))).shape == (1, -(-bits // 8))


@pytest.mark.parametrize("bits", [0, -1, 1025])
def test_other_lengths_are_refused(bits):
    with pytest.raises(CodesError, match=f"1 to 1024 bits, got {bits}"):
        codes.packed_width(bits)


@pytest.mark.parametrize("bits", [8.0, "8", True, None])
def test_a_length_that_is_no_integer_is_refused(bits):
    with pytest.raises(CodesError, match="must be an integer from 1 to 1024"):
        codes.packed_width(bits)


def test_a_matrix_of_1025_bits_is_refused():
    with pytest.raises(CodesError, match="got 1025"):
        codes.packed_from_bits(np.zeros((1, 1025)))


@pytest.mark.parametrize(
    ("convert", "value", "allowed"),
    [
        (codes.bits_from_signs, 0, "-1 or 1"),
        (codes.packed_from_signs, 2, "-1 or 1"),
        (codes.signs_from_bits, -1, "0 or 1"),
        (codes.packed_from_bits, 0.5, "0 or 1"),
        (codes.packed_from_bits, np.nan, "0 or 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(convert, value, allowed):
    matrix = np.ones((2, 3))
    matrix[1, 2] = value
    with pytest.raises(
        CodesError, match=rf"{allowed}, got {float(value)} at row 1, column 2 \(1 such"
    ):
        convert(matrix)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3)])
def test_codes_must_have_two_axes(shape):
    with pytest.raises(CodesError, match=r"shape \(n, bits\)"):
        codes.bits_from_signs(np.ones(shape))


def test_codes_must_be_numbers():
    with pytest.raises(CodesError, match="must be numbers"):
        codes.bits_from_signs(np.array([["a"]]))


def test_packed_codes_of_another_width_are_refused():
    with pytest.raises(CodesError, match="12 bits must have 2 bytes per code, got 3"):
        codes.check_packed(np.zeros((1, 3), np.uint8), 12)


@pytest.mark.parametrize("array", [np.zeros((1, 1), np.int64), np.zeros(1, np.uint8)])
def test_packed_codes_of_another_dtype_or_shape_are_refused(array):
    with pytest.raises(CodesError, match=r"gallery codes must be uint8 \(n, 1\)"):
        codes.check_packed(array, 8, "gallery codes")


def test_a_set_bit_in_the_padding_is_refused_with_its_row():
    with pytest.raises(CodesError, match=r"beyond the 12 used \(row 1, last byte 16\)"):
        codes.bits_from_packed(np.array([[255, 15], [0, 16]], np.uint8), 12)


def test_errors_are_input_errors_of_one_line():
    with pytest.raises(InputError) as caught:
        codes.packed_from_bits([[2]])
    assert "\n" not in str(caught.value)
