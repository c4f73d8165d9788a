import numpy as np
import pytest

from facehash.codes import CodesError, bits_from_packed
from facehash.images.read import resize
from facehash.learning import encoding


def test_codes_are_the_packed_signs_of_the_relaxed_codes(make_model, faces):
    model = make_model(bits=20)
    relaxed = encoding.relaxed_codes(model, faces.images)
    assert relaxed.shape == (48, 20)
    packed = encoding.encode(model, faces.images)
    assert packed.shape == (48, 3)
    np.testing.assert_array_equal(bits_from_packed(packed, 20), relaxed >= 0)


def test_images_of_another_size_go_through_the_one_resize_function(make_model, rng):
    model = make_model()
    large = rng.integers(0, 256, (3, 64, 50, 3)).astype("uint8")
    small = np.stack([resize(image, 32) for image in large])
    np.testing.assert_array_equal(encoding.encode(model, large), encoding.encode(model, small))


def test_no_images_give_no_codes(make_model):
    assert encoding.encode(make_model(), np.empty((0, 32, 32, 3), np.uint8)).shape == (0, 2)


def test_rows_are_encoded_block_by_block_in_the_order_asked_for(make_model, faces, monkeypatch):
    monkeypatch.setattr(encoding, "_ROWS_IN_MEMORY", 5)
    model = make_model()
    rows = np.array([7, 3, 40, 3, 11, 0, 21])
    expected = encoding.encode(model, faces.images)[rows]
    np.testing.assert_array_equal(encoding.encode_rows(model, faces, rows), expected)


def test_a_model_that_returns_nan_is_not_given_a_code(make_model, faces):
    model = make_model()
    # In the last layer before the tanh: maxima on the way there would swallow a NaN.
    [bias] = [
        v for v in model.trainable_variables if "divide_and_encode" in v.path and "bias" in v.path
    ]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(CodesError, match="NaN"):
        encoding.encode(model, faces.images)
