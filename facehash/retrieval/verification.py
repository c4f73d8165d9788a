"""Verification by codes: are two pictures of one person? Exact rates from histograms.

A pair is a query and a gallery item. A threshold t accepts the pairs at distance 0..t. Of the
genuine pairs (same person) it accepts the share TAR(t), the true accept rate, and of the impostor
pairs the share FAR(t), the false accept rate. A code of `bits` bits has only bits + 1 thresholds,
so that the histograms of `facehash.hamming.search.distance_histograms` hold every rate exactly: no
pair is stored, and none is sampled.

* **TAR at FAR f** is TAR(t) at the largest t with FAR(t) <= f, without interpolation: a threshold
  that can be used. Where distance 0 alone exceeds f, nothing may be accepted and TAR is 0. With
  fewer than 10 / f distinct impostor pairs it is undefined (None), because fewer than ten false
  accepts would decide it.
* **EER**, the equal error rate, is where FAR(t) = 1 - TAR(t), by linear interpolation between the
  two adjacent thresholds (before t = 0, nothing is accepted).
* The **recommended threshold** is the largest t with FAR(t) <= 1e-3. If there is none, or fewer
  than 10,000 impostor pairs, it is the largest t with FAR(t) <= 1e-2; if there is none of those
  either, or fewer than 1,000 pairs, no threshold is recommended.

Bounds come from a bootstrap over people: identities are drawn with replacement, each with all
pairs of its queries, and every resample chooses its own thresholds. The gallery stays fixed, so
the bounds describe other people who search this gallery. For codes with several labels, a pair that
shares a label is genuine, and queries with equal label sets are drawn together as one person. With
leave-one-out, the pairs of a query and itself are absent, and every other pair counts in both
directions: that changes no rate, but only half as many pairs are distinct.

Reference:
    ISO/IEC 19795-1:2021 (rates of accepted pairs); Bolle, Ratha and Pankanti, Error analysis of
    pattern recognition systems: the subsets bootstrap, CVIU 93(1), 2004 (resampling of people).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import Counts, Histograms
from facehash.retrieval.bootstrap import LEVEL, RESAMPLES, SEED, percentiles, resample

RATES = {"1e-2": 100, "1e-3": 1_000, "1e-4": 10_000}
"""Name of a FAR to its inverse: integers, so that counts are compared exactly."""

EER = "EER"
NAMES = (*(f"TAR@{rate}" for rate in RATES), EER)

ENOUGH = 10  # false accepts that a rate allows at least, or it is undefined
_RECOMMENDED = ("1e-3", "1e-2")  # the first that has a threshold

Units = Literal["people", "label sets"]
Shares = NDArray[np.float64]


class Pairs(NamedTuple):
    """Pairs at each distance, a row per person of the queries."""

    genuine: Counts  # int64 (people, bits + 1)
    impostor: Counts  # int64 (people, bits + 1)

    def total(self) -> "Pairs":
        """Return the sums over all people, (1, bits + 1)."""
        return Pairs(*(part.sum(axis=0, keepdims=True) for part in self))

    def weighted(self, weights: NDArray[np.int64]) -> "Pairs":
        """Return the sums over people with these weights (rows, people): (rows, bits + 1)."""
        # Products of floats use BLAS, and are exact up to 2**53 pairs.
        of_people = weights.astype(np.float64)
        return Pairs(*(np.rint(of_people @ part).astype(np.int64) for part in self))


@dataclass(frozen=True)
class Rate:
    """A rate with its bounds, which are None if there is only one person."""

    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Accepting:
    """A threshold and what it accepts."""

    distance: int  # pairs at distance 0..distance are accepted
    far: float
    tar: float


@dataclass(frozen=True)
class Verification:
    """The rates of a set of codes; None where they are undefined."""

    genuine: int  # number of pairs
    impostor: int
    people: int  # of the queries, or groups of queries with equal label sets
    rates: dict[str, Rate | None]  # by name: `NAMES`
    thresholds: dict[str, Accepting | None]  # of each TAR, by the same names
    recommended: Accepting | None
    recommended_far: str | None  # the FAR of the rule, a key of `RATES`
    far: Shares  # (bits + 1,), by threshold; zeros without impostor pairs
    tar: Shares  # (bits + 1,)
    resamples: int
    seed: int

    def as_json(self, units: Units = "people") -> dict[str, Any]:
        """Return the value of ``verification`` in report.json; `units` is what was drawn."""
        return {
            "genuine_pairs": self.genuine,
            "impostor_pairs": self.impostor,
            "people": self.people,
            **{name: rate and vars(rate) for name, rate in self.rates.items()},
            "thresholds": {name: one and vars(one) for name, one in self.thresholds.items()},
            "recommended": self.recommended
            and {
                **vars(self.recommended),
                "rule": f"largest distance with FAR at most {self.recommended_far}",
            },
            "bounds": {
                "level": LEVEL,
                "method": f"bootstrap over the {units} of the queries",
                "units": units,
                "resamples": self.resamples,
                "seed": self.seed,
            },
            "curve": {
                "distance": list(range(len(self.far))),
                "far": self.far.tolist(),
                "tar": self.tar.tolist(),
            },
        }


def no_pairs(people: int, bits: int) -> Pairs:
    """Return zero pairs at every distance 0..bits, to be filled by `add_pairs`."""
    return Pairs(*np.zeros((2, people, bits + 1), np.int64))


def add_pairs(pairs: Pairs, histograms: Histograms, person: NDArray[np.int64]) -> None:
    """Add the histograms of queries to the pairs of their people.

    Args:
        pairs: Changed in place.
        histograms: int64 (q, bits + 1) each, of all gallery items and of the relevant ones.
        person: int64 (q,), the row of `pairs` of each query.

    Example:
        >>> pairs = no_pairs(people=1, bits=1)
        >>> found = Histograms(np.array([[1, 2], [0, 3]]), np.array([[1, 0], [0, 1]]))
        >>> add_pairs(pairs, found, np.array([0, 0]))
        >>> pairs
        Pairs(genuine=array([[1, 1]]), impostor=array([[0, 4]]))
    """
    order = np.argsort(person, kind="stable")
    present, first = np.unique(person[order], return_index=True)
    genuine, total = (
        np.add.reduceat(part[order], first, axis=0)
        for part in (histograms.relevant, histograms.all_counts)
    )
    pairs.genuine[present] += genuine
    pairs.impostor[present] += total - genuine


def distinct_impostors(pairs: Pairs, leave_one_out: bool) -> int:
    """Return the number of impostor pairs, each counted once."""
    return int(pairs.impostor.sum()) // (2 if leave_one_out else 1)


def verify_pairs(
    pairs: Pairs,
    *,
    leave_one_out: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Verification:
    """Compute the rates of counted pairs and their bounds, see the module docstring.

    Args:
        pairs: A row per person.
        leave_one_out: Whether each pair is counted in both directions.
        resamples: Number of resamples for the bounds, at least 1.
        seed: Of the resamples.

    Raises:
        CodesError: There is no genuine pair.

    Example:
        1,000 impostor pairs, of which 8 at distance 1 and the rest at distance 2.

        >>> found = verify_pairs(Pairs(np.array([[3, 1, 0]]), np.array([[0, 8, 992]])))
        >>> found.rates["TAR@1e-2"].value, found.thresholds["TAR@1e-2"].distance
        (1.0, 1)
        >>> found.rates["TAR@1e-3"] is None  # needs 10,000 impostor pairs
        True
    """
    whole = pairs.total()
    genuine, impostor = (int(part.sum()) for part in whole)
    if genuine == 0:
        raise CodesError("verification needs a pair of one person, there is none")
    names = defined(distinct_impostors(pairs, leave_one_out))
    values = rates_of(whole, names)
    samples = verification_samples(pairs, names, resamples, seed)
    bounds = percentiles(samples) if len(pairs.genuine) > 1 else None
    rates: dict[str, Rate | None] = dict.fromkeys(NAMES)
    for place, name in enumerate(names):
        edges = [float(edge[place]) for edge in bounds] if bounds else [None, None]
        rates[name] = Rate(float(values[0, place]), *edges)
    far, tar = (shares[0] for shares in _shares(whole))
    thresholds: dict[str, Accepting | None] = dict.fromkeys(NAMES[:-1])
    for name in names[:-1]:
        last = int(_last_threshold(whole, _inverse(name))[0])
        if last >= 0:
            thresholds[name] = Accepting(last, float(far[last]), float(tar[last]))
    rule = next((rate for rate in _RECOMMENDED if thresholds[f"TAR@{rate}"]), None)
    return Verification(
        genuine,
        impostor,
        len(pairs.genuine),
        rates,
        thresholds,
        thresholds[f"TAR@{rule}"] if rule else None,
        rule,
        far,
        tar,
        resamples,
        seed,
    )


def defined(impostor: int) -> list[str]:
    """Return the `NAMES` that are defined with this number of distinct impostor pairs."""
    enough = [f"TAR@{rate}" for rate, inverse in RATES.items() if impostor >= ENOUGH * inverse]
    return enough + [EER] * (impostor > 0)


def verification_samples(
    pairs: Pairs, names: list[str], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the named rates of resampled people, float64 (resamples, names)."""
    weights = resample(len(pairs.genuine), resamples, seed)
    return np.concatenate([rates_of(pairs.weighted(block), names) for block in weights])


def rates_of(pairs: Pairs, names: list[str]) -> NDArray[np.float64]:
    """Return the named rates of each row of pairs, float64 (rows, names)."""
    far, tar = _shares(pairs)
    columns = [
        _equal_error(far, tar) if name == EER else _tar_at(pairs, _inverse(name), tar)
        for name in names
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(far), 0))


def _inverse(name: str) -> int:
    return RATES[name.removeprefix("TAR@")]


def _shares(pairs: Pairs) -> tuple[Shares, Shares]:
    """Return FAR and TAR at each threshold 0..bits, (rows, bits + 1)."""
    counts = (np.cumsum(part, axis=1) for part in (pairs.impostor, pairs.genuine))
    far, tar = (part / np.maximum(part[:, -1:], 1) for part in counts)
    return far, tar


def _last_threshold(pairs: Pairs, inverse: int) -> NDArray[np.int64]:
    """Return the largest threshold with FAR at most 1 / inverse, -1 for none, int64 (rows,)."""
    accepted = np.cumsum(pairs.impostor, axis=1)
    return np.asarray((accepted * inverse <= accepted[:, -1:]).sum(axis=1) - 1)


def _tar_at(pairs: Pairs, inverse: int, tar: Shares) -> Shares:
    last = _last_threshold(pairs, inverse)
    return np.where(last >= 0, tar[np.arange(len(tar)), np.maximum(last, 0)], 0.0)


def _equal_error(far: Shares, tar: Shares) -> Shares:
    start = np.zeros((len(far), 1))
    far, tar = np.hstack([start, far]), np.hstack([start, tar])
    balance = far - (1 - tar)  # increases with the threshold from -1 to 1
    rows, after = np.arange(len(far)), (balance >= 0).argmax(axis=1)
    low, high = balance[rows, after - 1], balance[rows, after]
    part = -low / (high - low)
    return np.asarray(far[rows, after - 1] + part * (far[rows, after] - far[rows, after - 1]))
