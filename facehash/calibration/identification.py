"""The probability that a face is of a known person, from its distances to named faces.

The distance d between a face and the nearest of the n named faces of a person says how much more
likely it is that they are one person than that they are two:

    log(p(d | one person) / p(d | two people)) = intercept + slope * d + faces * log(n)

A person with many named faces is near to more faces by chance, so `faces` is negative. The three
numbers are fitted by logistic regression to pairs of a face and a person. Bayes' rule then gives
the probability of every known person and of somebody unknown. Before the faces are looked at, every
known person is as likely as the others; the share of faces of known people is estimated from the
faces themselves (Saerens, Latinne and Decaestecker 2002), because it differs between libraries.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from facehash.calibration.measure import Labels
from facehash.calibration.thresholds import SFACE, find_by_identity
from facehash.index.exact import ExactIndex
from facehash.vectors import Rows, Space, distance_of_points, points_of

NEIGHBORS = 64
"""Named faces that a face is compared with at first; more if they are all of one person."""
MIN_PEOPLE, MIN_FACES = 20, 100
"""People with two named faces, and their faces, from which a library is its own calibration."""
_HIDDEN = 1 / 3  # share of the people whose faces count as unknown in a draw
_DRAWS = 3
_MOST_QUERIES = 2000  # per draw, which bounds the memory
_QUERIES = 4096
_VALUES = 1 << 22


class Identification(NamedTuple):
    """How distances become probabilities."""

    intercept: float
    slope: float
    faces: float
    source: str  # where the numbers come from, in words

    def log_ratios(
        self, distances: NDArray[np.float64], sizes: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the logarithms of the likelihood ratios, one person against two.

        Args:
            distances: Distances to the nearest named face of people; infinite for none.
            sizes: Numbers of their named faces, of the same shape.
        """
        ratios = self.intercept + self.slope * distances + self.faces * np.log(sizes)
        return np.clip(ratios, -_LARGEST, _LARGEST)

    @classmethod
    def fit(cls, draws: "list[Draw]", source: str) -> Self | None:
        """Fit the numbers to draws; None if one kind of pair is missing or distances mislead."""
        features, targets = [], []
        for draw in draws:
            sizes = np.broadcast_to(np.log(draw.sizes), draw.distances.shape)
            ones = np.ones_like(sizes)
            features.append(np.stack([ones, draw.distances, sizes], axis=2).reshape(-1, 3))
            is_person = draw.truth[:, None] == np.arange(len(draw.sizes))
            targets.append(is_person.reshape(-1))
        if not draws:
            return None
        target = np.concatenate(targets).astype(np.float64)
        genuine = target.sum()
        if not 0 < genuine < len(target):
            return None
        weights = _logistic(np.concatenate(features), target)
        # The ratio of probabilities becomes one of likelihoods.
        weights[0] -= np.log(genuine / (len(target) - genuine))
        if not np.isfinite(weights).all() or weights[1] >= 0:
            return None
        intercept, slope, faces = map(float, weights)
        return cls(intercept, slope, faces, source)


_LARGEST = 60.0

# Start of an embedder's identity to its numbers. Measured by
# `python -m benchmarks.naming.suggestions`; a test compares benchmarks/results/suggestions.json.
IDENTIFICATIONS: dict[str, Identification] = {
    f"sface:{SFACE}": Identification(32.0, -47.31, -2.146, "measured on 2,264 photos of LFW"),
}


def identification_of(identity: str) -> Identification | None:
    """Return how distances of an embedder become probabilities, or None if it is unknown.

    Args:
        identity: The identity of the embedder.
    """
    return find_by_identity(IDENTIFICATIONS, identity)


class Nearest(NamedTuple):
    """The people nearest to each face, nearest first."""

    people: Labels  # int64 (q, k), -1 beyond the last one
    distances: NDArray[np.float64]  # (q, k), to the nearest named face; infinite beyond the last
    faces: Labels  # int64 (q, k), the position of that face


def nearest_people(
    queries: Rows, rows: Rows, people: Labels, space: Space, k: int = NEIGHBORS
) -> Nearest:
    """Find the people nearest to faces, each by the nearest of the person's named faces.

    Args:
        queries: Rows of the space, (q, width).
        rows: The named faces, (n, width), at least one.
        people: int64 (n,), 0 or more, whose they are.
        space: How they are compared.
        k: Number of named faces that each query is compared with. If all of them are of one
            person, four times as many are compared, and so on.
    """
    index = ExactIndex.build(rows, np.arange(len(rows)), space)
    size = min(k, len(rows))
    several = people.min() != people.max()
    found = Nearest(
        np.full((len(queries), size), -1),
        np.full((len(queries), size), np.inf),
        np.full((len(queries), size), -1),
    )
    for start in range(0, len(queries), _QUERIES):
        waiting = np.arange(start, min(start + _QUERIES, len(queries)))
        wanted = size
        while len(waiting):
            hits = index.search(queries[waiting], wanted)
            owners = people[hits.ids]  # (w, wanted)
            alone = (owners == owners[:, :1]).all(axis=1) & several & (wanted < len(rows))
            done = ~alone
            part = _first_of_each(owners[done], hits.distances[done], hits.ids[done], size)
            for array, values in zip(found, part, strict=True):
                array[waiting[done]] = values
            waiting, wanted = waiting[alone], min(4 * wanted, len(rows))
    return found


def _first_of_each(
    owners: Labels, distances: NDArray[np.float64], ids: Labels, size: int
) -> tuple[NDArray[np.generic], ...]:
    """Keep the first column of each person in each row, at most `size`, in order."""
    order = np.argsort(owners, axis=1, kind="stable")
    sorted_owners = np.take_along_axis(owners, order, axis=1)
    repeated = np.zeros(owners.shape, bool)
    again = sorted_owners[:, 1:] == sorted_owners[:, :-1]
    np.put_along_axis(repeated, order[:, 1:], again, axis=1)
    front = np.argsort(repeated, axis=1, kind="stable")[:, :size]
    gone = np.take_along_axis(repeated, front, axis=1)
    return (
        np.where(gone, -1, np.take_along_axis(owners, front, axis=1)),
        np.where(gone, np.inf, np.take_along_axis(distances, front, axis=1)),
        np.where(gone, -1, np.take_along_axis(ids, front, axis=1)),
    )


class Probabilities(NamedTuple):
    """The result of Bayes' rule."""

    of_people: NDArray[np.float64]  # (q, k), for the columns of `Nearest`
    known: float  # estimated share of the faces that are of known people


def probabilities(
    nearest: Nearest,
    sizes: Labels,
    model: Identification,
    excluded: NDArray[np.bool_] | None = None,
) -> Probabilities:
    """Return the probability of each of the nearest people of each face.

    Args:
        nearest: The people, see `nearest_people`.
        sizes: int64 (people,), number of named faces of everybody who is known.
        model: How distances become probabilities.
        excluded: bool (q, k), people of whom the face is certainly not. Default: nobody.
    """
    out = nearest.people < 0
    if excluded is not None:
        out = out | excluded
    of_people = np.maximum(sizes, 1)[np.maximum(nearest.people, 0)]
    distances = np.where(out, 0.0, nearest.distances)
    ratios = np.where(out, 0.0, np.exp(model.log_ratios(distances, of_people)))
    number = max(1, int((sizes > 0).sum()))
    known, found = 0.5, ratios
    for _ in range(_STEPS):
        weighted = ratios * (known / number)
        found = weighted / (weighted.sum(axis=1, keepdims=True) + 1 - known)
        # One face more of either kind keeps the share off 0 and 1.
        before, known = known, (found.sum() + 1) / (len(ratios) + 2)
        if abs(known - before) < _CLOSE:
            break
    return Probabilities(found, float(known))


_STEPS, _CLOSE = 100, 1e-6


class Draw(NamedTuple):
    """Labeled faces, drawn to be like a library: some named, others not."""

    distances: NDArray[np.float64]  # (q, people), to the nearest named face
    sizes: Labels  # int64 (people,), number of named faces
    truth: Labels  # int64 (q,), index of the person, or -1 for somebody unknown


class Split(NamedTuple):
    """Labeled faces as a library: named ones, and queries of known and unknown people."""

    named: Labels  # positions of named faces
    people: Labels  # int64, whose they are: 0, 1, ...
    queries: Labels  # positions of the other faces
    truth: Labels  # int64, index of the person of a query, or -1 for somebody unknown


def split_labeled(labels: Labels, rng: np.random.Generator, hidden: float = _HIDDEN) -> Split:
    """Divide labeled faces into named faces and queries.

    A share of the people with two faces or more is unknown, and so is everybody with one face. Of
    the others, a random number of faces is named, from one to all but one.

    Args:
        labels: int64 (n,), the person of each face.
        rng: The source of randomness.
        hidden: Share of the people with two faces or more who are unknown.
    """
    named, people, queries, truth = [], [], [], []
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[:1]] - 1))
    known = 0
    for own in np.split(order, starts[1:]):
        count = 0
        if len(own) > 1 and rng.random() >= hidden:
            count = int(rng.integers(1, len(own)))
        named.append(own[:count])
        people.append(np.full(count, known))
        queries.append(own[count:])
        truth.append(np.full(len(own) - count, known if count else -1))
        known += count > 0
    parts = (np.concatenate(one) for one in (named, people, queries, truth))
    return Split(*(part.astype(np.int64) for part in parts))


def draw_split(
    rows: Rows, split: Split, space: Space, rng: np.random.Generator, most: int = _MOST_QUERIES
) -> Draw:
    """Compute the distances of at most `most` queries of a split to every known person."""
    chosen = np.arange(len(split.queries))
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    number = int(split.people.max(initial=-1)) + 1
    named = points_of(rows[split.named], space)
    starts = np.searchsorted(split.people, np.arange(number))  # they are sorted
    lengths = np.einsum("nd,nd->n", named, named, dtype=np.float64)
    distances = np.empty((len(chosen), number))
    step = max(1, _VALUES // max(1, len(named)))
    for start in range(0, len(chosen), step):
        queries = points_of(rows[split.queries[chosen[start : start + step]]], space)
        own = np.einsum("nd,nd->n", queries, queries, dtype=np.float64)
        squared = own[:, None] + lengths - 2.0 * (queries @ named.T)
        nearest = np.minimum.reduceat(np.maximum(squared, 0), starts, axis=1)
        distances[start : start + step] = distance_of_points(nearest, space.metric)
    return Draw(distances, np.bincount(split.people, minlength=number), split.truth[chosen])


def fit_labeled(
    rows: Rows, labels: Labels, space: Space, source: str, seed: int = 0, draws: int = _DRAWS
) -> Identification | None:
    """Fit the numbers to labeled faces, or return None if there are too few of them.

    Args:
        rows: Rows of the space, (n, width).
        labels: int64 (n,), the person of each row.
        space: How they are compared.
        source: Where the faces come from, in words.
        seed: Seed of the draws.
        draws: Number of draws; the people who are unknown differ between them.
    """
    _, counts = np.unique(labels, return_counts=True)
    if (counts > 1).sum() < MIN_PEOPLE or counts[counts > 1].sum() < MIN_FACES:
        return None
    rng = np.random.default_rng(seed)
    splits = [split_labeled(labels, rng) for _ in range(draws)]
    found = [draw_split(rows, one, space, rng) for one in splits if len(one.named)]
    return Identification.fit(found, source)


def _logistic(features: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights (3,) of a logistic regression, by Newton's method.

    A weak ridge keeps the weights finite where the two kinds of pairs do not overlap.
    """
    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1
    scaled = features / scale
    weights = np.zeros(3)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(scaled @ weights, -_LARGEST, _LARGEST)))
        slope = scaled.T @ (target - chance) - _RIDGE * weights
        curvature = (scaled * (chance * (1 - chance))[:, None]).T @ scaled + _RIDGE * np.eye(3)
        step = np.linalg.solve(curvature, slope)
        weights += step
        if np.abs(step).max() < _CLOSE:
            break
    return np.asarray(weights / scale)


_NEWTON_STEPS, _RIDGE = 60, 1e-3
