"""The measures of `facehash bench` against loops over every pair."""

import dataclasses

import numpy as np
import pytest

from facehash.bench.methods import (
    compare_asymmetrically,
    compare_codes,
    compare_rows,
    fit_codes,
    rerank_codes,
    search_counted,
)
from facehash.bench.queries import NamedFaces, draw_queries, hold_out
from facehash.bench.ranking import rank_codes, rank_vectors
from facehash.bench.scores import knn_accuracy, recall, score
from facehash.retrieval import metrics
from facehash.vectors import Space

NEAR = 0.95


def make_faces(seed, metric="cosine", n=60, people=9, dimension=8):
    """Faces of people on photos of one to three faces, some vectors nearly equal."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, dimension)).astype(np.float32)
    rows[1::10] = rows[0::10] + rng.normal(size=(n // 10, dimension)).astype(np.float32) / 50
    if metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = np.cumsum(rng.integers(1, 4, n))
    photos = np.sort(rng.integers(0, n // 2, n))
    people = rng.integers(0, people, n)
    people[1::20] = people[0::20]  # at least every other nearly equal pair is of one person
    return NamedFaces(ids, photos, people, rows, rows, Space(metric, dimension), np.arange(n))


def faces_of(people, rows):
    """Faces of people, each on a photo of its own."""
    n = len(people)
    space = Space("euclidean", rows.shape[1])
    return NamedFaces(np.arange(n), np.arange(n), people, rows, rows, space, np.arange(n))


def centred_cosines(faces):
    centred = faces.rows - faces.all_rows.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


def pairs_that_count(queries):
    """Return which faces count for each query, bool (q, n), by the definition."""
    faces = queries.faces
    near = centred_cosines(faces) >= NEAR
    near &= faces.people[:, None] == faces.people
    other_photo = faces.photos[:, None] != faces.photos
    return (other_photo & ~near)[queries.query_indices]


def histograms_of(groups, relevant, counts):
    """Count with a loop the faces, and the relevant ones, in each group."""
    all_counts = np.zeros((len(groups), groups.max() + 1), np.int64)
    relevant_counts = np.zeros_like(all_counts)
    for q, f in zip(*np.nonzero(counts), strict=True):
        all_counts[q, groups[q, f]] += 1
        relevant_counts[q, groups[q, f]] += relevant[q, f]
    return all_counts, relevant_counts


def mean_scores(all_counts, relevant):
    ap = metrics.average_precision(all_counts, relevant)
    return {
        "P@1": metrics.precision_at(all_counts, relevant, 1).mean(),
        "P@5": metrics.precision_at(all_counts, relevant, 5).mean(),
        "mAP": ap.expected.mean(),
        "mAP_lower": ap.lower.mean(),
        "mAP_upper": ap.upper.mean(),
    }


def distances(queries):
    difference = queries.rows.astype(float)[:, None] - queries.faces.rows
    return np.linalg.norm(difference, axis=2)


def bits_apart(queries, codes):
    different = codes[queries.query_indices][:, None] ^ codes
    return np.unpackbits(different, axis=2).sum(axis=2).astype(int)


@pytest.fixture(params=["cosine", "euclidean"])
def queries(request):
    return draw_queries(make_faces(3, request.param), NEAR, 1000, 0)


def relevant_faces(queries):
    return queries.people[:, None] == queries.faces.people


def test_exactly_the_faces_with_a_match_on_another_photo_are_queries(queries):
    faces, counts = queries.faces, pairs_that_count(queries)
    for position in range(len(faces)):
        same = faces.people == faces.people[position]
        elsewhere = same & (faces.photos != faces.photos[position])
        matches = elsewhere & (centred_cosines(faces)[position] < NEAR)
        assert (position in queries.query_indices) == matches.any()
    assert (queries.num_relevant() == (relevant_faces(queries) & counts).sum(axis=1)).all()


def test_pairs_on_one_photo_and_near_duplicates_are_counted():
    faces = make_faces(3)
    people, photos = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 2, 3, 4])
    # The last face has the vector of another person: not a near duplicate.
    rows = faces.rows[[5, 5, 12, 13, 14, 14]]
    of_faces = {"ids": np.arange(1, 7), "people": people, "photos": photos, "rows": rows}
    faces = dataclasses.replace(faces, **of_faces, places=np.array([5, 5, 12, 13, 14, 14]))
    queries = draw_queries(faces, NEAR, 1000, 0)
    assert queries.query_indices.tolist() == [0, 1, 2, 3, 4]
    assert (queries.same_photo, queries.near_duplicates, queries.cross_person) == (2, 2, 1)
    assert queries.without_match == 0
    assert queries.num_relevant().tolist() == [1, 1, 2, 1, 1]
    assert search_counted(queries, compare_rows(queries, "").search, 5)[4].tolist()[0] == 5


def test_faces_without_a_match_do_not_reduce_the_number_of_queries():
    people = np.repeat(np.arange(100), 2)
    rows = np.random.default_rng(1).normal(size=(200, 16)).astype(np.float32)
    rows[1:180:2] = rows[0:180:2]  # the two photos of 90 people are near duplicates
    faces = faces_of(people, rows)
    for most in (1, 20, 21):
        queries = draw_queries(faces, NEAR, most, 0)
        assert len(queries.query_indices) == min(most, 20) and (queries.people >= 90).all()
        assert len(queries.excluded.query) == min(most, 20)  # each ignores itself only
    assert queries.without_match == 180


def test_vectors_are_scored_like_a_loop_over_every_pair(queries, monkeypatch):
    far, counts = distances(queries), pairs_that_count(queries)
    place = np.argsort(np.argsort(far, axis=1), axis=1)
    expected = mean_scores(*histograms_of(place, relevant_faces(queries), counts))
    assert score(compare_rows(queries, "vectors")) == pytest.approx(expected, abs=1e-9)
    monkeypatch.setattr("facehash.bench.ranking.CELLS", 7 * len(queries.faces))
    assert len(list(rank_vectors(queries))) > 3
    assert score(compare_rows(queries, "vectors")) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "bits"), [("lsh", 16), ("itq", 5)])
def test_codes_are_scored_like_a_loop_over_every_pair(queries, name, bits):
    fitted = fit_codes(queries, name, bits, 0)
    far, counts = bits_apart(queries, fitted.codes), pairs_that_count(queries)
    expected = histograms_of(far, relevant_faces(queries), counts)
    width = expected[0].shape[1]
    found = rank_codes(queries, fitted.codes, fitted.codes[queries.query_indices], bits)
    assert not found.all_counts[:, width:].any()
    assert (found.all_counts[:, :width] == expected[0]).all()
    assert (found.relevant[:, :width] == expected[1]).all()
    method = compare_codes(queries, fitted)
    assert score(method) == pytest.approx(mean_scores(*expected), abs=1e-12)
    nearest = method.nearest(10)
    for q in range(len(nearest)):
        order = sorted(np.flatnonzero(counts[q]), key=lambda f: (far[q, f], f))
        assert nearest[q].tolist() == order[:10]


@pytest.mark.parametrize(("name", "bits"), [("lsh", 16), ("itq", 5)])
def test_projections_are_scored_like_a_loop_over_every_pair(queries, name, bits):
    fitted = fit_codes(queries, name, bits, 0)
    projections = fitted.hasher.projections(queries.rows).astype(np.float64)
    signs = np.unpackbits(fitted.codes, axis=1, count=bits, bitorder="little") * 2.0 - 1
    far = np.round(-projections @ signs.T / np.abs(projections).sum(axis=1, keepdims=True), 9)
    counts = pairs_that_count(queries)
    place = np.stack([np.unique(row, return_inverse=True)[1] for row in far])
    expected = mean_scores(*histograms_of(place, relevant_faces(queries), counts))
    method = compare_asymmetrically(queries, fitted)
    assert score(method) == pytest.approx(expected, abs=1e-9)
    nearest = method.nearest(10)
    for q in range(len(nearest)):
        order = sorted(np.flatnonzero(counts[q]), key=lambda f: (far[q, f], f))
        assert nearest[q].tolist() == order[:10]


def test_a_held_out_face_is_neither_searched_nor_fitted_to(queries):
    held = hold_out(queries, seed=3)
    whole, faces, asking = queries.faces, held.faces, held.held_out
    assert sorted(held.people) == sorted(set(queries.people))
    assert not set(asking.ids) & set(faces.ids)
    assert len(faces) + len(asking) == len(whole) == len(whole.all_rows)
    assert np.array_equal(faces.all_rows[faces.places], faces.rows)
    assert np.array_equal(faces.all_rows, faces.rows)  # no unnamed faces here
    fitted = fit_codes(held, "itq", 5, 0)
    np.testing.assert_allclose(fitted.hasher.mean, faces.all_rows.mean(axis=0), atol=1e-6)
    assert np.array_equal(hold_out(queries, seed=3).held_out.ids, asking.ids)
    assert not np.array_equal(hold_out(queries, seed=4).held_out.ids, asking.ids)
    # What each query ignores and finds is as before, less the faces that were held out.
    counts = np.isin(whole.ids, faces.ids)
    of_query = np.searchsorted(whole.ids[queries.query_indices], asking.ids)
    expected = (relevant_faces(queries) & pairs_that_count(queries) & counts)[of_query]
    assert np.array_equal(held.num_relevant(), expected.sum(axis=1)) and expected.any(axis=1).all()


@pytest.mark.parametrize("kind", [compare_codes, compare_asymmetrically, "vectors", "reranked"])
def test_held_out_queries_are_scored_like_a_loop_over_every_pair(queries, kind):
    held = hold_out(queries, seed=1)
    fitted = fit_codes(held, "lsh", 24, 0)
    own = fitted.hasher.projections(held.rows).astype(np.float64)
    bits = np.unpackbits(fitted.codes, axis=1, count=24, bitorder="little") * 2.0 - 1
    if kind == "vectors":
        method, far = compare_rows(held, "vectors"), distances(held)
    elif kind == "reranked":
        method, far = rerank_codes(held, fitted, len(held.faces)), distances(held)
    else:
        method = kind(held, fitted)
        own = own if kind is compare_asymmetrically else np.where(own >= 0, 1, -1)
        far = -own @ bits.T / np.abs(own).sum(axis=1, keepdims=True)
    counts = np.ones(far.shape, bool)
    counts[held.excluded.query, held.excluded.face] = False
    far = np.round(far, 9)
    place = np.stack([np.unique(row, return_inverse=True)[1] for row in far])
    expected = mean_scores(*histograms_of(place, relevant_faces(held), counts))
    assert score(method) == pytest.approx(expected, abs=1e-9)


def test_candidates_are_ranked_by_vectors_and_the_rest_by_codes(queries):
    fitted = fit_codes(queries, "lsh", 12, 0)
    method = rerank_codes(queries, fitted, 7)
    far, counts = distances(queries), pairs_that_count(queries)
    apart = bits_apart(queries, fitted.codes)
    group = apart + 7
    for q in range(len(group)):
        chosen = sorted(np.flatnonzero(counts[q]), key=lambda f: (apart[q, f], f))[:7]
        chosen.sort(key=lambda f: far[q, f])
        group[q, chosen] = np.arange(7)
        assert method.nearest(5)[q].tolist() == chosen[:5]
    expected = mean_scores(*histograms_of(group, relevant_faces(queries), counts))
    assert score(method) == pytest.approx(expected, abs=1e-9)


def test_recall_is_the_share_of_the_exact_neighbors_that_are_found():
    exact = np.array([[4, 2, 7], [1, 5, -1]])
    found = np.array([[2, 9, 4], [5, -1, 3]])
    assert recall(found, exact) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_neighbors_vote_and_the_nearest_decides_a_tie():
    people = np.array([0, 0, 1, 1, 1, 2, 2, 0, 0, 0, 0, 0])
    queries = draw_queries(faces_of(people, make_faces(3, n=12).rows[:12]), 2, 12, 0)
    nearest = np.full((12, 9), -1)
    nearest[0, :4] = [2, 1, 3, 4]  # of person 1, 0, 1, 1
    nearest[2, :4] = [3, 0, 1, 4]  # of person 1, 0, 0, 1
    # Query 0 is never identified correctly. Query 2 is by one neighbor, by two (a tie), not by
    # three, and by four (a tie). The other queries have no neighbors.
    assert knn_accuracy(queries, nearest)[:4] == [1 / 12, 1 / 12, 0, 1 / 12]
