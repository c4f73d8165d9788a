"""Scores against the library's own rankings, and heads against loops."""

import numpy as np
import pytest

from experiments.unseen import judge
from experiments.unseen.config import Shortlist
from experiments.unseen.protocol import LabeledVectors, draw_some, draws, leave_one_out
from facehash.bench import methods, scores
from facehash.hashing import RandomHyperplanes
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.exact import ExactIndex
from facehash.retrieval import metrics
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.vectors import ranked
from facehash.retrieval.verification import verify_pairs
from facehash.vectors import Space, unit_rows

BITS = 12


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    people = rng.permutation(np.repeat(np.arange(60), 4))
    rows = rng.normal(size=(60, 16))[people] + rng.normal(size=(240, 16))
    return LabeledVectors(unit_rows(rows.astype(np.float32)), np.array([f"p{p}" for p in people]))


@pytest.fixture(scope="module")
def drawn(faces):
    return draws(leave_one_out(faces), 1)[0]


@pytest.fixture(scope="module")
def head(drawn):
    return RandomHyperplanes.fit(drawn.faces.rows, BITS, 0)


def test_all_distances_score_as_bench_does(drawn, head):
    fitted = methods.FittedCodes(head, head.encode(drawn.faces.rows), 0.0)
    vectors = judge.compare_vectors(drawn)
    compared = judge.compare_head(head, drawn) | {"vectors": vectors}
    theirs = {
        "vectors": methods.compare_rows(drawn, ""),
        "hamming": methods.compare_codes(drawn, fitted),
        "asymmetric": methods.compare_asymmetrically(drawn, fitted),
    }
    exact = theirs["vectors"].nearest(10)
    np.testing.assert_array_equal(judge.nearest_faces(vectors), exact)
    for distance, method in theirs.items():
        ours, expected = judge.score(drawn, compared[distance], exact), scores.score(method)
        for name in judge.PER_QUERY:
            assert ours.per_query[name].mean() == pytest.approx(expected[name], abs=1e-12), name
        assert ours.recall == pytest.approx(scores.recall(method.nearest(10), exact))


def test_the_rate_of_accepted_pairs_is_that_of_verification(drawn):
    head = RandomHyperplanes.fit(drawn.faces.rows, 64, 0)
    faces, query = drawn.faces, drawn.rows
    codes = head.encode(faces.rows), head.encode(query)
    evaluated = evaluate(*codes, faces.people, drawn.people, 64)
    expected = verify_pairs(evaluated.pairs).rates["TAR@1e-3"].value
    compared = judge.compare_codes(head, faces.rows, query)["hamming"]
    ours = judge.score(drawn, compared, judge.nearest_faces(compared))
    assert ours.tar == pytest.approx(expected) and 0 < expected < 1
    assert judge.score(drawn, compared, judge.nearest_faces(compared), verify=False).tar is None


def test_the_rate_of_values_without_ties_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    right = rng.random((50, 400)) < 0.02
    nearness = rng.integers(-(10**6), 10**6, right.shape).astype(np.int32) + 700_000 * right
    impostors = np.sort(nearness[~right])[::-1]
    limit = impostors[int(1e-3 * len(impostors))]  # the first that may not be accepted
    assert judge._tar(nearness, right) == np.mean(nearness[right] > limit)


@pytest.mark.parametrize("levels", [3, 40, 10**6])
def test_groups_with_relevant_faces_give_the_scores_of_all_groups(levels):
    rng = np.random.default_rng(1)
    nearness = rng.integers(0, levels, (30, 80)).astype(np.int32)
    right = rng.random((30, 80)) < 0.1
    right[:, 0] = True
    few, many = judge.relevant_groups(nearness, right), ranked(nearness, right)
    assert few.all_counts.shape[1] <= 2 * right.sum(axis=1).max() + 1
    np.testing.assert_array_equal(few.all_counts.sum(axis=1), 80)
    for ours, theirs in zip(
        metrics.average_precision(*few), metrics.average_precision(*many), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(metrics.precision_at(*few, 1), metrics.precision_at(*many, 1))


def test_a_shortlist_is_in_asymmetric_order_with_its_first_faces_by_vectors(drawn, head):
    codes, ids = head.encode(drawn.faces.rows), np.arange(len(drawn.faces))
    space = Space("hamming", BITS)
    listed = ExactIndex.build(codes, ids, space).search(head.encode(drawn.rows), 30)
    projections = head.projections(drawn.rows)
    found = judge.compare_head(
        head, drawn, Shortlist(candidates=30, last=5), judge.compare_vectors(drawn)
    )
    for query in range(len(drawn.rows)):
        few = np.sort(listed.ids[query])
        by_float = AsymmetricIndex.build(codes[few], few, space)
        order = by_float.search(projections[query : query + 1], 30).ids[0]
        first = np.sort(order[:5])
        cosines = drawn.faces.rows[first] @ drawn.rows[query]
        expected = [*first[np.argsort(-cosines, kind="stable")], *order[5:]]
        ours = np.argsort(-found["shortlist"][query], kind="stable")
        assert ours[:30].tolist() == expected
        rest = np.bitwise_count(codes[ours[30:]] ^ head.encode(drawn.rows)[query]).sum(axis=1)
        assert (np.diff(rest.astype(int)) >= 0).all()
        assert rest[0] >= listed.distances[query, -1]


def test_leave_one_out_is_that_of_bench(faces, head):
    everyone = leave_one_out(faces)
    fitted = methods.FittedCodes(head, head.encode(faces.rows), 0.0)
    expected = scores.score(methods.compare_codes(everyone, fitted))
    ours = judge.score_leave_one_out(everyone, judge.compare_head(head, everyone)["hamming"])
    assert ours == pytest.approx({name: expected[name] for name in ours})
    some = draw_some(everyone, 50)
    few = judge.score_leave_one_out(some, judge.compare_head(head, some)["hamming"])
    assert abs(few["mAP"] - ours["mAP"]) < 0.1


def test_draws_are_summarized_by_person():
    def scores_of(value, tar):
        per_query = {name: np.array([value, 0.5]) for name in judge.PER_QUERY}
        return judge.Scores(per_query, recall=value, tar=tar)

    found = judge.summarize([scores_of(0.0, 0.25), scores_of(1.0, 0.75)])
    assert found["people"] == {"P@1": [5000, 5000], "mAP": [5000, 5000]}
    assert (found["mAP"], found["mAP_sd"], found["recall@10"]) == (0.5, 0.25, 0.5)
    assert found["TAR@1e-3"] == 0.5
    assert judge.summarize([scores_of(0.0, None)])["TAR@1e-3"] is None


def test_a_query_with_a_shortlist_reads_all_codes_some_of_them_twice_and_some_vectors():
    assert judge.bytes_read(10_000, 64, 128, Shortlist(candidates=1000, last=10)) == (
        8 * 10_000 + 8 * 1000 + 10 * 512
    )
