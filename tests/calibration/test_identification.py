import json

import numpy as np
import pytest

from facehash.calibration.identification import (
    IDENTIFICATIONS,
    Draw,
    Identification,
    Nearest,
    fit_labeled,
    identification_of,
    nearest_people,
    probabilities,
    split_labeled,
)
from facehash.calibration.identification import draw_split as draw_of
from facehash.calibration.thresholds import SFACE
from facehash.vectors import Space
from tests.conftest import ROOT

SPACE = Space("cosine", 16)
MODEL = Identification(10.0, -20.0, -1.0, "made up")


def people(count, faces, spread, seed=0, dimension=16):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count, 1, dimension))
    rows = centers + spread * rng.normal(size=(count, faces, dimension))
    return rows.reshape(-1, dimension).astype(np.float32), np.repeat(np.arange(count), faces)


def cosine_distances(first, second):
    first, second = (one.astype(np.float64) for one in (first, second))
    lengths = np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
    return 1 - first @ second.T / lengths


@pytest.mark.parametrize("k", [2, 5, 1000])
def test_the_nearest_people_are_those_of_a_loop(k):
    rows, labels = people(6, 7, 0.8)
    queries = people(6, 3, 0.8, seed=0)[0]
    order = np.random.default_rng(1).permutation(len(rows))
    rows, labels = rows[order], labels[order]
    found = nearest_people(queries, rows, labels, SPACE, k)
    distances = cosine_distances(queries, rows)
    for i in range(len(queries)):
        ranked = {}
        for j in np.argsort(distances[i], kind="stable"):
            ranked.setdefault(int(labels[j]), (distances[i, j], j))
        own = [one for one in found.people[i] if one >= 0]
        assert own == list(ranked)[: len(own)] and len(own) >= 2
        for column, person in enumerate(own):
            assert found.distances[i, column] == pytest.approx(ranked[person][0], abs=1e-6)
            assert found.faces[i, column] == ranked[person][1]
        assert np.isinf(found.distances[i, len(own) :]).all()
        assert (found.faces[i, len(own) :] == -1).all()


def test_with_a_single_person_no_further_faces_are_compared():
    rows, _ = people(1, 9, 0.5)
    found = nearest_people(rows[:2], rows, np.zeros(9, np.int64), SPACE, 3)
    assert found.people.tolist() == [[0, -1, -1]] * 2 and found.distances[:, 0] == pytest.approx(0)


def test_probabilities_are_those_of_bayes_rule_with_the_estimated_share():
    rng = np.random.default_rng(3)
    distances = np.sort(rng.uniform(0.1, 1, (40, 3)), axis=1)
    distances[0, 2] = np.inf
    owners = np.array([rng.permutation(5)[:3] for _ in range(40)])
    owners[0, 2] = -1
    sizes = np.array([1, 4, 2, 9, 3])
    excluded = np.zeros((40, 3), bool)
    excluded[1, 0] = True
    found = probabilities(
        Nearest(owners, distances, np.zeros((40, 3), int)), sizes, MODEL, excluded
    )
    total = 0.0
    for i in range(40):
        prior, ratios = found.known / 5, []
        for j in range(3):
            ratio = np.exp(10 - 20 * distances[i, j] - np.log(sizes[owners[i, j]]))
            ratios.append(0.0 if owners[i, j] < 0 or excluded[i, j] else ratio)
        evidence = (1 - found.known) + prior * sum(ratios)
        expected = [prior * ratio / evidence for ratio in ratios]
        assert found.of_people[i] == pytest.approx(expected, rel=1e-4)
        total += sum(expected)
    # The share agrees with the probabilities, up to one face more of either kind.
    assert found.known == pytest.approx((total + 1) / 42, rel=1e-4)


def test_a_fit_finds_the_numbers_that_made_the_distances():
    rng = np.random.default_rng(0)
    # Normal distances with equal deviations: the logarithm of the ratio is linear in d.
    truth = rng.integers(0, 10, 4000)
    distances = rng.normal(0.8, 0.1, (4000, 10))
    distances[np.arange(4000), truth] -= 0.3
    model = Identification.fit([Draw(distances, np.full(10, 3), truth)], "drawn")
    # slope (0.5 - 0.8) / 0.1^2, and the ratio is 1 half way between the means.
    assert model.slope == pytest.approx(-30, rel=0.1)
    middle = model.log_ratios(np.array(0.65), np.array(3))
    assert middle == pytest.approx(0, abs=0.5)


def test_probabilities_are_calibrated_on_other_people():
    rows, labels = people(300, 6, 0.75, seed=1)
    half = labels % 2 == 0
    model = fit_labeled(rows[half], labels[half], SPACE, "one half", draws=2)
    split = split_labeled(labels[~half], np.random.default_rng(5))
    rest = rows[~half]
    nearest = nearest_people(rest[split.queries], rest[split.named], split.people, SPACE)
    found = probabilities(nearest, np.bincount(split.people), model)
    assert found.known == pytest.approx(np.mean(split.truth >= 0), abs=0.05)
    best = found.of_people.argmax(axis=1)
    lines = np.arange(len(best))
    chance, right = found.of_people[lines, best], nearest.people[lines, best] == split.truth
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1)):
        band = (chance >= low) & (chance <= high)
        assert band.sum() > 20
        assert right[band].mean() == pytest.approx(chance[band].mean(), abs=0.1)


def test_a_split_has_named_and_unknown_people_and_every_face_once():
    labels = np.random.default_rng(2).integers(0, 40, 200) * 3
    labels[0] = 999
    split = split_labeled(labels, np.random.default_rng(0))
    assert sorted([*split.named, *split.queries]) == list(range(200))
    assert (np.diff(split.people) >= 0).all()
    of_person = {}
    for face, person in zip(split.named, split.people, strict=True):
        of_person.setdefault(int(person), set()).add(labels[face])
    assert all(len(one) == 1 for one in of_person.values())
    known = {person: next(iter(one)) for person, one in of_person.items()}
    for face, person in zip(split.queries, split.truth, strict=True):
        assert known[person] == labels[face] if person >= 0 else labels[face] not in known.values()
    assert set(split.truth) >= {-1, *known}  # everybody known is asked for
    found = draw_of(np.eye(200, 16, dtype=np.float32) + 1, split, SPACE, np.random.default_rng(0))
    assert found.distances.shape == (len(split.queries), len(known))


def test_distances_of_a_draw_are_those_to_the_nearest_named_face():
    rows, labels = people(12, 5, 1.0)
    split = split_labeled(labels, np.random.default_rng(4))
    found = draw_of(rows, split, SPACE, np.random.default_rng(0), most=20)
    full = draw_of(rows, split, SPACE, np.random.default_rng(0))
    assert len(found.distances) == 20 and len(full.distances) == len(split.queries)
    exact = cosine_distances(rows[split.queries], rows[split.named])
    for person in range(len(full.sizes)):
        own = split.people == person
        assert full.sizes[person] == own.sum()
        assert full.distances[:, person] == pytest.approx(exact[:, own].min(axis=1), abs=1e-6)


@pytest.mark.parametrize(("count", "faces"), [(19, 9), (49, 2), (200, 1)])
def test_too_few_faces_give_no_numbers(count, faces):
    rows, labels = people(count, faces, 0.5)
    assert fit_labeled(rows, labels, SPACE, "few") is None


def test_distances_that_say_nothing_give_no_numbers():
    rng = np.random.default_rng(0)
    draw = Draw(rng.uniform(size=(50, 4)), np.ones(4, int), np.full(50, -1))
    assert Identification.fit([draw], "nobody known") is None is Identification.fit([], "nothing")
    truth = rng.integers(0, 4, 50)
    distances = rng.uniform(0, 0.1, (50, 4))
    distances[np.arange(50), truth] = 1  # farther than anybody else
    assert Identification.fit([Draw(distances, np.ones(4, int), truth)], "reversed") is None


def test_the_shipped_numbers_are_those_of_the_committed_result():
    path = ROOT / "benchmarks" / "results" / "suggestions.json"
    measured = json.loads(path.read_text(encoding="utf-8"))["identification"]
    [shipped] = IDENTIFICATIONS.values()
    assert {name: round(value, 2) for name, value in measured.items()} == {
        name: round(getattr(shipped, name), 2) for name in measured
    }
    assert identification_of(f"sface:{SFACE}") == shipped
    assert identification_of(f"sface:{SFACE[:-1]}0") is None is identification_of("other")
