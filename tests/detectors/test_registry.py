import numpy as np
import pytest

from facehash.detectors.full_image import FullImage
from facehash.detectors.registry import make_detector
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
