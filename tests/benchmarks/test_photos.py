"""The benchmarks of turned, blurred and small faces, and what their committed results show."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.photos import conditions, small_faces
from benchmarks.photos.compare_indexing import _children
from facehash.calibration.thresholds import SMALLEST
from facehash.detectors.tiles import HINT


def faces(rows, people, widths):
    rows = np.array(rows, np.float32)
    return conditions.Faces(rows, np.array(people), np.arange(len(rows)), np.array(widths, float))


def test_errors_are_counted_over_all_pairs_of_two_photos():
    found = faces([[1, 0], [0, 1], [1, 0], [0.6, 0.8]], [0, 0, 1, 1], [10, 40, 40, 40])
    # Distances: 0-1 one person, 1; 0-2 two people, 0; 0-3 .4; 1-2 1; 1-3 .2; 2-3 one person, .4.
    rates = conditions.rates(found, found, 0.3)
    assert rates["false_match_rate"] == 0.5 and rates["impostor_pairs"] == 4
    assert rates["false_non_match_rate"] == 1 and rates["genuine_pairs"] == 2
    normal = faces([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 1, 1], [40] * 4)
    # A photo is not compared with itself, whether changed or not.
    assert conditions.rates(found, normal, 0.3)["genuine_pairs"] == 4
    groups = conditions.group([list(conditions.compare(found, found))], 0.3)
    by_start = {group["from"]: group for group in groups}
    assert by_start[10]["impostor_pairs"] == 2 and by_start[10]["false_match_rate"] == 0.5
    assert by_start[30]["impostor_pairs"] == 2 and by_start[30]["to"] is None


def test_photos_are_turned_counterclockwise_and_reduced():
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 60:] = 255  # right becomes up
    for degrees in (90, 89.9):
        turned = conditions.turn(image, degrees)
        assert turned[: len(turned) // 4].mean() > 200 > 50 > turned[-len(turned) // 4 :].mean()
    assert conditions.reduce(image, 45).shape == (30, 45, 3)


def test_found_faces_are_counted_by_their_middles():
    class Fixed:
        def detect(self, image):
            class Found:
                def __init__(self, box):
                    self.box = box

            return [Found((90.0, 90.0, 20.0, 20.0)), Found((300.0, 0.0, 20.0, 20.0))]

    middles = [(104.0, 97.0), (200.0, 9.0)]
    assert small_faces.count(Fixed(), np.zeros((9, 9, 3)), middles, 20) == (1, 1)


@pytest.mark.parametrize("make", [small_faces.noise, None])
def test_faces_are_pasted_where_they_are_said_to_be(make, tmp_path):
    face = np.full((250, 250, 3), 255, np.uint8)
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), face)
    rng = np.random.default_rng(0)
    picture = make(1200, 800, rng) // 2 if make else np.zeros((800, 1200, 3), np.uint8)
    middles = small_faces.paste(picture, [path] * 20, 40, rng)
    assert len(middles) == 20
    assert all((picture[round(y), round(x)] == 255).all() for x, y in middles)


def test_the_time_of_child_processes_never_falls():
    assert 0 <= _children() <= _children()


def test_below_the_limit_the_threshold_does_not_hold_and_above_it_does():
    result = json.loads(conditions.RESULT.read_text(encoding="utf-8"))
    assert result["smallest_effective_width"] == SMALLEST
    for group in result["by_effective_width"]:
        rate, pairs = group["false_match_rate"], group["impostor_pairs"]
        if group["from"] >= SMALLEST:
            # Within three standard errors of 2 in 1,000.
            assert rate < 0.002 + 3 * (0.002 / pairs) ** 0.5, group
        elif pairs > 5000:
            assert rate > 0.002, group


def test_the_limit_is_chosen_on_people_who_are_not_measured():
    chosen, measured = conditions.halves(250)
    assert sorted(chosen + measured) == list(range(250)) and not set(chosen) & set(measured)
    result = json.loads(conditions.RESULT.read_text(encoding="utf-8"))
    groups = result["choice"]["by_effective_width"]
    assert conditions.choose_width(groups) == result["smallest_effective_width"]
    assert groups != result["by_effective_width"]
    rates = [{"from": low, "false_match_rate": rate} for low, rate in ((0, 0.0), (5, 0.1), (9, 0))]
    assert conditions.choose_width(rates) == 9  # no group above it has more false matches


def test_tilted_faces_have_few_errors():
    result = json.loads(conditions.RESULT.read_text(encoding="utf-8"))
    for row in result["conditions"]:
        if row["condition"] == "turned by degrees":
            rates = row["after"]["both_changed"]
            assert rates["false_match_rate"] < 0.002 and rates["false_non_match_rate"] < 0.1, row
            assert row["after"]["faces"] > 0.95


def test_turned_photos_have_the_errors_of_upright_ones():
    result = json.loads(conditions.RESULT.read_text(encoding="utf-8"))
    turned = [row for row in result["conditions"] if row["condition"] == "turned by degrees"]
    for row in turned:
        if row["value"] in (90, 180, 270):
            before, after = row["before"]["both_changed"], row["after"]["both_changed"]
            assert before["false_match_rate"] > 0.25 and after["false_match_rate"] < 0.002
            assert row["after"]["faces"] > 0.98 and after["false_non_match_rate"] < 0.03


def test_more_small_faces_are_found_in_tiles():
    result = json.loads(small_faces.RESULT.read_text(encoding="utf-8"))
    assert result["choice"]["chosen"] == HINT
    for row in result["recall"]:
        assert row["auto"]["recall"] >= row["off"]["recall"], row
        if row["face_width"] >= 55:
            assert row["auto"]["recall"] >= 0.9, row
