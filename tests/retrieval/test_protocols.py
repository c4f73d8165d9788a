"""Every metric with label sets, with leave-one-out, and with both, against loops over rankings."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.run.author_evaluator import bit_weights, metrics_author
from facehash.codes import CodesError, packed_from_bits
from facehash.figures.examples import spread_examples
from facehash.retrieval import evaluation
from facehash.retrieval.codes_file import CodeSet
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.vectors import evaluate_vectors
from tests.helpers import oracles

BITS = 4  # short codes, so that most distances tie


@st.composite
def codes(draw, fewest=8):
    """Bits and labels of gallery and queries; and whether the queries are the gallery.

    Labels are identities or sets; every query has something to find.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alone, several = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    size = fewest if alone else draw(st.integers(1, 9))
    gallery, query = (rng.integers(0, 2, (count, BITS)) for count in (size, 5))
    if several:
        labels = draw(st.sampled_from([2, 7, 70]))
        of_gallery, of_query = (rng.random((count, labels)) < 2 / labels for count in (size, 5))
        of_gallery[: 1 + alone, 0] = True
        queries = of_gallery if alone else of_query
        shared = queries.astype(int) @ of_gallery.T > 0
        shared[np.eye(*shared.shape, dtype=bool)] &= not alone
        queries[~shared.any(axis=1), 0] = True  # what would find nothing finds the first items
    else:
        of_gallery = rng.permutation(np.arange(size) % 3)
        of_query = rng.integers(0, 3, 5)
    if alone:
        query, of_query = gallery, of_gallery
    return gallery, query, of_gallery, of_query, alone


def related(one, other):
    """Return whether two labels, or two label sets, make an item relevant."""
    if np.ndim(one) == 0:
        return bool(one == other)
    return any(a and b for a, b in zip(one, other, strict=True))


def pairs(found, weights=1):
    """Yield the distances and the relevance of the items that each query ranks."""
    gallery, query, of_gallery, of_query, alone = found
    weights = np.broadcast_to(weights, gallery.shape[1])
    for q in range(len(query)):
        items = [g for g in range(len(gallery)) if not (alone and g == q)]
        yield (
            [int(weights[query[q] != gallery[g]].sum()) for g in items],
            [related(of_gallery[g], of_query[q]) for g in items],
        )


def packed(found):
    gallery, query, *labels, _ = found
    return packed_from_bits(gallery), packed_from_bits(query), *labels


@given(codes())
@settings(deadline=None, max_examples=25)
def test_every_metric_equals_that_of_a_loop(found):
    alone = found[-1]
    scored = evaluate(*packed(found), BITS, leave_one_out=alone, at=(1, 3, 50))
    precision_at, same = np.zeros(len(found[0]) - alone), np.zeros(BITS + 1, int)
    recalls, precisions = np.zeros((2, BITS + 1))
    for q, (distances, relevant) in enumerate(pairs(found)):
        values = {name: of_queries[q] for name, of_queries in scored.per_query.items()}
        assert values["mAP_lower"] == pytest.approx(
            oracles.average_precision(oracles.worst_ranking(distances, relevant))
        )
        assert values["mAP_upper"] == pytest.approx(
            oracles.average_precision(oracles.best_ranking(distances, relevant))
        )
        orders = patterns_of(distances, relevant)
        assert values["mAP"] == pytest.approx(mean(oracles.average_precision, orders))
        assert values["R-precision"] == pytest.approx(mean(oracles.r_precision, orders))
        assert values["P@50"] == pytest.approx(sum(relevant) / 50)
        assert values["P@r2"] == pytest.approx(oracles.precision_in_ball(distances, relevant, 2))
        assert values["R@r2"] == pytest.approx(oracles.recall_in_ball(distances, relevant, 2))
        assert values["empty@r2"] == (min(distances) > 2)
        for k, name in itertools.product((1, 3, 50), ("relevant", "min", "found")):
            expected = mean(lambda r, k=k, n=name: oracles.average_precision_at(r, k, n), orders)
            assert values[f"mAP@{k}/{name}"] == pytest.approx(expected)
        for n in range(len(precision_at)):
            precision_at[n] += mean(lambda r, n=n: oracles.precision_at(r, n + 1), orders)
        for radius in range(BITS + 1):
            recalls[radius] += oracles.recall_in_ball(distances, relevant, radius)
            precisions[radius] += oracles.precision_in_ball(distances, relevant, radius)
        same += np.bincount(np.array(distances)[relevant], minlength=BITS + 1)
    count = len(found[1])
    assert scored.curves["precision_at"]["precision"] == pytest.approx(precision_at / count)
    assert scored.curves["precision_recall"]["recall"] == pytest.approx(recalls / count)
    assert scored.curves["precision_recall"]["precision"] == pytest.approx(precisions / count)
    assert scored.same_distances.tolist() == same.tolist()
    assert scored.pairs.genuine.sum(axis=0).tolist() == same.tolist()
    # Queries with equal label sets are one person in the bootstrap.
    assert len(scored.pairs.genuine) == len({np.atleast_1d(one).tobytes() for one in found[3]})
    everything = count * (len(found[0]) - alone)
    assert (scored.same_distances + scored.different_distances).sum() == everything


def patterns_of(distances, relevant):
    """List the patterns of relevance that the orders of ties give, which are equally likely."""
    groups = [
        [right for distance, right in zip(distances, relevant, strict=True) if distance == one]
        for one in sorted(set(distances))
    ]
    ways = [
        [
            [place in places for place in range(len(group))]
            for places in itertools.combinations(range(len(group)), sum(group))
        ]
        for group in groups
    ]
    return [sum(choice, []) for choice in itertools.product(*ways)]


def mean(metric, orders):
    return sum(metric(order) for order in orders) / len(orders)


@given(codes())
@settings(deadline=None, max_examples=25)
def test_the_authors_metrics_equal_those_of_a_loop(found):
    sums = np.zeros(4)
    for distances, relevant in pairs(found, bit_weights(BITS)):
        ranking = oracles.stable_ranking(distances, relevant)
        sums += (
            oracles.average_precision(ranking),
            oracles.precision_in_ball(distances, relevant, 2),
            oracles.recall_in_ball(distances, relevant, 2),
            oracles.precision_at(ranking, 50),
        )
    scored = metrics_author(*packed(found), BITS, leave_one_out=found[-1])
    assert list(scored.values()) == pytest.approx(list(sums / len(found[1])))


@given(codes())
@settings(deadline=None, max_examples=25)
def test_exact_cosine_equals_a_loop_over_rankings(found):
    gallery, query, *labels, alone = found
    vectors = gallery * 2.0 - 1, query * 2.0 - 1  # cosines order them as Hamming distances do
    metrics, curve = evaluate_vectors(*vectors, *labels, leave_one_out=alone)
    scored = evaluate(*packed(found), BITS, leave_one_out=alone)
    assert metrics == pytest.approx({name: scored.metrics[name] for name in metrics})
    assert curve["precision"] == pytest.approx(scored.curves["precision_at"]["precision"])


def test_in_blocks_each_query_still_skips_its_own_item(monkeypatch):
    rng = np.random.default_rng(1)
    bits, labels = rng.integers(0, 2, (40, 12)), np.arange(40) % 5
    codes = packed_from_bits(bits)
    whole = evaluate(codes, codes, labels, labels, 12, leave_one_out=True)
    cosine = evaluate_vectors(bits - 0.5, bits - 0.5, labels, labels, leave_one_out=True)
    monkeypatch.setattr(evaluation, "CELLS", 3 * 13)
    monkeypatch.setattr("facehash.retrieval.vectors.CELLS", 3 * 40)
    monkeypatch.setattr("experiments.run.author_evaluator._CELLS", 3 * 40)
    blocks = evaluate(codes, codes, labels, labels, 12, leave_one_out=True)
    assert blocks.metrics == pytest.approx(whole.metrics)
    again = evaluate_vectors(bits - 0.5, bits - 0.5, labels, labels, leave_one_out=True)
    assert again[0] == pytest.approx(cosine[0])
    whole_found = (bits, bits, labels, labels, True)
    expected = np.mean(
        [
            oracles.average_precision(oracles.stable_ranking(*pair))
            for pair in pairs(whole_found, bit_weights(12))
        ]
    )
    scored = metrics_author(codes, codes, labels, labels, 12, leave_one_out=True)
    assert scored["mAP"] == pytest.approx(expected)


@pytest.mark.parametrize("score", [evaluate, metrics_author])
def test_leave_one_out_refuses_other_queries_and_people_with_one_item(score):
    codes, labels = np.arange(6, dtype=np.uint8)[:, None], np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(CodesError, match="gallery and query codes differ"):
        score(codes, codes[::-1], labels, labels, 8, leave_one_out=True)
    single = np.array([0, 0, 1, 1, 1, 2])
    with pytest.raises(CodesError, match=r"1 of 6 queries .* any other .*query 5, label 2"):
        score(codes, codes, single, single, 8, leave_one_out=True)


@pytest.mark.parametrize("several", [False, True])
def test_no_query_is_among_its_own_examples(several):
    rng = np.random.default_rng(0)
    identities = np.arange(30) % 3
    labels = np.eye(3, dtype=bool)[identities] if several else identities
    bits = np.zeros((30, 8), int)  # more equal codes than columns: some queries are not found
    bits[20:] = rng.integers(0, 2, (10, 8))
    packed = packed_from_bits(bits)
    codes = CodeSet(packed, packed, labels, labels, 8, leave_one_out=True)
    for columns, width in ((6, 6), (99, 29)):
        shown = spread_examples(codes, rng.random(30), rows=30, columns=columns)
        assert shown.found.shape == (30, width)
        assert not (shown.found == shown.queries[:, None]).any()
        assert all(len(set(row)) == width for row in shown.found.tolist())
        right = identities[shown.found] == identities[shown.queries, None]
        assert (shown.right == right).all()
        assert (np.diff(shown.distances, axis=1) >= 0).all()
