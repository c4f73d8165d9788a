import numpy as np
import pytest

from facehash.codes import CodesError, packed_from_bits
from facehash.retrieval.bootstrap import resample
from facehash.retrieval.comparison import compare_pairs, compare_queries
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.verification import NAMES, verify_pairs


@pytest.fixture(scope="module")
def codes():
    """Gallery and queries of 8 people, coded well and less well."""
    rng = np.random.default_rng(4)
    centers = rng.integers(0, 2, (8, 16))
    of_gallery, of_query = np.arange(160) % 8, rng.integers(0, 8, 60)

    def coded(noise):
        return [
            packed_from_bits(centers[some] ^ (rng.random((len(some), 16)) < noise))
            for some in (of_gallery, of_query)
        ]

    return coded(0.1), coded(0.2), of_gallery, of_query


def score(codes, of_gallery, of_query, rows=slice(None)):
    gallery, query = codes
    return evaluate(gallery, query[rows], of_gallery, of_query[rows], 16, at=[5])


def test_bounds_are_those_of_evaluations_of_the_drawn_queries(codes):
    a, b, of_gallery, of_query = codes
    people = np.unique(of_query, return_inverse=True)[1]
    whole = [score(side, of_gallery, of_query) for side in (a, b)]
    found = compare_queries(whole[0].per_query, whole[1].per_query, people, resamples=40, seed=3)
    assert list(found) == list(whole[0].metrics)
    for name, one in found.items():
        assert (one.a, one.b) == (whole[0].metrics[name], whole[1].metrics[name])
        assert one.difference == pytest.approx(one.b - one.a)
    # the same draws, every drawn query scored again by both sides
    for groups, bounds in ((np.arange(60), "over_queries"), (people, "over_people")):
        differences = []
        for weights in np.concatenate(list(resample(groups.max() + 1, 40, 3))):
            rows = np.repeat(np.arange(60), weights[groups])
            part = [score(side, of_gallery, of_query, rows).metrics for side in (a, b)]
            differences.append([part[1][name] - part[0][name] for name in found])
        lower, upper = np.quantile(differences, [0.025, 0.975], axis=0)
        for place, name in enumerate(found):
            expected = (lower[place], upper[place])
            assert getattr(found[name], bounds) == pytest.approx(expected), (name, bounds)


def test_rates_of_verification_are_compared_on_the_same_draws(codes):
    a, b, of_gallery, of_query = codes
    first, second = (score(side, of_gallery, of_query).pairs for side in (a, b))
    found = compare_pairs(first, second, distinct=10_000, resamples=50, seed=2)
    assert list(found) == ["TAR@1e-2", "TAR@1e-3", "EER"]
    alone = [verify_pairs(side, resamples=50, seed=2) for side in (first, second)]
    assert found["EER"].a == alone[0].rates["EER"].value
    assert found["EER"].difference == pytest.approx(
        alone[1].rates["EER"].value - alone[0].rates["EER"].value
    )
    assert found["EER"].over_queries is None
    lower, upper = found["EER"].over_people
    assert 0 < lower <= found["EER"].difference <= upper  # B is worse on every draw
    same = compare_pairs(first, first, distinct=10**6, resamples=50)
    assert list(same) == list(NAMES)
    assert all(one.over_people == (0, 0) for one in same.values())


def test_a_single_query_or_person_has_no_bounds():
    one = {"mAP": np.array([0.5])}
    found = compare_queries(one, one, np.array([0]))
    assert (found["mAP"].over_queries, found["mAP"].over_people) == (None, None)
    two = {"mAP": np.array([0.5, 1.0])}
    found = compare_queries(two, two, np.array([7, 7]))["mAP"]
    assert found.over_queries == (0, 0) and found.over_people is None
    with pytest.raises(CodesError, match="the same metrics and queries"):
        compare_queries(one, two, np.array([0]))
