import numpy as np
import pytest

from facehash.clustering.metrics import Agreement, b_cubed, pairwise


def pairs_by_loops(people, clusters):
    together = in_cluster = of_person = 0
    for i in range(len(people)):
        for j in range(i):
            same_person = people[i] == people[j]
            same_cluster = clusters[i] == clusters[j] and clusters[i] >= 0
            together += same_person and same_cluster
            in_cluster += same_cluster
            of_person += same_person
    return together / in_cluster if in_cluster else 1, together / of_person if of_person else 1


def b_cubed_by_loops(people, clusters):
    precisions, recalls = [], []
    for i in range(len(people)):
        cluster = [
            j
            for j in range(len(people))
            if j == i or (clusters[j] == clusters[i] and clusters[i] >= 0)
        ]
        person = [j for j in range(len(people)) if people[j] == people[i]]
        common = len(set(cluster) & set(person))
        precisions.append(common / len(cluster))
        recalls.append(common / len(person))
    return np.mean(precisions), np.mean(recalls)


@pytest.mark.parametrize("seed", range(8))
def test_agreement_is_that_of_the_definitions(seed):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 7, 60) * 10
    clusters = rng.integers(-2, 9, 60)
    assert pairwise(people, clusters) == pytest.approx(pairs_by_loops(people, clusters))
    assert b_cubed(people, clusters) == pytest.approx(b_cubed_by_loops(people, clusters))


def test_pairs_are_those_of_scikit_learn():
    pair_confusion_matrix = pytest.importorskip("sklearn.metrics.cluster").pair_confusion_matrix
    rng = np.random.default_rng(1)
    people, clusters = rng.integers(0, 40, 500), rng.integers(0, 60, 500)
    [[_, false_pairs], [missed, true_pairs]] = pair_confusion_matrix(people, clusters)
    found = pairwise(people, clusters)
    assert found.precision == pytest.approx(true_pairs / (true_pairs + false_pairs))
    assert found.recall == pytest.approx(true_pairs / (true_pairs + missed))


def test_a_perfect_clustering_and_all_faces_alone():
    people = np.array([3, 3, 8, 9, 9, 9])
    assert pairwise(people, people) == b_cubed(people, people) == (1, 1)
    alone = np.full(6, -1)
    assert pairwise(people, alone) == (1, 0) and pairwise(people, alone).f == 0
    assert b_cubed(people, alone) == pytest.approx((1, 0.5))
    assert Agreement(1, 0.5).f == pytest.approx(2 / 3)


def test_no_faces():
    none = np.zeros(0, np.int64)
    assert pairwise(none, none) == b_cubed(none, none) == (1, 1)
