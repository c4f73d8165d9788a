"""Average linkage over a graph of neighbors, which also grows clusters that exist.

Two clusters are merged while the mean distance between their faces is within a limit, the nearest
two first. Unlike connected components and DBSCAN, one face that resembles two people does not join
them. The mean of squared Euclidean distances between two clusters follows from their sums,

    mean |a - b|^2 = mean |a|^2 + mean |b|^2 - 2 (mean a) . (mean b)

so that no matrix of distances is needed. Half of it is the mean cosine distance of vectors of
length 1, and a quarter the mean Hamming distance of codes of -1 and +1, see
`facehash.vectors.points_of`.

Only neighbors are compared: first the points with their nearest points, then the clusters with the
nearest clusters by their means, because all nearest neighbors of a photo may be of one burst.
"""

import heapq
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from facehash.index.exact import ExactIndex
from facehash.vectors import Space

Labels = NDArray[np.int64]
NEW = -1
"""Label of a point that is in no cluster yet."""
NEIGHBORS = 16
"""Neighbors of a point, or of a cluster. More change nothing on LFW."""
_ROUNDS = 8
_QUERIES = 4096


def average_linkage(
    points: NDArray[np.float32],
    limit: float,
    labels: Labels | None = None,
    groups: Labels | None = None,
    neighbors: int = NEIGHBORS,
) -> Labels:
    """Cluster points by average linkage; clusters that exist grow, and are never merged.

    Args:
        points: float32 (n, d), finite, see `facehash.vectors.points_of`.
        limit: Largest mean squared distance between two clusters that are merged.
        labels: int64 (n,), the cluster of each point, 0 or more, or `NEW`. Default: all are new.
        groups: int64 (n,): two new clusters with points of the same group are not merged, nor does
            a new cluster join one that exists. Negative numbers are no groups. Default: no groups.
        neighbors: Number of nearest points, or clusters, that each is compared with.

    Returns:
        int64 (n,). Points that had a cluster keep its label. New clusters of at least two points
        have the next labels, in the order of their first points. Points alone are `NEW`.

    Example:
        >>> average_linkage(np.array([[0.0], [1.0], [1.1], [9.0]], np.float32), limit=1.5)
        array([ 0,  0,  0, -1])
    """
    given = np.full(len(points), NEW) if labels is None else np.asarray(labels, np.int64)
    linkage = _Linkage(points, given, groups, limit)
    new = np.flatnonzero(given == NEW)
    pairs = _near(points, new, points[new], limit, neighbors)
    changed = linkage.merge(linkage.of_point[pairs])
    for _ in range(_ROUNDS):
        # Clusters that did not grow have met their neighbors, except in the first round.
        roots = linkage.roots()
        means = linkage.means(roots)
        asking = np.flatnonzero(np.isin(roots, changed) & (roots >= linkage.existing))
        if not len(asking):
            break
        changed = linkage.merge(roots[_near(means, asking, means[asking], limit, neighbors)])
    return linkage.labels(given)


def _near(
    points: NDArray[np.float32],
    positions: Labels,
    queries: NDArray[np.float32],
    limit: float,
    neighbors: int,
) -> Labels:
    """Return the pairs (pairs, 2) of positions of a query and a near point."""
    index = ExactIndex.build(points, np.arange(len(points)), Space("euclidean", points.shape[1]))
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(queries), _QUERIES):
        own = positions[start : start + _QUERIES]
        nearest = index.search(queries[start : start + _QUERIES], neighbors + 1)
        # A query finds itself. Two clusters are at least as far apart as their means.
        near = (np.square(nearest.distances) <= limit) & (nearest.ids != own[:, None])
        row, column = np.nonzero(near)
        found.append(np.stack([own[row], nearest.ids[row, column]], axis=1))
    return np.concatenate(found)


class _Linkage:
    """Clusters being merged: the existing ones have the first numbers, then each new point has one.

    Attributes:
        existing: Number of clusters that existed.
        of_point: int64 (n,), the first cluster of each point.
    """

    def __init__(
        self, points: NDArray[np.float32], given: Labels, groups: Labels | None, limit: float
    ) -> None:
        self.limit = limit
        has_label = given != NEW
        self._known, inverse = np.unique(given[has_label], return_inverse=True)
        self.existing = len(self._known)
        number = self.existing + int((~has_label).sum())
        self.of_point = np.empty(len(points), np.int64)
        self.of_point[has_label] = inverse
        self.of_point[~has_label] = np.arange(self.existing, number)
        self._sums = np.zeros((number, points.shape[1]))
        self._sums[self.of_point[~has_label]] = points[~has_label]
        np.add.at(self._sums, inverse, points[has_label])
        lengths = np.einsum("nd,nd->n", points, points, dtype=np.float64)
        self._squares = np.bincount(self.of_point, lengths, number)
        self._sizes = np.bincount(self.of_point, minlength=number)
        self._parent = np.arange(number)
        self._version = [0] * number
        self._near: list[set[int]] = [set() for _ in range(number)]
        self._groups: list[set[int]] = [set() for _ in range(number)]
        if groups is not None:
            for node, group in zip(self.of_point.tolist(), groups.tolist(), strict=True):
                if group >= 0:
                    self._groups[node].add(group)
        self._heap: list[tuple[float, int, int, int, int]] = []

    def roots(self) -> Labels:
        """Return the clusters that are left, int64 (clusters,)."""
        return np.flatnonzero(self._parent == np.arange(len(self._parent)))

    def means(self, nodes: Labels) -> NDArray[np.float32]:
        """Return the means of clusters, float32 (len(nodes), d)."""
        return (self._sums[nodes] / self._sizes[nodes, None]).astype(np.float32)

    def merge(self, pairs: Labels) -> Labels:
        """Make pairs (pairs, 2) of clusters neighbors, and merge until no two are within the limit.

        Returns:
            The clusters that have grown.
        """
        pairs = np.sort(pairs.reshape(-1, 2), axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        pairs = pairs[pairs[:, 1] >= self.existing]  # two clusters that exist stay two
        for first, second in pairs.tolist():
            self._near[first].add(second)
            self._near[second].add(first)
        for start in range(0, len(pairs), _QUERIES):
            self._queue(*pairs[start : start + _QUERIES].T)
        grown = set()
        for kept, gone in self._nearest():
            near = (self._near[kept] | self._near[gone]) - {kept, gone}
            for node in self._near[gone] - {kept}:
                self._near[node].discard(gone)
                self._near[node].add(kept)
            self._near[kept], self._near[gone] = near, set()
            self._groups[kept] |= self._groups[gone]
            self._sums[kept] += self._sums[gone]
            self._squares[kept] += self._squares[gone]
            self._sizes[kept] += self._sizes[gone]
            self._parent[gone] = kept
            for node in (kept, gone):
                self._version[node] += 1
            grown.discard(gone)
            grown.add(kept)
            others = self._mergeable(kept, near)
            self._queue(np.full(len(others), kept), np.array(others, np.int64))
        return np.array(sorted(grown), np.int64)

    def _mergeable(self, node: int, near: Iterable[int]) -> list[int]:
        return [one for one in near if max(node, one) >= self.existing]

    def _nearest(self) -> Iterator[tuple[int, int]]:
        """Yield the nearest two clusters: the one that remains, and the other."""
        while self._heap:
            _, first, second, *versions = heapq.heappop(self._heap)
            if versions == [self._version[first], self._version[second]] and (
                self._groups[first].isdisjoint(self._groups[second])
            ):
                yield first, second

    def _queue(self, first: Labels, second: Labels) -> None:
        """Queue the pairs of clusters that are within the limit."""
        own, other = self._sizes[first], self._sizes[second]
        products = np.einsum("nd,nd->n", self._sums[first], self._sums[second])
        means = self._squares[first] / own + self._squares[second] / other
        distances = means - 2 * products / (own * other)
        for i in np.flatnonzero(distances <= self.limit).tolist():
            one, two = sorted((int(first[i]), int(second[i])))
            entry = (float(distances[i]), one, two, self._version[one], self._version[two])
            heapq.heappush(self._heap, entry)

    def labels(self, given: Labels) -> Labels:
        """Return the label of every point, see `average_linkage`."""
        parent = self._parent
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
        found = parent[self.of_point]
        result = np.full(len(given), NEW)
        grown = found < self.existing
        result[grown] = self._known[found[grown]]
        rest = np.flatnonzero(~grown & (self._sizes[found] > 1))
        _, first, inverse = np.unique(found[rest], return_index=True, return_inverse=True)
        order = np.empty(len(first), np.int64)
        order[np.argsort(first)] = np.arange(len(first))
        start = int(self._known[-1]) + 1 if self.existing else 0
        result[rest] = start + order[inverse]
        return result
