"""How a threshold and its error rates follow from distances."""

import numpy as np
import pytest

from facehash.calibration.measure import (
    compare_all,
    embed_folder,
    error_rates,
    measure,
    threshold_at,
)
from facehash.pipeline import FacePipeline
from facehash.vectors import Space
from tests.library import fakes


def test_a_threshold_keeps_to_the_false_match_rate():
    impostor = np.array([0.1, 0.2, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    assert threshold_at(impostor, 0.1) == pytest.approx(0.15)
    # Two pairs have the same distance: both are accepted or none.
    assert threshold_at(impostor, 0.2) == pytest.approx(0.15)
    assert threshold_at(impostor, 0.3) == pytest.approx(0.35)
    assert threshold_at(impostor, 0) == pytest.approx(0.05)


def test_every_pair_is_compared_once():
    rows = np.array([[0, 0], [3, 4], [0, 1], [0, 2]], np.float32)
    pairs = compare_all(rows, np.array([0, 0, 1, 1]), Space("euclidean", 2))
    assert pairs.genuine.tolist() == [1, 5]
    assert np.allclose(pairs.impostor, [1, 2, np.sqrt(13), np.sqrt(18)])
    assert error_rates(pairs, 1.5) == {"false_match_rate": 0.25, "false_non_match_rate": 0.5}


def test_a_threshold_is_tried_on_people_on_whom_it_was_not_chosen():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 4)
    rows = rng.normal(size=(20, 8))[labels] + 0.1 * rng.normal(size=(80, 8))
    result = measure(rows.astype(np.float32), labels, Space("cosine", 8), 0.01)
    assert result["genuine_pairs"] == 20 * 6 and result["impostor_pairs"] == 80 * 79 // 2 - 120
    assert result["false_match_rate"] <= 0.01 and result["false_non_match_rate"] < 0.05
    assert len(result["chosen_on_one_half_tried_on_the_other"]) == 2


def test_the_face_nearest_to_the_middle_of_each_photo_is_embedded(photos):
    (photos / "Ann" / "night.png").write_bytes((photos / "night.png").read_bytes())
    pipeline = FacePipeline.create(fakes.make_pipeline("halves", "cosine:12"))
    rows, labels, without_face = embed_folder(photos, pipeline)
    assert (rows.shape, without_face) == ((6, 12), 2)
    assert np.bincount(labels).tolist() == [2, 1, 2, 1]  # Ann, Bo, Cy, and the folder of the party
