import json

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from facehash.clustering.distances import SHARE, cluster_distance
from facehash.clustering.linkage import NEW, average_linkage
from facehash.clustering.metrics import b_cubed, pairwise
from facehash.vectors import Space, distance_of_points, points_of, squared_of_points
from tests.conftest import ROOT

LIMIT = 1.0


def draw(seed, count=120, dimension=3):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def partition(labels):
    """Return the clusters as sets of positions; a face alone is a set of its own."""
    found = {}
    for position, label in enumerate(labels):
        found.setdefault(label if label >= 0 else -1 - position, set()).add(position)
    return {frozenset(one) for one in found.values()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limit", [0.2, 1.0, 3.0])
def test_with_all_neighbors_it_is_average_linkage_on_the_whole_matrix(seed, limit):
    points = draw(seed)
    tree = linkage(pdist(points.astype(np.float64)) ** 2, "average")
    expected = fcluster(tree, limit, "distance")
    assert partition(average_linkage(points, limit, neighbors=119)) == partition(expected)


def test_bursts_with_more_faces_than_neighbors_are_joined_by_their_means():
    rng = np.random.default_rng(5)
    bursts = np.concatenate(
        [center + rng.normal(size=(30, 2)) * 0.01 for center in ((0, 0), (0, 0.5), (5, 5))]
    ).astype(np.float32)
    labels = average_linkage(bursts, LIMIT, neighbors=4)
    assert labels.tolist() == [0] * 60 + [1] * 30


def test_one_face_between_two_people_does_not_join_them():
    line = np.arange(0, 6, 0.9, dtype=np.float32)[:, None]
    # Connected components with the same limit would make one cluster of it.
    assert len(partition(average_linkage(line, LIMIT))) > 2


@pytest.mark.parametrize("seed", range(3))
def test_clusters_that_exist_keep_their_label_and_members_and_are_not_merged(seed):
    points = draw(seed, 90)
    before = np.full(90, NEW)
    before[:40] = average_linkage(points[:40], 0.3)
    after = average_linkage(points, LIMIT, before)
    kept = before != NEW
    assert np.array_equal(after[kept], before[kept])
    fresh = after[(after != NEW) & ~np.isin(after, before[kept])]
    assert fresh.min() == before.max() + 1
    assert np.array_equal(np.unique(fresh), np.arange(fresh.min(), fresh.max() + 1))
    assert np.isin(after[~kept], before[kept]).any()
    # Nothing is new the second time.
    again = average_linkage(points, LIMIT, after)
    assert np.array_equal(again, after)


def test_two_clusters_that_exist_stay_two_even_where_they_overlap():
    points = np.zeros((4, 2), np.float32)
    labels = average_linkage(points, LIMIT, np.array([7, 7, 3, NEW]))
    assert labels.tolist()[:3] == [7, 7, 3] and labels[3] in (3, 7)


def test_points_of_one_group_are_never_put_into_one_cluster():
    points = np.array([[0.0], [0.1], [0.2], [5.0], [5.1]], np.float32)
    groups = np.array([1, 1, 2, -1, -1])
    labels = average_linkage(points, LIMIT, groups=groups)
    assert labels[0] != labels[1] or labels[0] == NEW
    assert labels[3] == labels[4] != NEW  # negative numbers are no groups
    joined = average_linkage(points[:2], LIMIT, np.array([4, NEW]), groups[:2])
    assert joined.tolist() == [4, NEW]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points(count):
    assert average_linkage(draw(0, count), 1e9).tolist() == [[], [NEW], [0, 0]][count]


def test_equal_points_are_one_cluster():
    assert average_linkage(np.ones((50, 4), np.float32), 0.1).tolist() == [0] * 50


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "hamming"])
def test_distances_of_points_are_those_of_rows(metric):
    rng = np.random.default_rng(3)
    if metric == "hamming":
        rows = rng.integers(0, 256, (9, 3), dtype=np.uint8)
        rows[:, 2] &= 15
        bits = np.unpackbits(rows, axis=1, bitorder="little")
        expected = (bits[:, None] != bits[None]).sum(axis=2)
        space = Space("hamming", 20)
    else:
        rows, space = draw(1, 9, 5), Space(metric, 5)
        exact = rows.astype(np.float64)
        lengths = np.linalg.norm(exact, axis=1)
        cosine = 1 - exact @ exact.T / np.outer(lengths, lengths)
        euclidean = np.linalg.norm(exact[:, None] - exact, axis=2)
        expected = cosine if metric == "cosine" else euclidean
    points = points_of(rows, space).astype(np.float64)
    squared = np.square(points[:, None] - points).sum(axis=2)
    assert distance_of_points(squared, metric) == pytest.approx(expected, abs=1e-6)
    back = [squared_of_points(one, metric) for one in expected.ravel()]
    assert back == pytest.approx(squared.ravel(), abs=1e-5)


def test_the_distance_of_clusters_is_a_share_of_the_threshold():
    assert cluster_distance(1.0, "cosine") == SHARE
    points = squared_of_points(cluster_distance(2.0, "euclidean"), "euclidean")
    assert points == pytest.approx(SHARE * squared_of_points(2.0, "euclidean"))


def test_on_lfw_it_beats_dbscan_at_the_best_threshold_for_lfw(shared):
    stored = np.load(shared("vectors", "sface_lfw.npz"))
    rows = points_of(stored["vectors"].astype(np.float32), Space("cosine", 128))
    people = np.unique(stored["labels"], return_inverse=True)[1]
    distance = cluster_distance(0.639, "cosine")
    labels = average_linkage(rows, squared_of_points(distance, "cosine"))
    path = ROOT / "benchmarks" / "results" / "clusters.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    found = {"pairwise": pairwise(people, labels).f, "b_cubed": b_cubed(people, labels).f}
    for name, value in found.items():
        assert value == pytest.approx(result["average_linkage"][name]["f"], abs=1e-3)
        assert value > result["dbscan"][f"best_{name}"][name]["f"] + 1e-3
    assert round(distance, 2) == result["choice"]["distance"]
