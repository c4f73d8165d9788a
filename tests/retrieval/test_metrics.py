import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError
from facehash.retrieval import curves, metrics
from facehash.retrieval.truncated import average_precision_at
from tests.helpers import oracles

BITS = 5
DENOMINATORS = ("found", "relevant", "min")


@st.composite
def small_galleries(draw, most=7, ties=3):
    """Distances and relevance of a gallery small enough to go through all orders of its ties."""
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
    rows = [oracles.histograms(d, r, bits) for d, r in zip(distances, relevant, strict=True)]
    return tuple(np.concatenate(part) for part in zip(*rows, strict=True))


# -- by hand ------------------------------------------------------------------------------------


def test_average_precision_without_ties_is_the_textbook_one():
    # ranks 1 and 3 are relevant: (1/1 + 2/3) / 2
    all_counts, relevant = oracles.histograms([0, 1, 2], [True, False, True], BITS)
    for value in metrics.average_precision(all_counts, relevant):
        assert value == pytest.approx([(1 + 2 / 3) / 2])


def test_one_relevant_item_of_two_that_tie_is_first_half_of_the_time():
    all_counts, relevant = oracles.histograms([3, 3], [True, False], BITS)
    ap = metrics.average_precision(all_counts, relevant)
    assert (ap.lower[0], ap.expected[0], ap.upper[0]) == pytest.approx((0.5, 0.75, 1))
    assert metrics.precision_at(all_counts, relevant, 1) == pytest.approx([0.5])
    # found: 1 when it is first; else nothing is found, which scores 0
    assert average_precision_at(all_counts, relevant, 1, "found") == pytest.approx([0.5])


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


def test_precision_at_k_divides_by_k_when_the_gallery_is_smaller():
    all_counts, relevant = oracles.histograms([0, 1], [True, True], BITS)
    assert metrics.precision_at(all_counts, relevant, 50) == pytest.approx([2 / 50])


def test_an_empty_ball_has_precision_0_and_is_counted():
    all_counts, relevant = oracles.histograms([3, 4], [True, False], BITS)
    assert metrics.precision_at_radius(all_counts, relevant, 2).tolist() == [0]
    assert metrics.recall_at_radius(relevant, 2).tolist() == [0]
    assert metrics.empty_at_radius(all_counts, 2).tolist() == [1]
    assert metrics.empty_at_radius(all_counts, 3).tolist() == [0]


def test_a_hamming_radius_is_inclusive():
    all_counts, relevant = oracles.histograms([2, 2, 3], [True, False, True], BITS)
    assert metrics.precision_at_radius(all_counts, relevant, 2).tolist() == [0.5]
    assert metrics.recall_at_radius(relevant, 2).tolist() == [0.5]


def test_the_three_denominators_of_average_precision_at_k_differ():
    # two of the four relevant items are among the first three, at ranks 1 and 3
    all_counts, relevant = oracles.histograms(
        [0, 1, 2, 3, 4], [True, False, True, True, True], BITS
    )
    total = 1 + 2 / 3
    for denominator, divisor in zip(DENOMINATORS, (2, 4, 3), strict=True):
        value = average_precision_at(all_counts, relevant, 3, denominator)
        assert value == pytest.approx([total / divisor])


# -- against loops over every order of the ties ---------------------------------------------------


@given(small_galleries())
@settings(max_examples=150, deadline=None)
def test_average_precision_is_the_mean_over_all_orders_of_ties(gallery):
    ap = metrics.average_precision(*oracles.histograms(*gallery, BITS))
    values = [oracles.average_precision(r) for r in oracles.rankings(*gallery)]
    assert ap.expected[0] == pytest.approx(np.mean(values), abs=1e-12)
    assert ap.lower[0] == pytest.approx(min(values), abs=1e-12)
    assert ap.upper[0] == pytest.approx(max(values), abs=1e-12)


@given(small_galleries(), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_precision_at_k_and_r_precision_are_means_over_all_orders(gallery, k):
    counts = oracles.histograms(*gallery, BITS)
    expected = oracles.expectation(lambda r: oracles.precision_at(r, k), *gallery)
    assert metrics.precision_at(*counts, k)[0] == pytest.approx(expected, abs=1e-12)
    expected = oracles.expectation(oracles.r_precision, *gallery)
    assert metrics.r_precision(*counts)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("denominator", DENOMINATORS)
@given(small_galleries(), st.integers(1, 9))
@settings(max_examples=120, deadline=None)
def test_average_precision_at_k_is_the_mean_of_the_ratio(denominator, gallery, k):
    value = average_precision_at(*oracles.histograms(*gallery, BITS), k, denominator)
    expected = oracles.expectation(
        lambda ranking: oracles.average_precision_at(ranking, k, denominator), *gallery
    )
    assert value[0] == pytest.approx(expected, abs=1e-12)


@given(small_galleries(most=30, ties=5), st.integers(0, BITS))
@settings(deadline=None)
def test_precision_and_recall_in_a_ball_are_those_of_a_loop(gallery, radius):
    all_counts, relevant = oracles.histograms(*gallery, BITS)
    precision = oracles.precision_in_ball(*gallery, radius)
    recall = oracles.recall_in_ball(*gallery, radius)
    assert metrics.precision_at_radius(all_counts, relevant, radius)[0] == pytest.approx(precision)
    assert metrics.recall_at_radius(relevant, radius)[0] == pytest.approx(recall)
    curve = curves.precision_recall(all_counts, relevant)
    assert curve.precision[radius] == pytest.approx(precision)
    assert curve.recall[radius] == pytest.approx(recall)
    assert len(curve.recall) == len(curve.precision) == BITS + 1


# -- properties -----------------------------------------------------------------------------------


@given(histograms_of_queries())
@settings(deadline=None)
def test_bounds_bracket_the_expectation_and_lie_within_0_and_1(counts):
    ap = metrics.average_precision(*counts)
    assert (ap.lower > 0).all()
    assert (ap.lower <= ap.expected).all()
    assert (ap.expected <= ap.upper).all()
    assert (ap.upper <= 1).all()


@given(histograms_of_queries())
@settings(deadline=None)
def test_the_precision_curve_is_precision_at_each_n(counts):
    curve = curves.precision_at_each(*counts)
    assert len(curve) == counts[0][0].sum()
    for n in {1, len(curve) // 3 + 1, len(curve) // 2 + 1, len(curve)}:
        expected = metrics.precision_at(*counts, n).mean()
        assert curve[n - 1] == pytest.approx(expected, abs=1e-12)
    assert curve.min() >= 0
    assert curve.max() <= 1


@given(histograms_of_queries(), st.integers(1, 400))
@settings(deadline=None)
def test_average_precision_at_k_over_relevant_grows_to_average_precision(counts, k):
    full = metrics.average_precision(*counts).expected
    assert (average_precision_at(*counts, k, "relevant") <= full + 1e-12).all()
    for denominator in DENOMINATORS:
        at_all = average_precision_at(*counts, 300, denominator)
        np.testing.assert_allclose(at_all, full, atol=1e-12)


@given(histograms_of_queries())
@settings(deadline=None)
def test_a_query_is_scored_alike_alone_and_among_others(counts):
    together = metrics.average_precision(*counts).expected
    alone = [
        metrics.average_precision(counts[0][[q]], counts[1][[q]]).expected[0]
        for q in range(len(together))
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-13)


@given(histograms_of_queries(), st.integers(1, 5))
@settings(deadline=None)
def test_empty_distances_between_and_beyond_change_nothing(counts, gap):
    wide = []
    for part in counts:
        spread = np.zeros((len(part), part.shape[1] * gap + 3), dtype=np.int64)
        spread[:, 1 : 1 + part.shape[1] * gap : gap] = part
        wide.append(spread)
    for a, b in zip(
        metrics.average_precision(*counts), metrics.average_precision(*wide), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    for denominator in DENOMINATORS:
        np.testing.assert_allclose(
            average_precision_at(*counts, 20, denominator),
            average_precision_at(*wide, 20, denominator),
            rtol=1e-12,
        )


# -- large numbers --------------------------------------------------------------------------------


def test_the_curve_ends_at_1000_in_a_larger_gallery():
    all_counts = np.array([[0, 600, 900]])
    curve = curves.precision_at_each(all_counts, np.array([[0, 300, 90]]))
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
    all_counts, relevant = np.array([[60_000]]), np.array([[30_000]])
    both = 0.5 * 29_999 / 59_999
    one = 0.5 * 30_000 / 59_999  # first relevant, second not: 1; the other way round: 1/2
    expected = both + one * 1 + one * 0.5
    assert average_precision_at(all_counts, relevant, 2, "found")[0] == pytest.approx(expected)


# -- refusals -------------------------------------------------------------------------------------


def test_a_query_without_relevant_items_is_refused_by_what_divides_by_them():
    all_counts, relevant = np.array([[1, 2], [1, 2]]), np.array([[1, 0], [0, 0]])
    for score in (
        lambda: metrics.average_precision(all_counts, relevant),
        lambda: metrics.r_precision(all_counts, relevant),
        lambda: metrics.recall_at_radius(relevant, 1),
        lambda: average_precision_at(all_counts, relevant, 5, "min"),
    ):
        with pytest.raises(CodesError, match=r"1 of 2 queries have no relevant .* query 1\)"):
            score()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((3,), (3,)), ((0, 3), (0, 3))])
def test_arrays_that_are_no_histograms_are_refused(shapes):
    arrays = [np.ones(shape, dtype=np.int64) for shape in shapes]
    with pytest.raises(CodesError, match=r"must both be \(q, bits \+ 1\)"):
        metrics.average_precision(*arrays)


def test_k_and_radius_out_of_range_are_refused():
    counts = oracles.histograms([0], [True], BITS)
    with pytest.raises(CodesError, match="k must be at least 1, got 0"):
        metrics.precision_at(*counts, 0)
    with pytest.raises(CodesError, match="radius must be at least 0, got -1"):
        metrics.precision_at_radius(*counts, -1)


def test_an_unknown_denominator_is_refused_with_the_nearest():
    counts = oracles.histograms([0], [True], BITS)
    with pytest.raises(CodesError, match="'relevent' is unknown .did you mean 'relevant'"):
        average_precision_at(*counts, 1, "relevent")


def test_a_curve_over_different_galleries_is_refused():
    with pytest.raises(CodesError, match="same gallery"):
        curves.precision_at_each(np.array([[1, 2], [1, 3]]), np.array([[1, 0], [1, 0]]))
