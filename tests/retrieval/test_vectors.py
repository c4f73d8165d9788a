"""Exact cosine, against rankings sorted and counted one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facehash.codes import CodesError, packed_from_signs
from facehash.retrieval import vectors
from facehash.retrieval.evaluation import evaluate
from facehash.retrieval.vectors import evaluate_vectors, normalized, ranked
from tests.helpers import oracles

KEYS = ["mAP", "mAP_lower", "mAP_upper", "P@50", "R-precision"]


def random_faces(rng, gallery=40, query=6, dimension=7, people=5):
    """Vectors of people who look alike only to themselves, so that scores are neither 0 nor 1."""
    looks = rng.normal(size=(people, dimension))
    labels = np.concatenate([np.arange(people), rng.integers(0, people, gallery - people)])
    asked = rng.integers(0, people, query)
    noise = rng.normal(size=(gallery + query, dimension)) * 0.8
    return looks[labels] + noise[:gallery], looks[asked] + noise[gallery:], labels, asked


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
def test_scores_are_those_of_the_ranking_sorted_by_the_definition(seed):
    gallery, query, of_gallery, of_query = random_faces(np.random.default_rng(seed))
    found, curve = evaluate_vectors(gallery, query, of_gallery, of_query)
    rankings = [
        sorted_relevance(gallery, asked, of_gallery, label)
        for asked, label in zip(query.tolist(), of_query, strict=True)
    ]
    mean = np.mean([oracles.average_precision(ranking) for ranking in rankings])
    r_precision = np.mean([oracles.r_precision(ranking) for ranking in rankings])
    for name in ("mAP", "mAP_lower", "mAP_upper"):
        assert found[name] == pytest.approx(mean)
    assert found["P@50"] == pytest.approx(np.mean([sum(r) / 50 for r in rankings]))
    assert found["R-precision"] == pytest.approx(r_precision)
    assert curve["n"] == list(range(1, 41))
    assert curve["precision"] == pytest.approx(
        [np.mean([oracles.precision_at(r, n) for r in rankings]) for n in range(1, 41)]
    )


@st.composite
def labelled_signs(draw):
    """Codes as vectors of -1 and +1, of any length, with labels that all can be found."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits, people = draw(st.integers(1, 48)), draw(st.integers(1, 5))
    of_gallery = np.concatenate([np.arange(people), rng.integers(0, people, 40)])
    of_query = rng.integers(0, people, 6)
    centers = rng.integers(0, 2, (people, bits))
    gallery, query = (
        1 - 2 * (centers[labels] ^ (rng.random((len(labels), bits)) < 0.3))
        for labels in (of_gallery, of_query)
    )
    return gallery.astype(np.int8), query.astype(np.int8), of_gallery, of_query


@given(labelled_signs())
@settings(deadline=None, max_examples=60)
def test_codes_taken_for_vectors_score_as_by_the_hamming_distance(codes):
    # cosine = 1 - 2 distance / bits: the same ranking with the same ties
    gallery, query, of_gallery, of_query = codes
    expected = evaluate(
        packed_from_signs(gallery), packed_from_signs(query), *codes[2:], gallery.shape[1]
    )
    found, curve = evaluate_vectors(*codes)
    assert found == pytest.approx({name: expected.metrics[name] for name in KEYS}, abs=1e-12)
    assert curve["n"] == expected.curves["precision_at"]["n"]
    assert curve["precision"] == pytest.approx(
        expected.curves["precision_at"]["precision"], abs=1e-12
    )


@pytest.mark.parametrize("relevant", list(itertools.product([False, True], repeat=5))[1:])
def test_every_order_of_ties_counts_alike(relevant):
    # two items straight ahead, two at a right angle, one behind; lengths do not matter
    gallery = np.array([[1, 0], [9, 0], [0, 1], [0, -3], [-2, 0]])
    nearness = [0, 0, 1, 1, 2]
    labels = np.where(relevant, 4, 7)
    found, curve = evaluate_vectors(gallery, [[5, 0]], labels, [4])
    rankings = list(oracles.rankings(nearness, relevant))
    scores = [oracles.average_precision(ranking) for ranking in rankings]
    assert found["mAP"] == pytest.approx(np.mean(scores))
    assert found["mAP_lower"] == pytest.approx(min(scores))
    assert found["mAP_upper"] == pytest.approx(max(scores))
    assert found["R-precision"] == pytest.approx(
        oracles.expectation(oracles.r_precision, nearness, relevant)
    )
    for n, precision in zip(curve["n"], curve["precision"], strict=True):
        hits = [oracles.precision_at(ranking, n) for ranking in rankings]
        assert precision == pytest.approx(np.mean(hits))


def test_copies_of_one_vector_are_tied_wherever_they_stand():
    rng = np.random.default_rng(3)
    face = rng.normal(size=513).astype(np.float32)
    gallery = np.repeat(face[None], 1001, axis=0)
    labels = np.arange(1001) % 7
    found, _ = evaluate_vectors(gallery, rng.normal(size=(3, 513)), labels, [0, 1, 2])
    # All tied: the worst order has every relevant item at the end, the best at the beginning.
    assert found["mAP_upper"] == pytest.approx(1)
    assert found["mAP_lower"] < 0.1
    assert found["P@50"] == pytest.approx(143 / 1001, abs=1e-9)


def test_the_length_of_a_vector_changes_nothing():
    rng = np.random.default_rng(1)
    gallery, query, *labels = random_faces(rng)
    stretched = [part * rng.uniform(0.1, 50, (len(part), 1)) for part in (gallery, query)]
    assert evaluate_vectors(*stretched, *labels) == evaluate_vectors(gallery, query, *labels)


def test_a_vector_of_length_zero_is_equally_far_from_everything():
    found, _ = evaluate_vectors(np.eye(3), np.zeros((1, 3)), [0, 1, 2], [1])
    assert (found["mAP_lower"], found["mAP_upper"]) == pytest.approx((1 / 3, 1))
    assert np.isfinite(normalized(np.zeros((2, 3)))).all()


def test_scoring_in_blocks_of_queries_changes_nothing(monkeypatch):
    faces = random_faces(np.random.default_rng(2), query=7)
    whole = evaluate_vectors(*faces)
    monkeypatch.setattr(vectors, "CELLS", 2 * 40 + 1)
    blocks = evaluate_vectors(*faces)
    assert blocks[0] == pytest.approx(whole[0], abs=1e-12)
    assert blocks[1]["precision"] == pytest.approx(whole[1]["precision"], abs=1e-12)


def test_equal_similarities_share_a_place_of_the_histogram():
    similarity = np.array([[0.5, 0.9, 0.5, -1.0], [0.0, 0.0, 0.0, 0.0]])
    all_counts, relevant = ranked(similarity, np.array([1, 2, 2, 1]), np.array([1, 2]))
    assert all_counts.tolist() == [[1, 2, 1, 0], [4, 0, 0, 0]]
    assert relevant.tolist() == [[0, 1, 1, 0], [2, 0, 0, 0]]


def test_the_curve_stops_at_a_thousand_or_at_the_gallery():
    gallery = np.random.default_rng(0).normal(size=(1100, 2))
    _, curve = evaluate_vectors(gallery, gallery[:2], np.zeros(1100, int), [0, 0])
    assert curve["n"] == list(range(1, 1001))
    assert curve["precision"] == [1.0] * 1000


@pytest.mark.parametrize(
    "change, message",
    [
        ({"gallery": np.zeros(4)}, r"finite real numbers \(n, d\), got float64 \(4,\)"),
        ({"query": np.full((1, 3), np.nan)}, "finite real numbers"),
        ({"query": np.full((1, 3), np.inf)}, "finite real numbers"),
        ({"query": np.array([["a", "b", "c"]])}, "finite real numbers"),
        ({"query": np.ones((1, 2))}, "gallery vectors have length 3, query vectors 2"),
        ({"query": np.ones((0, 3)), "query_labels": np.zeros(0, int)}, "4 gallery and 0 query"),
        ({"gallery": np.ones((0, 3)), "gallery_labels": np.zeros(0, int)}, "0 gallery and 1 query"),
        ({"gallery_labels": [0, 1]}, "gallery"),
        ({"query_labels": [9]}, "1 of 1 queries .* query 0, label 9"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, message):
    arrays = {
        "gallery": np.ones((4, 3)),
        "query": np.ones((1, 3)),
        "gallery_labels": [0, 1, 0, 1],
        "query_labels": [1],
    }
    with pytest.raises(CodesError, match=message):
        evaluate_vectors(**(arrays | change))


def test_the_query_that_cannot_be_found_is_named_by_its_place_among_all(monkeypatch):
    monkeypatch.setattr(vectors, "CELLS", 1)
    with pytest.raises(CodesError, match="query 2, label 5"):
        evaluate_vectors(np.eye(3), np.eye(3), [0, 1, 2], [0, 1, 5])
