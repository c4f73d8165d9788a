import pytest

from facehash.calibration.thresholds import THRESHOLDS
from facehash.library.query.verify import verify
from facehash.pipeline import default_pipeline
from tests.conftest import shared_path
from tests.helpers.face_data import weights_dir


@pytest.fixture(scope="module")
def photos():
    people = sorted(path for path in shared_path("faces", "lfw").iterdir() if path.is_dir())
    return next(pair for person in people if len(pair := sorted(person.glob("*.jpg"))[:2]) == 2)


@pytest.mark.parametrize("detector", ["yunet", "whole", "haar,keep=largest"])
def test_errors_are_promised_only_for_the_detector_that_they_were_measured_with(photos, detector):
    verdict = verify(*photos, default_pipeline(detector, "sface", weights_dir()))
    [threshold] = [one for name, one in THRESHOLDS.items() if name.startswith("sface:")]
    assert verdict.threshold == threshold.distance
    if detector == "yunet":
        assert verdict.source == threshold.source
    else:
        finder = detector.partition(",")[0]
        assert verdict.source.endswith(f"how often it errs with {finder} is unknown")
    given = verify(*photos, default_pipeline(detector, "sface", weights_dir()), threshold=0.1)
    assert (given.threshold, given.source) == (0.1, "given")
