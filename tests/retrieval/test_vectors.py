"""Exact cosine, against rankings sorted and counted one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, packed_from_signs, sign
from facehash.retrieval import vectors
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.vectors import evaluate_projections, evaluate_vectors, normalized
from tests.helpers import oracles

KEYS = ["mAP", "mAP_lower", "mAP_upper", "P@50", "R-precision"]


def random_faces(rng, gallery=40, query=6, dimension=7, people=5):
    """Noisy vectors of a few people, so that scores are neither 0 nor 1; and their labels."""
    centers = rng.normal(size=(people, dimension))
    of_gallery = np.concatenate([np.arange(people), rng.integers(0, people, gallery - people)])
    of_query = rng.integers(0, people, query)
    noise = rng.normal(size=(gallery + query, dimension)) * 0.8
    return (
        centers[of_gallery] + noise[:gallery],
        centers[of_query] + noise[gallery:],
        of_gallery,
        of_query,
    )


def sorted_relevance(gallery, query, of_gallery, label):
    """The ranking of one query by the definition of the cosine; only right without ties."""
    cosines = [
        sum(a * b for a, b in zip(query, item, strict=True))
        / sum(a * a for a in query) ** 0.5
        / sum(b * b for b in item) ** 0.5
        for item in gallery.tolist()
    ]
    order = sorted(range(len(gallery)), key=lambda item: -cosines[item])
    return [bool(of_gallery[item] == label) for item in order]


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_those_of_the_ranking_sorted_by_the_definition(seed):
    gallery, query, of_gallery, of_query = random_faces(np.random.default_rng(seed))
    found, curve = evaluate_vectors(gallery, query, of_gallery, of_query, at=[7])
    rankings = [
        sorted_relevance(gallery, vector, of_gallery, label)
        for vector, label in zip(query.tolist(), of_query, strict=True)
    ]
    mean = np.mean([oracles.average_precision(ranking) for ranking in rankings])
    for name in ("mAP", "mAP_lower", "mAP_upper"):
        assert found[name] == pytest.approx(mean)
    assert found["P@50"] == pytest.approx(np.mean([sum(r) / 50 for r in rankings]))
    r_precision = np.mean([oracles.r_precision(ranking) for ranking in rankings])
    assert found["R-precision"] == pytest.approx(r_precision)
    for denominator in ("relevant", "min", "found"):
        at_seven = [oracles.average_precision_at(r, 7, denominator) for r in rankings]
        assert found[f"mAP@7/{denominator}"] == pytest.approx(np.mean(at_seven))
    assert curve["n"] == list(range(1, 41))
    assert curve["precision"] == pytest.approx(
        [np.mean([oracles.precision_at(r, n) for r in rankings]) for n in range(1, 41)]
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 48), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_codes_taken_as_vectors_score_as_by_the_hamming_distance(seed, bits, people):
    # cosine = 1 - 2 distance / bits: the same ranking with the same ties
    rng = np.random.default_rng(seed)
    gallery, query, *labels = random_faces(rng, dimension=bits, people=people)
    gallery, query = (np.where(part >= 0, 1, -1) for part in (gallery, query))
    expected = evaluate(packed_from_signs(gallery), packed_from_signs(query), *labels, bits)
    found, curve = evaluate_vectors(gallery, query, *labels)
    assert found == pytest.approx({name: expected.metrics[name] for name in KEYS}, abs=1e-12)
    for axis, values in expected.curves["precision_at"].items():
        assert curve[axis] == pytest.approx(values, abs=1e-12)


def test_copies_of_one_vector_are_tied_in_any_place():
    rng = np.random.default_rng(3)
    gallery = np.repeat(rng.normal(size=(1, 513)).astype(np.float32), 1001, axis=0)
    labels = np.arange(1001) % 7
    found, curve = evaluate_vectors(gallery, rng.normal(size=(3, 513)), labels, [0, 1, 2])
    # All tied: the worst order has every relevant item at the end, the best at the beginning.
    assert found["mAP_upper"] == pytest.approx(1)
    assert found["mAP_lower"] < 0.1
    assert found["P@50"] == pytest.approx(143 / 1001, abs=1e-9)
    assert curve["n"] == list(range(1, 1001))


def test_lengths_of_vectors_and_blocks_of_queries_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    gallery, query, *labels = random_faces(rng, query=7)
    whole = evaluate_vectors(gallery, query, *labels)
    scaled = [part * rng.uniform(0.1, 50, (len(part), 1)) for part in (gallery, query)]
    assert evaluate_vectors(*scaled, *labels) == whole
    monkeypatch.setattr(vectors, "CELLS", 2 * 40 + 1)
    blocks = evaluate_vectors(gallery, query, *labels)
    assert blocks[0] == pytest.approx(whole[0], abs=1e-12)
    assert blocks[1]["precision"] == pytest.approx(whole[1]["precision"], abs=1e-12)


def test_a_vector_of_length_zero_is_equally_far_from_everything():
    found, _ = evaluate_vectors(np.eye(3), np.zeros((1, 3)), [0, 1, 2], [1])
    assert (found["mAP_lower"], found["mAP_upper"]) == pytest.approx((1 / 3, 1))
    assert np.isfinite(normalized(np.zeros((2, 3)))).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"gallery": np.zeros(4)}, r"finite real numbers \(n, d\), got float64 \(4,\)"),
        ({"query": np.full((1, 3), np.nan)}, "finite real numbers"),
        ({"query": np.ones((1, 2))}, "gallery vectors have length 3, query vectors 2"),
        ({"query": np.ones((0, 3)), "query_labels": np.zeros(0, int)}, "4 gallery and 0 query"),
        ({"gallery_labels": [0, 1]}, "gallery"),
        ({"query": np.ones((2, 3)), "query_labels": [1, 9]}, "1 of 2 queries .* query 1, label 9"),
    ],
)
def test_wrong_arguments_are_refused(change, message, monkeypatch):
    monkeypatch.setattr(vectors, "CELLS", 1)  # a query is named by its place among all blocks
    arrays = {"gallery": np.ones((4, 3)), "query": np.ones((1, 3))}
    labels = {"gallery_labels": [0, 1, 0, 1], "query_labels": [1]}
    with pytest.raises(CodesError, match=message):
        evaluate_vectors(**(arrays | labels | change))


def asymmetric_scores(signs, projections, of_gallery, of_query):
    """Scores of each query by a sort of its similarities; only right without ties."""
    found = []
    for p, label in zip(projections.tolist(), of_query, strict=True):
        similarity = [sum(a * b for a, b in zip(p, s, strict=True)) for s in signs.tolist()]
        order = sorted(range(len(signs)), key=lambda item: -similarity[item])
        relevant = [of_gallery[item] == label for item in order]
        hits = np.cumsum(relevant)
        found.append(np.mean([hits[i] / (i + 1) for i in np.flatnonzero(relevant)]))
    return np.mean(found)


def test_projections_rank_codes_by_their_similarity():
    gallery, query, of_gallery, of_query = random_faces(np.random.default_rng(5), dimension=40)
    signs, projections = sign(gallery), query.astype(np.float32)
    labels = (of_gallery, of_query)
    scores, curve = evaluate_projections(packed_from_signs(signs), projections, *labels, 40)
    expected = asymmetric_scores(signs, projections.astype(float), *labels)
    assert scores["mAP"] == pytest.approx(expected)
    assert list(scores) == KEYS and len(curve["n"]) == len(curve["precision"]) == 40


def test_projections_of_equal_size_rank_as_the_hamming_distance_ties_included():
    gallery, query, of_gallery, of_query = random_faces(np.random.default_rng(6), dimension=9)
    codes, signs = packed_from_signs(sign(gallery)), sign(query)
    by_float, _ = evaluate_projections(codes, 3.0 * signs, of_gallery, of_query, 9, at=[4])
    by_code = evaluate(codes, packed_from_signs(signs), of_gallery, of_query, 9, at=[4]).metrics
    assert by_float == pytest.approx({key: by_code[key] for key in by_float})


def test_projections_leave_their_own_code_out():
    gallery, _, labels, _ = random_faces(np.random.default_rng(7), dimension=12)
    codes, signs = packed_from_signs(sign(gallery)), sign(gallery).astype(float)
    alone, _ = evaluate_projections(codes, signs, labels, labels, 12, leave_one_out=True)
    by_code = evaluate(codes, codes, labels, labels, 12, leave_one_out=True).metrics
    assert alone == pytest.approx({key: by_code[key] for key in alone})
    with pytest.raises(CodesError, match="leave-one-out: 39 queries, but 40 gallery codes"):
        evaluate_projections(codes, signs[1:], labels, labels[1:], 12, leave_one_out=True)


def test_projections_of_another_length_are_refused():
    codes = np.zeros((3, 2), np.uint8)
    with pytest.raises(CodesError, match=r"query projections must be real numbers \(q, 16\)"):
        evaluate_projections(codes, np.zeros((1, 15)), [1, 1, 2], [1], 16)
