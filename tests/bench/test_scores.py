"""The measures of `facehash bench` against loops over every pair."""

import dataclasses

import numpy as np
import pytest

from facehash.bench.methods import by_codes, by_rows, by_shortlist, fit, that_count
from facehash.bench.queries import Faces, draw_trials
from facehash.bench.ranking import rank_codes, rank_shortlist, rank_vectors
from facehash.bench.scores import recall, score, vote
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
    people[1::20] = people[0::20]  # of the nearly equal, every other pair at least
    return Faces(ids, photos, people, rows, rows, Space(metric, dimension))


def centred_cosines(faces):
    centred = faces.rows - faces.every.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


def pairs_that_count(trials):
    """Say of every query which faces count, by the definition."""
    faces = trials.faces
    near = centred_cosines(faces) >= NEAR
    near &= faces.people[:, None] == faces.people
    other_photo = faces.photos[:, None] != faces.photos
    return (other_photo & ~near)[trials.asked]


def histograms_of(groups, right, counts):
    """Count by a loop how many faces, and how many of the person, are in each group."""
    all_counts = np.zeros((len(groups), groups.max() + 1), np.int64)
    relevant = np.zeros_like(all_counts)
    for q, f in zip(*np.nonzero(counts), strict=True):
        all_counts[q, groups[q, f]] += 1
        relevant[q, groups[q, f]] += right[q, f]
    return all_counts, relevant


def mean_scores(all_counts, relevant):
    ap = metrics.average_precision(all_counts, relevant)
    return {
        "P@1": metrics.precision_at(all_counts, relevant, 1).mean(),
        "P@5": metrics.precision_at(all_counts, relevant, 5).mean(),
        "mAP": ap.expected.mean(),
        "mAP_lower": ap.lower.mean(),
        "mAP_upper": ap.upper.mean(),
    }


def distances(trials):
    faces = trials.faces
    difference = faces.rows[trials.asked].astype(float)[:, None] - faces.rows
    return np.linalg.norm(difference, axis=2)


@pytest.fixture(params=["cosine", "euclidean"])
def trials(request):
    return draw_trials(make_faces(3, request.param), NEAR, 1000, 0)


def right_ones(trials):
    return trials.people[:, None] == trials.faces.people


def test_only_who_is_on_two_photos_asks_and_nobody_asks_in_vain(trials):
    faces, counts = trials.faces, pairs_that_count(trials)
    for position in range(len(faces)):
        same = faces.people == faces.people[position]
        elsewhere = same & (faces.photos != faces.photos[position])
        findable = elsewhere & (centred_cosines(faces)[position] < NEAR)
        assert (position in trials.asked) == findable.any()
    assert (trials.findable() == (right_ones(trials) & counts).sum(axis=1)).all()


def test_pairs_on_one_photo_and_near_duplicates_are_counted():
    faces = make_faces(3)
    people, photos = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 2, 3, 4])
    # The last is somebody else with the very vector of another: no picture of one moment.
    rows = faces.rows[[5, 5, 12, 13, 14, 14]]
    faces = dataclasses.replace(faces, ids=np.arange(1, 7), people=people, photos=photos, rows=rows)
    trials = draw_trials(faces, NEAR, 1000, 0)
    assert trials.asked.tolist() == [0, 1, 2, 3, 4]
    assert (trials.same_photo, trials.near_duplicates, trials.as_near) == (2, 2, 1)
    assert trials.without_match == 0
    assert trials.findable().tolist() == [1, 1, 2, 1, 1]
    assert that_count(trials, by_rows(trials, "").search, rows[:5], 5)[4].tolist()[0] == 5


def test_a_limit_of_one_leaves_out_all_equal_vectors_and_no_others():
    rng = np.random.default_rng(0)
    n = 400
    rows = np.repeat(rng.normal(size=(n // 2, 32)), 2, axis=0).astype(np.float32)
    rows[1::4] += 0.1
    people, photos = np.repeat(np.arange(n // 4), 4), np.arange(n)
    faces = Faces(photos, photos, people, rows, rows, Space("euclidean", 32))
    assert draw_trials(faces, 1, n, 0).near_duplicates == n // 2


def test_a_mean_that_all_vectors_share_makes_nobody_a_near_duplicate():
    faces = make_faces(5, "euclidean")
    far = dataclasses.replace(faces, rows=faces.rows + 50, every=faces.every + 50)
    here, there = (draw_trials(one, NEAR, 1000, 0) for one in (faces, far))
    assert here.near_duplicates == there.near_duplicates > 0
    assert (here.asked == there.asked).all()


def test_faces_that_have_nobody_to_find_take_nobodys_place_among_the_drawn():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(100), 2)
    rows = rng.normal(size=(200, 16)).astype(np.float32)
    rows[1:180:2] = rows[0:180:2]  # of 90 people both photos are of one moment
    faces = Faces(np.arange(200), np.arange(200), people, rows, rows, Space("euclidean", 16))
    for seed in range(9):
        for most in (1, 20, 21):
            trials = draw_trials(faces, NEAR, most, seed)
            assert len(trials.asked) == min(most, 20) and (trials.people >= 90).all()
    assert trials.without_match == 180


def test_of_too_many_queries_some_are_drawn_and_the_same_by_the_same_seed():
    faces = make_faces(4)
    first, again, other = (draw_trials(faces, NEAR, 20, seed) for seed in (1, 1, 2))
    assert len(first.asked) == 20 < len(draw_trials(faces, NEAR, 1000, 1).asked)
    assert first.asked.tolist() == again.asked.tolist() != other.asked.tolist()


def test_vectors_are_scored_as_a_loop_over_every_pair_scores_them(trials):
    far, counts = distances(trials), pairs_that_count(trials)
    place = np.argsort(np.argsort(far, axis=1), axis=1)
    expected = mean_scores(*histograms_of(place, right_ones(trials), counts))
    found = score(by_rows(trials, "vectors"))
    assert found == pytest.approx(expected, abs=1e-9)


def test_vectors_are_ranked_alike_in_blocks_of_queries(trials, monkeypatch):
    whole = score(by_rows(trials, "vectors"))
    monkeypatch.setattr("facehash.bench.ranking.CELLS", 7 * len(trials.faces))
    assert len(list(rank_vectors(trials))) > 3
    assert score(by_rows(trials, "vectors")) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(("name", "bits"), [("lsh", 16), ("itq", 5)])
def test_codes_are_scored_as_a_loop_over_every_pair_scores_them(trials, name, bits):
    hasher, codes, seconds = fit(trials, name, bits, 0)
    far = np.unpackbits(codes[trials.asked][:, None] ^ codes, axis=2).sum(axis=2)
    counts = pairs_that_count(trials)
    expected = histograms_of(far.astype(int), right_ones(trials), counts)
    found = rank_codes(trials, codes, bits)
    width = expected[0].shape[1]
    assert (found.all_counts[:, :width] == expected[0]).all() and not found.all_counts[
        :, width:
    ].any()
    assert (found.relevant[:, :width] == expected[1]).all()
    way = by_codes(trials, hasher, codes, seconds)
    assert score(way) == pytest.approx(mean_scores(*expected), abs=1e-12)
    nearest = way.nearest(10)
    for q in range(len(trials.asked)):
        order = sorted(np.flatnonzero(counts[q]), key=lambda f: (far[q, f], f))
        assert nearest[q].tolist() == order[:10]


def test_a_shortlist_is_put_in_order_by_vectors_and_what_is_behind_it_by_codes(trials):
    hasher, codes, seconds = fit(trials, "lsh", 12, 0)
    way = by_shortlist(trials, hasher, codes, seconds, 7)
    far, counts = distances(trials), pairs_that_count(trials)
    bits_apart = np.unpackbits(codes[trials.asked][:, None] ^ codes, axis=2).sum(axis=2).astype(int)
    group = bits_apart + 7
    for q in range(len(trials.asked)):
        chosen = sorted(np.flatnonzero(counts[q]), key=lambda f: (bits_apart[q, f], f))[:7]
        chosen.sort(key=lambda f: far[q, f])
        group[q, chosen] = np.arange(7)
        assert way.nearest(5)[q].tolist() == chosen[:5]
    expected = mean_scores(*histograms_of(group, right_ones(trials), counts))
    assert score(way) == pytest.approx(expected, abs=1e-9)
    found = rank_shortlist(trials, codes, 12, way.nearest(7))
    assert (found.all_counts.sum(axis=1) == counts.sum(axis=1)).all()


def test_a_shortlist_of_everybody_is_exact_search(trials):
    hasher, codes, seconds = fit(trials, "lsh", 12, 0)
    way = by_shortlist(trials, hasher, codes, seconds, len(trials.faces))
    exact = by_rows(trials, "vectors")
    assert (way.nearest(10) == exact.nearest(10)).all()
    assert score(way) == pytest.approx(score(exact), abs=1e-9)


def test_where_too_few_faces_count_the_rest_is_nobody():
    faces = make_faces(5, n=30, people=2)
    faces = dataclasses.replace(faces, photos=np.repeat([0, 1], 15))
    trials = draw_trials(faces, NEAR, 1000, 0)
    found = that_count(trials, by_rows(trials, "").search, faces.rows[trials.asked], 20)
    fewest = pairs_that_count(trials).sum(axis=1)
    assert ((found >= 0).sum(axis=1) == fewest).all() and (fewest <= 15).all()
    shortlist = by_shortlist(trials, *fit(trials, "lsh", 8, 0), 20)
    assert np.isfinite(list(score(shortlist).values())).all()


def test_recall_is_the_share_of_the_exactly_nearest_that_were_found():
    exact = np.array([[4, 2, 7], [1, 5, -1]])
    found = np.array([[2, 9, 4], [5, -1, 3]])
    assert recall(found, exact) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_neighbours_vote_and_the_nearest_breaks_a_tie():
    faces = make_faces(3, n=12)
    people = np.array([0, 0, 1, 1, 1, 2, 2, 0, 0, 0, 0, 0])
    trials = draw_trials(dataclasses.replace(faces, people=people, photos=np.arange(12)), 2, 12, 0)
    nearest = np.full((12, 9), -1)
    nearest[0, :4] = [2, 1, 3, 4]  # of person 1, 0, 1, 1
    nearest[2, :4] = [3, 0, 1, 4]  # of person 1, 0, 0, 1
    accuracies = vote(trials, nearest)
    # Query 0 is named right by none; query 2 by the first, by the tie of two, not by three, and
    # again by the tie of four. The others have nobody who votes.
    assert accuracies[:4] == [1 / 12, 1 / 12, 0, 1 / 12]


def test_of_noise_the_vote_is_no_better_than_chance():
    rng = np.random.default_rng(0)
    n, people = 1200, 30
    rows = rng.normal(size=(n, 16)).astype(np.float32)
    named = rng.integers(0, people, n)
    faces = Faces(np.arange(n), np.arange(n), named, rows, rows, Space("euclidean", 16))
    trials = draw_trials(faces, NEAR, n, 0)
    accuracies = vote(trials, by_rows(trials, "noise").nearest(9))
    # A third of chance more than chance would be six standard deviations.
    assert np.allclose(accuracies, 1 / people, atol=0.02)
