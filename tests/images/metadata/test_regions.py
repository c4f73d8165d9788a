import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facehash.images.metadata.regions import PhotoPeople, Region, clipped, turn_back, turn_upright
from facehash.images.rgb import turned

SHARES = st.integers(0, 50).map(lambda one: one / 100)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation):
    # A box in a picture, turned by the function that turns photos: where is it then?
    pixels = np.zeros((30, 40), np.uint8)
    pixels[3:12, 8:20] = 255
    shown = np.asarray(turned(Image.fromarray(pixels), orientation))
    rows, columns = np.nonzero(shown)
    height, width = shown.shape
    expected = (
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1 - columns.min()) / width,
        (rows.max() + 1 - rows.min()) / height,
    )
    stored = (8 / 40, 3 / 30, 12 / 40, 9 / 30)
    assert turn_upright(stored, orientation) == pytest.approx(expected)
    assert turn_back(expected, orientation) == pytest.approx(stored)
    # Only one reading fits the proportions of the picture that the region was drawn on.
    sideways = orientation >= 5
    drawn = Region("Ann", stored, (400, 300))
    first, second = drawn.upright_boxes((40, 30), orientation)
    assert first == pytest.approx(expected) and (second is None) == sideways
    first, second = Region("Ann", stored, (300, 400)).upright_boxes((40, 30), orientation)
    assert first is None and second == (stored if sideways else None)
    # Cropped since.
    square = Region("Ann", stored, (300, 300))
    assert square.upright_boxes((40, 30), orientation) == (None, None)
    # A raw photo and its JPEG differ by a few columns.
    assert Region("Ann", stored, (6024, 4024)).upright_boxes((6000, 4000), orientation)[0]
    assert all(Region("Ann", stored).upright_boxes((40, 30), orientation))


@given(st.tuples(SHARES, SHARES, SHARES, SHARES), st.integers(0, 9))
def test_turning_back_undoes_turning(box, orientation):
    assert turn_back(turn_upright(box, orientation), orientation) == pytest.approx(box)


def test_boxes_are_cut_at_the_edges_and_useless_ones_refused():
    assert clipped(-0.5, 0.25, 1, 2) == (0, 0.25, 0.5, 0.75)
    assert clipped(0.5, 0.5, 0, 0) == (0.5, 0.5, 0, 0)
    nan, endless = float("nan"), float("inf")
    for box in (
        (nan, 0, 1, 1), (0, 0, 1, nan), (0, endless, 1, 1), (0, 0, endless, 1), (0.1, 0, -0.1, 1),
        (2, 0, 1, 1), (0, -2, 1, 1), (0.5, 0.5, 0.2, 0), (2, 2, 0, 0), (1, 0, 0.5, 1),
    ):  # fmt: skip
        assert clipped(*box) is None, box


def test_the_first_source_counts_for_a_face_and_others_add_to_it():
    sidecar = PhotoPeople((Region("Ann", (0, 0, 0.5, 0.5)),), ("Cy",))
    inside = PhotoPeople(
        (Region("Bea", (0.1, 0, 0.5, 0.5)), Region("Bo", (0.7, 0, 0.3, 0.5))), ("Bo", "Dora", "Cy")
    )
    joined = PhotoPeople.join([sidecar, inside])
    assert [one.name for one in joined.regions] == ["Ann", "Bo"]
    assert joined.names == ("Cy", "Dora")
    # Two regions of one source are never the same, as nobody draws one twice.
    twice = PhotoPeople((Region("Ann", (0, 0, 1, 1)), Region("Bo", (0, 0, 1, 1))))
    assert PhotoPeople.join([twice]) == twice
    assert not PhotoPeople.join([])
