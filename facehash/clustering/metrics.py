"""How well clusters agree with people: pairwise and B-cubed precision, recall and F.

*Pairwise*: of the pairs of faces in one cluster, the share of one person (precision); of the pairs
of one person, the share in one cluster (recall). Large clusters dominate it, because their pairs
grow with the square of their size.

*B-cubed* (Bagga and Baldwin 1998; Amigó et al. 2009): for each face, the share of its cluster that
is the same person (precision) and the share of its person that is in its cluster (recall), the face
itself included, averaged over all faces. Every face counts the same.

F is the harmonic mean of precision and recall. A face alone is a cluster of one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


class Agreement(NamedTuple):
    """Agreement of clusters with people, each 0 to 1."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def pairwise(people: Labels, clusters: Labels) -> Agreement:
    """Return the pairwise agreement; without pairs, precision and recall are 1.

    Args:
        people: int64 (n,), the true person of each face.
        clusters: int64 (n,), the cluster of each face; a negative number is a face alone.

    Example:
        >>> found = pairwise(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6]))
        >>> print(f"{found.precision:.3f} {found.recall:.3f} {found.f:.3f}")
        0.500 0.333 0.400
    """
    common, by_person, by_cluster = _counts(people, clusters)
    together = _pairs(common)
    in_clusters, of_people = _pairs(by_cluster), _pairs(by_person)
    return Agreement(
        together / in_clusters if in_clusters else 1.0, together / of_people if of_people else 1.0
    )


def b_cubed(people: Labels, clusters: Labels) -> Agreement:
    """Return the B-cubed agreement; arguments are those of `pairwise`.

    Example:
        >>> found = b_cubed(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6]))
        >>> print(f"{found.precision:.3f} {found.recall:.3f} {found.f:.3f}")
        0.750 0.667 0.706
    """
    faces = len(people)
    if not faces:
        return Agreement(1.0, 1.0)
    cells, person_of_cell, cluster_of_cell, by_person, by_cluster = _cells(people, clusters)
    squares = cells.astype(np.float64) ** 2
    precision = float((squares / by_cluster[cluster_of_cell]).sum() / faces)
    recall = float((squares / by_person[person_of_cell]).sum() / faces)
    return Agreement(precision, recall)


def _counts(people: Labels, clusters: Labels) -> tuple[Labels, Labels, Labels]:
    cells, _, _, by_person, by_cluster = _cells(people, clusters)
    return cells, by_person, by_cluster


def _cells(people: Labels, clusters: Labels) -> tuple[Labels, Labels, Labels, Labels, Labels]:
    """Return the non-empty cells of the table of people and clusters, and the sums of both.

    Returns:
        Number of faces in each cell, int64 (cells,); its person and its cluster, as indices of the
        two sums, number of faces per person and per cluster.
    """
    people, clusters = np.asarray(people), np.array(clusters)
    alone = np.flatnonzero(clusters < 0)
    clusters[alone] = clusters.max(initial=0) + 1 + np.arange(len(alone))
    _, person = np.unique(people, return_inverse=True)
    _, cluster = np.unique(clusters, return_inverse=True)
    columns = int(cluster.max(initial=0)) + 1
    cell, counts = np.unique(person * columns + cluster, return_counts=True)
    return counts, cell // columns, cell % columns, np.bincount(person), np.bincount(cluster)


def _pairs(counts: Labels) -> int:
    return int((counts.astype(np.int64) * (counts - 1) // 2).sum())
