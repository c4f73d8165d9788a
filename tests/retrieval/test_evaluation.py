import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, packed_from_bits, packed_from_signs
from facehash.figures.examples import spread_examples
from facehash.retrieval import evaluation
from facehash.retrieval.codes_file import CodeSet
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.table import format_report
from tests.helpers import oracles

GOLDEN = Path(__file__).parents[1] / "golden"
KEYS = ["mAP", "mAP_lower", "mAP_upper", "P@r2", "R@r2", "empty@r2", "P@50", "R-precision"]


@st.composite
def labelled_codes(draw, most_bits=40):
    """Bits (n, bits) and labels of a gallery, and of queries with at least one relevant item."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits, identities = draw(st.integers(1, most_bits)), draw(st.integers(1, 6))
    of_gallery = rng.permutation(
        np.concatenate(
            [np.arange(identities), rng.integers(0, identities, draw(st.integers(0, 60)))]
        )
    )
    of_query = rng.integers(0, identities, draw(st.integers(1, 8)))
    centers = rng.integers(0, 2, (identities, bits))
    noise = draw(st.sampled_from([0.0, 0.1, 0.5]))
    gallery, query = (
        centers[labels] ^ (rng.random((len(labels), bits)) < noise)
        for labels in (of_gallery, of_query)
    )
    return gallery, query, of_gallery, of_query


def score(gallery, query, of_gallery, of_query, **options):
    codes = packed_from_bits(gallery), packed_from_bits(query)
    return evaluate(*codes, of_gallery, of_query, gallery.shape[1], **options)


def assert_alike(one, other):
    assert one.metrics == pytest.approx(other.metrics, abs=1e-12)
    for name in KEYS:
        np.testing.assert_allclose(one.per_query[name], other.per_query[name], atol=1e-12)


@pytest.mark.parametrize("length", [8, 12, 16, 20, 24, 32, 36, 48, 64])
def test_it_agrees_with_the_authors_evaluator_on_proper_bits(length):
    golden = json.loads((GOLDEN / "author_evaluator.json").read_text())[str(length)]
    golden = golden["same_codes_as_bits"]
    with np.load(GOLDEN / "author_evaluator_codes.npz") as arrays:
        gallery, query, of_gallery, of_query = (
            arrays[f"{name}_{length}"]
            for name in ("gallery", "query", "gallery_labels", "query_labels")
        )
    codes = packed_from_signs(gallery), packed_from_signs(query)
    found = evaluate(*codes, of_gallery, of_query, length).metrics
    assert found["P@r2"] == pytest.approx(golden["precision_radius_2"], abs=1e-9)
    assert found["R@r2"] == pytest.approx(golden["recall_radius_2"], abs=1e-9)
    # theirs is one order of the ties, ours the mean and the extremes over all
    assert found["mAP_lower"] <= golden["mAP_stable_argsort"] <= found["mAP_upper"]
    assert found["mAP_lower"] <= golden["mAP_default_argsort"] <= found["mAP_upper"]
    distances = [oracles.hamming_distance(query[0], item) for item in gallery[:20]]
    assert distances == golden["distance_row_0"]


@given(labelled_codes())
@settings(deadline=None, max_examples=40)
def test_every_metric_equals_that_of_loops(codes):
    gallery, query, of_gallery, of_query = codes
    found = score(*codes)
    for q in range(len(query)):
        distances = [oracles.hamming_distance(query[q], item) for item in gallery]
        relevant = [label == of_query[q] for label in of_gallery]
        values = {name: found.per_query[name][q] for name in KEYS}
        worst, stable, best = (
            oracles.average_precision(ranking(distances, relevant))
            for ranking in (oracles.worst_ranking, oracles.stable_ranking, oracles.best_ranking)
        )
        assert worst - 1e-12 <= stable <= best + 1e-12
        assert values["mAP_lower"] == pytest.approx(worst)
        assert values["mAP_upper"] == pytest.approx(best)
        assert worst - 1e-12 <= values["mAP"] <= best + 1e-12
        assert values["P@r2"] == pytest.approx(oracles.precision_in_ball(distances, relevant, 2))
        assert values["R@r2"] == pytest.approx(oracles.recall_in_ball(distances, relevant, 2))
        assert values["empty@r2"] == (min(distances) > 2)


@given(labelled_codes(most_bits=12), st.integers(1, 80))
@settings(deadline=None, max_examples=20)
def test_average_precision_at_k_is_reported_with_each_denominator(codes, k):
    gallery, query, of_gallery, of_query = codes
    found = score(*codes, at=[k])
    assert list(found.metrics)[-3:] == [f"mAP@{k}/{d}" for d in ("relevant", "min", "found")]
    distances = [oracles.hamming_distance(query[0], item) for item in gallery]
    relevant = [label == of_query[0] for label in of_gallery]
    for denominator in ("relevant", "min", "found"):
        value = found.per_query[f"mAP@{k}/{denominator}"][0]
        worst, best = (
            oracles.average_precision_at(ranking(distances, relevant), k, denominator)
            for ranking in (oracles.worst_ranking, oracles.best_ranking)
        )
        if len(set(distances)) == len(distances):
            assert value == pytest.approx(best)
        elif denominator != "found":  # the ratio may be larger in the worst order
            assert worst - 1e-12 <= value <= best + 1e-12
    if k >= len(gallery):
        assert found.metrics[f"mAP@{k}/relevant"] == pytest.approx(found.metrics["mAP"])
    with pytest.raises(CodesError, match="k must be at least 1"):
        score(*codes, at=[0])


@given(labelled_codes())
@settings(deadline=None, max_examples=20)
def test_engines_threads_and_blocks_of_queries_do_not_matter(codes):
    whole = score(*codes, engine="numpy")
    assert_alike(whole, score(*codes, engine="numba", threads=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "CELLS", 2 * (codes[0].shape[1] + 1))
        blocks = score(*codes)
    assert_alike(whole, blocks)
    for name, curve in whole.curves.items():
        for axis, values in curve.items():
            assert blocks.curves[name][axis] == pytest.approx(values, abs=1e-12)
    assert (blocks.same_distances == whole.same_distances).all()
    assert (blocks.pairs.genuine == whole.pairs.genuine).all()
    assert (blocks.different_distances == whole.different_distances).all()


def test_pairs_of_the_same_and_of_different_identities_are_counted_by_distance():
    gallery = np.array([[0, 0], [0, 1], [1, 1]])
    found = score(gallery, np.array([[0, 0]]), [5, 6, 5], [5])
    assert found.same_distances.tolist() == [1, 0, 1]
    assert found.different_distances.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("gallery", "query", "message"),
    [
        ([1, 1, 2], [2, 9], r"1 of 2 queries .* query 1, label 9"),
        ([1, 1, 2], [], "3 gallery and 0 query codes"),
        ([], [1, 1, 2], "0 gallery and 3 query codes"),
    ],
)
def test_queries_without_a_score_are_refused(gallery, query, message):
    codes = [np.zeros((len(labels), 8), dtype=int) for labels in (gallery, query)]
    with pytest.raises(CodesError, match=message):
        score(*codes, np.array(gallery, int), np.array(query, int))


def test_examples_range_from_the_best_to_the_worst_query():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 6
    packed = packed_from_bits(rng.integers(0, 2, (6, 16))[labels] ^ (rng.random((60, 16)) < 0.2))
    codes = CodeSet(packed[20:], packed[:20], labels[20:], labels[:20], 16)
    ap = evaluate(packed[20:], packed[:20], labels[20:], labels[:20], 16).per_query["mAP"]
    shown = spread_examples(codes, ap, rows=5, columns=7)
    assert ap[shown.queries[0]] == ap.max()
    assert ap[shown.queries[-1]] == ap.min()
    assert (np.diff(ap[shown.queries]) <= 0).all()
    assert shown.found.shape == shown.distances.shape == shown.right.shape == (5, 7)
    assert (shown.right == (labels[20:][shown.found] == labels[shown.queries][:, None])).all()
    assert len(spread_examples(codes, ap, rows=99).queries) == 20
    with pytest.raises(CodesError, match="one average precision per query"):
        spread_examples(codes, ap[:3])


def test_a_report_for_the_terminal_has_a_column_for_the_published_packing():
    text = format_report({"mAP": 0.5}, {"mAP": 0.4}, "orl, DDH")
    text += format_report({"mAP@50/min": 0.25})
    assert "mAP@50/min   0.2500" in text and "over min(50, all relevant items)" in text
    assert text.startswith("orl, DDH") and "authors'" in text and "0.4000*" in text
