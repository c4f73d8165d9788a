import pytest

from facehash.calibration.thresholds import THRESHOLDS
from facehash.library.query.verify import verify
from facehash.pipeline import default_pipeline
from tests.embedders.test_sface import pairs
from tests.helpers.face_data import weights_dir


@pytest.mark.parametrize("detector", ["yunet", "whole", "haar,keep=largest"])
def test_an_error_rate_is_reported_only_for_the_detector_it_was_measured_with(detector):
    [photos] = pairs(1)
    spec = default_pipeline(detector, "sface", weights_dir())
    verdict = verify(*photos, spec)
    [threshold] = [value for name, value in THRESHOLDS.items() if name.startswith("sface:")]
    assert verdict.threshold == threshold.distance
    assert verdict.same == (verdict.distance <= threshold.distance)
    if detector == "yunet":
        assert verdict.source == threshold.source
    else:
        name = detector.partition(",")[0]
        assert verdict.source.endswith(f"its error rate with {name} is unknown")
    given = verify(*photos, spec, threshold=0.1)
    assert (given.threshold, given.source) == (0.1, "given")
