import numpy as np
import pytest

from facehash.detectors.full_image import FullImage
from facehash.detectors.registry import choose_detector, make_detector
from facehash.errors import InputError


def test_a_full_image_is_one_face():
    [face] = FullImage().detect(np.zeros((30, 40, 3), np.uint8))
    assert face.box == (0, 0, 40, 30) and face.landmarks is None and face.score == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yunt", "detector 'yunt' is unknown.*did you mean 'yunet'"),
        ("haar,keep=some", "keep=some: must be one of all, first, largest"),
        ("yunet,score=high", "score=high: must be a number"),
        ("yunet,scores=1", "unknown option 'scores' .did you mean 'score'"),
        ("whole,keep=all", "unknown option 'keep' .it takes none"),
        ("haar,keep=all,keep=all", "'keep' is given twice"),
    ],
)
def test_an_invalid_specification_is_explained(name, message):
    with pytest.raises(InputError, match=message):
        make_detector(name)


OLD = "yunet,tiles=off,turns=off"


@pytest.mark.parametrize(
    ("given", "stored", "small_faces", "expected"),
    [
        (None, None, None, "yunet"),
        (None, None, "off", "yunet,tiles=off"),
        (None, None, "auto", "yunet"),
        ("haar", None, None, "haar"),
        (None, "haar", None, "haar"),
        # A library of 0.2.0 keeps its detector, whose name the user may repeat.
        (None, OLD, None, OLD),
        ("yunet", OLD, None, OLD),
        ("yunet,score=0.9", OLD, None, f"yunet,score=0.9{OLD[5:]}"),
        ("yunet,tiles=auto,turns=auto", OLD, None, "yunet,tiles=auto,turns=auto"),
        (None, OLD, "off", OLD),
        (None, "yunet,tiles=auto", "auto", "yunet"),
        (None, "yunet,tiles=off", "off", "yunet,tiles=off"),
        ("yunet", "haar", None, "yunet"),
    ],
)
def test_a_library_keeps_the_settings_of_its_detector(given, stored, small_faces, expected):
    assert choose_detector(given, stored, small_faces) == expected


@pytest.mark.parametrize(
    ("given", "stored", "small_faces", "message"),
    [
        (None, OLD, "auto", "--small-faces auto: the library was made with off"),
        (None, "yunet", "off", "--small-faces off: the library was made with auto"),
        ("haar", None, "auto", "'haar' has no setting for small faces; yunet has one"),
    ],
)
def test_a_setting_that_a_library_cannot_have_is_refused(given, stored, small_faces, message):
    with pytest.raises(InputError, match=message):
        choose_detector(given, stored, small_faces)
