import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, packed_from_bits
from facehash.retrieval.bootstrap import mean_samples, resample
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.table import format_verification
from facehash.retrieval.verification import NAMES, Pairs, rates_of, verify_pairs
from tests.helpers import oracles


def codes(seed, people=6, each=5, queries=12, bits=16, noise=0.15):
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (people, bits))
    of_gallery = rng.permutation(np.repeat(np.arange(people), each))
    of_query = rng.integers(0, people, queries)
    gallery, query = (
        centers[labels] ^ (rng.random((len(labels), bits)) < noise)
        for labels in (of_gallery, of_query)
    )
    return gallery, query, of_gallery, of_query


def pairs_of(gallery, query, of_gallery, of_query):
    packed = packed_from_bits(gallery), packed_from_bits(query)
    return evaluate(*packed, of_gallery, of_query, gallery.shape[1]).pairs


def all_pairs(gallery, query, of_gallery, of_query):
    """Distance of every pair, and whether it shows one person."""
    distances = [oracles.hamming_distance(one, item) for one in query for item in gallery]
    return distances, [a == b for a in of_query for b in of_gallery]


@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.sampled_from([0.0, 0.15, 0.5]))
@settings(deadline=None, max_examples=25)
def test_rates_equal_those_of_a_loop_over_all_pairs(seed, bits, noise):
    made = codes(seed, people=7, each=8, queries=30, bits=bits, noise=noise)  # 1,440 impostors
    expected = oracles.verification_rates(*all_pairs(*made), bits)
    found = verify_pairs(pairs_of(*made), resamples=3)
    assert found.rates["TAR@1e-2"] is not None
    for name in NAMES:
        value = found.rates[name] and found.rates[name].value
        wanted = expected[name]
        assert value == (None if wanted is None else pytest.approx(wanted))


def test_each_rate_comes_with_the_threshold_that_it_accepts():
    genuine, impostor = np.array([[5, 3, 2, 0]]), np.array([[0, 10, 190, 9800]])
    found = verify_pairs(Pairs(genuine, impostor))
    assert vars(found.thresholds["TAR@1e-3"]) == {"distance": 1, "far": 0.001, "tar": 0.8}
    # 200 of 10,000 exceed 1e-2: the threshold stays
    assert found.thresholds["TAR@1e-2"].distance == 1
    assert (found.recommended.distance, found.recommended_far) == (1, "1e-3")
    assert found.rates["TAR@1e-4"] is None and found.thresholds["TAR@1e-4"] is None
    assert found.rates["TAR@1e-3"].lower is None  # one person has no bounds
    # FAR and 1 - TAR: (.001, .2) at 1 and (.02, 0) at 2; they cross at .001 + .019 * part
    part = (0.2 - 0.001) / ((0.2 - 0.001) + 0.02)
    assert found.rates["EER"].value == pytest.approx(0.001 + 0.019 * part)


def test_without_a_usable_threshold_none_is_recommended():
    crowded = Pairs(np.array([[10, 0]]), np.array([[500, 19_500]]))  # FAR .025 at distance 0
    found = verify_pairs(crowded)
    assert found.rates["TAR@1e-3"].value == 0 and found.thresholds["TAR@1e-3"] is None
    assert found.recommended is None
    few = verify_pairs(Pairs(np.array([[10, 0]]), np.array([[0, 999]])))
    assert few.rates["TAR@1e-2"] is None and few.recommended is None
    at_1_percent = verify_pairs(Pairs(np.array([[10, 0, 0]]), np.array([[0, 10, 1990]])))
    assert (at_1_percent.recommended.distance, at_1_percent.recommended_far) == (1, "1e-2")


def test_with_leave_one_out_only_half_of_the_pairs_are_distinct():
    pairs = Pairs(np.array([[4, 0], [4, 0]]), np.array([[0, 900], [0, 900]]))
    assert verify_pairs(pairs, resamples=2).rates["TAR@1e-2"].value == 1
    alone = verify_pairs(pairs, leave_one_out=True, resamples=2)
    assert alone.rates["TAR@1e-2"] is None and alone.rates["EER"].value == 0
    assert alone.impostor == 1800
    assert "2 label sets" in format_verification(alone.as_json("label sets"))


def test_one_person_alone_has_no_impostors_and_no_rates():
    found = verify_pairs(Pairs(np.array([[4, 0]]), np.array([[0, 0]])))
    assert all(rate is None for rate in found.rates.values())
    text = format_verification(found.as_json())
    assert text.count("–") >= 4 and "recommended threshold: none" in text
    with pytest.raises(CodesError, match="a pair of one person"):
        verify_pairs(Pairs(np.array([[0, 0]]), np.array([[1, 0]])))


def test_the_bounds_are_those_of_people_drawn_one_by_one():
    made = codes(3, people=8, each=20, queries=40, noise=0.25)
    pairs = pairs_of(*made)
    found = verify_pairs(pairs, resamples=200, seed=5)
    drawn = np.concatenate(list(resample(len(pairs.genuine), 200, 5)))
    queries_of = [np.flatnonzero(made[3] == person) for person in np.unique(made[3])]
    values = []
    for weights in drawn:
        rows = [q for person, times in enumerate(weights) for q in list(queries_of[person]) * times]
        part = made[0], made[1][rows], made[2], made[3][rows]
        again = pairs_of(*part)
        whole = Pairs(*(side.sum(axis=0, keepdims=True) for side in again))
        values.append(rates_of(whole, ["TAR@1e-2", "EER"])[0])
    lower, upper = np.quantile(values, [0.025, 0.975], axis=0)
    for place, name in enumerate(("TAR@1e-2", "EER")):
        rate = found.rates[name]
        assert (rate.lower, rate.upper) == pytest.approx((lower[place], upper[place]))
        assert rate.lower <= rate.value <= rate.upper
    assert found.rates == verify_pairs(pairs, resamples=200, seed=5).rates


def test_the_report_of_a_verification_is_json():
    report = verify_pairs(pairs_of(*codes(2))).as_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["TAR@1e-4"] is None and report["people"] == len(set(codes(2)[3]))
    assert report["genuine_pairs"] + report["impostor_pairs"] == 12 * 30
    assert report["curve"]["distance"] == list(range(17)) and report["curve"]["tar"][-1] == 1


def test_means_of_resampled_groups_equal_those_of_drawn_rows():
    rng = np.random.default_rng(0)
    values, groups = rng.random((9, 2)), np.array([3, 3, 5, 5, 5, 8, 8, 9, 9])
    found = mean_samples(values, groups, resamples=20, seed=1)
    [weights] = resample(4, 20, 1)
    for row, times in enumerate(weights):
        drawn = np.repeat([3, 5, 8, 9], times)
        rows = np.concatenate([np.flatnonzero(groups == group) for group in drawn])
        np.testing.assert_allclose(found[row], values[rows].mean(axis=0))
