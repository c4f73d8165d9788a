import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError
from facehash.retrieval import curves, metrics
from facehash.retrieval.truncated import average_precision_at
from tests.helpers import oracles
from tests.helpers.oracles import histograms

BITS = 5
DENOMINATORS = ("found", "relevant", "min")


@st.composite
def small_galleries(draw, most=7, ties=3):
    """Distances and relevance of a gallery small enough to enumerate all orders of its ties."""
    size = draw(st.integers(1, most))
    distances = draw(st.lists(st.integers(0, ties), min_size=size, max_size=size))
    relevant = draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any))
    return distances, relevant


@st.composite
def histograms_of_queries(draw):
    """Histograms of several queries against one gallery."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits, size, queries = draw(st.integers(1, 40)), draw(st.integers(1, 300)), 6
    distances = rng.binomial(bits, rng.random(), (queries, size))
    relevant = rng.random((queries, size)) < rng.random()
    relevant[:, rng.integers(size)] = True
    rows = [histograms(d, r, bits) for d, r in zip(distances, relevant, strict=True)]
    return tuple(np.concatenate(part) for part in zip(*rows, strict=True))


# -- derived by hand ------------------------------------------------------------------------------


def test_average_precision_without_ties_is_the_textbook_one():
    # ranks 1 and 3 are relevant: (1/1 + 2/3) / 2
    for value in metrics.average_precision(*histograms([0, 1, 2], [True, False, True], BITS)):
        assert value == pytest.approx([(1 + 2 / 3) / 2])


def test_one_relevant_item_of_two_that_tie_is_first_half_of_the_time():
    counts = histograms([3, 3], [True, False], BITS)
    ap = metrics.average_precision(*counts)
    assert (ap.lower[0], ap.expected[0], ap.upper[0]) == pytest.approx((0.5, 0.75, 1))
    assert metrics.precision_at(*counts, 1) == pytest.approx([0.5])
    # found: 1 if it is first; otherwise nothing is found, which scores 0
    assert average_precision_at(*counts, 1, "found") == pytest.approx([0.5])


@pytest.mark.parametrize(("size", "right"), [(1, 1), (5, 1), (40, 7), (1000, 40), (9, 9)])
def test_identical_codes_have_the_closed_form(size, right):
    all_counts, relevant = np.zeros((2, 1, BITS + 1), dtype=np.int64)
    all_counts[0, 2], relevant[0, 2] = size, right
    harmonic = math.fsum(1 / n for n in range(1, size + 1))
    others = (right - 1) / (size - 1) if size > 1 else 0
    expected = (harmonic + others * (size - harmonic)) / size
    assert metrics.average_precision(all_counts, relevant).expected == pytest.approx([expected])
    for k in range(1, size + 1):
        assert metrics.precision_at(all_counts, relevant, k) == pytest.approx([right / size])


@pytest.mark.parametrize(
    ("distances", "relevant", "expected"),
    [
        ([3, 4], [True, False], (0, 0, 1)),  # an empty ball has precision 0 and counts
        ([2, 2, 3], [True, False, True], (0.5, 0.5, 0)),  # the radius is inclusive
    ],
)
def test_precision_recall_and_empty_ball_at_radius_2(distances, relevant, expected):
    counts = histograms(distances, relevant, BITS)
    precision, recall, empty = expected
    assert metrics.precision_at_radius(*counts, 2).tolist() == [precision]
    assert metrics.recall_at_radius(counts[1], 2).tolist() == [recall]
    assert metrics.empty_at_radius(counts[0], 2).tolist() == [empty]
    assert metrics.empty_at_radius(counts[0], 3).tolist() == [0]


def test_the_three_denominators_of_average_precision_at_k_differ():
    # two of the four relevant items are among the first three, at ranks 1 and 3
    counts = histograms([0, 1, 2, 3, 4], [True, False, True, True, True], BITS)
    for denominator, divisor in zip(DENOMINATORS, (2, 4, 3), strict=True):
        value = average_precision_at(*counts, 3, denominator)
        assert value == pytest.approx([(1 + 2 / 3) / divisor])


# -- against loops over every order of the ties ---------------------------------------------------


@given(small_galleries(), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_metrics_are_means_over_all_orders_of_ties(gallery, k):
    counts = histograms(*gallery, BITS)
    ap = metrics.average_precision(*counts)
    values = [oracles.average_precision(r) for r in oracles.rankings(*gallery)]
    assert ap.expected[0] == pytest.approx(np.mean(values), abs=1e-12)
    assert ap.lower[0] == pytest.approx(min(values), abs=1e-12)
    assert ap.upper[0] == pytest.approx(max(values), abs=1e-12)
    expected = oracles.expectation(lambda r: oracles.precision_at(r, k), *gallery)
    assert metrics.precision_at(*counts, k)[0] == pytest.approx(expected, abs=1e-12)
    expected = oracles.expectation(oracles.r_precision, *gallery)
    assert metrics.r_precision(*counts)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("denominator", DENOMINATORS)
@given(small_galleries(), st.integers(1, 9))
@settings(max_examples=120, deadline=None)
def test_average_precision_at_k_is_the_mean_of_the_ratio(denominator, gallery, k):
    value = average_precision_at(*histograms(*gallery, BITS), k, denominator)
    expected = oracles.expectation(
        lambda ranking: oracles.average_precision_at(ranking, k, denominator), *gallery
    )
    assert value[0] == pytest.approx(expected, abs=1e-12)


@given(small_galleries(most=30, ties=5), st.integers(0, BITS))
@settings(deadline=None)
def test_precision_and_recall_in_a_ball_equal_those_of_a_loop(gallery, radius):
    counts = histograms(*gallery, BITS)
    precision = pytest.approx(oracles.precision_in_ball(*gallery, radius))
    recall = pytest.approx(oracles.recall_in_ball(*gallery, radius))
    curve = curves.precision_recall(*counts)
    assert len(curve.recall) == len(curve.precision) == BITS + 1
    assert metrics.precision_at_radius(*counts, radius)[0] == curve.precision[radius] == precision
    assert metrics.recall_at_radius(counts[1], radius)[0] == curve.recall[radius] == recall


# -- properties -----------------------------------------------------------------------------------


@given(histograms_of_queries())
@settings(deadline=None)
def test_the_precision_curve_is_precision_at_each_n(counts):
    curve = curves.precision_at_each(*counts)
    assert len(curve) == counts[0][0].sum()
    assert curve.min() >= 0 and curve.max() <= 1
    for n in {1, len(curve) // 3 + 1, len(curve) // 2 + 1, len(curve)}:
        expected = metrics.precision_at(*counts, n).mean()
        assert curve[n - 1] == pytest.approx(expected, abs=1e-12)


# -- large numbers --------------------------------------------------------------------------------


def test_the_curve_ends_at_1000_in_a_larger_gallery():
    curve = curves.precision_at_each(np.array([[0, 600, 900]]), np.array([[0, 300, 90]]))
    assert len(curve) == 1000
    assert curve[599] == pytest.approx(0.5)
    assert curve[-1] == pytest.approx((300 + 40) / 1000)


def test_large_ties_lose_no_precision():
    # 11 relevant items alone in front; then, after 60,000 items, 3,000 ties of which 37 are
    # relevant. The published sum over t, added up without rounding, against the closed form.
    size, right, before, right_before = 3000, 37, 60_000, 11
    share, others = right / size, (right - 1) / (size - 1)
    tied = math.fsum(
        share * (right_before + 1 + (t - 1) * others) / (before + t) for t in range(1, size + 1)
    )
    all_counts = np.array([[right_before, before - right_before, size]])
    relevant = np.array([[right_before, 0, right]])
    value = metrics.average_precision(all_counts, relevant).expected[0]
    assert value == pytest.approx((right_before + tied) / (right + right_before), rel=1e-13)


def test_found_is_exact_where_factorials_would_overflow():
    # 30,000 of 60,000 tied items are relevant: each of the first 2 is so with probability 1/2.
    both = 0.5 * 29_999 / 59_999
    one = 0.5 * 30_000 / 59_999  # first relevant, second not: 1; the other way round: 1/2
    expected = both + one * 1 + one * 0.5
    counts = np.array([[60_000]]), np.array([[30_000]])
    assert average_precision_at(*counts, 2, "found")[0] == pytest.approx(expected)


# -- refusals -------------------------------------------------------------------------------------

ONE = histograms([0], [True], BITS)
ORPHAN = np.array([[1, 2], [1, 2]]), np.array([[1, 0], [0, 0]])
NONE_RELEVANT = r"1 of 2 queries have no relevant .* query 1\)"


@pytest.mark.parametrize(
    ("metric", "arguments", "message"),
    [
        (metrics.average_precision, ORPHAN, NONE_RELEVANT),
        (metrics.r_precision, ORPHAN, NONE_RELEVANT),
        (metrics.recall_at_radius, (ORPHAN[1], 1), NONE_RELEVANT),
        (average_precision_at, (*ORPHAN, 5, "min"), NONE_RELEVANT),
        (metrics.average_precision, [np.ones((2, 3)), np.ones((2, 4))], r"\(q, bits \+ 1\)"),
        (metrics.precision_at, (*ONE, 0), "k must be at least 1, got 0"),
        (metrics.precision_at_radius, (*ONE, -1), "radius must be at least 0, got -1"),
        (average_precision_at, (*ONE, 1, "relevent"), "'relevent' is unknown .did you mean 'rele"),
        (curves.precision_at_each, [np.array([[1, 2], [1, 3]])] * 2, "the same gallery"),
    ],
)
def test_wrong_arguments_are_refused(metric, arguments, message):
    with pytest.raises(CodesError, match=message):
        metric(*arguments)
