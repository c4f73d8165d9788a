import numpy as np
import pytest

from facehash.detectors.full_image import FullImage
from facehash.detectors.haar import Haar
from facehash.detectors.registry import make_detector
from facehash.errors import InputError
from tests.helpers.face_data import weights_dir


def test_a_full_image_is_one_face():
    [face] = FullImage().detect(np.zeros((30, 40, 3), np.uint8))
    assert face.box == (0, 0, 40, 30) and face.landmarks is None and face.score == 1


def test_detectors_are_made_by_name_and_options():
    assert isinstance(make_detector("whole"), FullImage)
    assert make_detector("haar,keep=first").keep == "first"
    assert isinstance(make_detector("haar"), Haar)
    assert make_detector("yunet,score=0.9", weights_dir()).score == 0.9


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
