"""Compare two sets of codes on the same queries, with a paired bootstrap.

Both sets answer the same queries, so a hard query is hard for both. The bounds are those of the
difference: every resample draws queries (or people with all their queries) once and scores both
sets on this draw. Queries of one person resemble each other, which makes bounds over single
queries too narrow; quote those over people where there are several.

Reference:
    Efron and Tibshirani. An Introduction to the Bootstrap. 1993, chapters 8 and 13; Smucker, Allan
    and Carterette. A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation. CIKM 2007 (paired bootstrap over queries).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.retrieval.bootstrap import RESAMPLES, SEED, mean_samples, percentiles
from facehash.retrieval.ties import Values
from facehash.retrieval.verification import Pairs, defined, rates_of, verification_samples

Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A metric of two sets of codes; bounds are None where there is a single query or person."""

    a: float
    b: float
    difference: float  # b - a
    over_queries: Interval | None  # 95 % bounds of the difference
    over_people: Interval | None

    def as_json(self) -> dict[str, Any]:
        """Return plain values; bounds as ``{"lower", "upper"}`` or None."""
        bounds = {
            name: value and {"lower": value[0], "upper": value[1]}
            for name in ("over_queries", "over_people")
            for value in (getattr(self, name),)
        }
        return {"a": self.a, "b": self.b, "difference": self.difference, **bounds}


def compare_queries(
    a: Mapping[str, Values],
    b: Mapping[str, Values],
    people: NDArray[np.int64],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Difference]:
    """Compare the metrics of each query, as in `Evaluation.per_query`.

    Args:
        a: By metric, float64 (q,).
        b: The same metrics of the same queries.
        people: int64 (q,), the person of each query.
        resamples: Number of resamples, at least 1.
        seed: Of the draws.

    Returns:
        The difference b - a of the means of each metric.

    Raises:
        CodesError: Other metrics, or another number of queries.

    Example:
        >>> found = compare_queries({"mAP": np.zeros(4)}, {"mAP": np.ones(4)}, np.arange(4))
        >>> found["mAP"].difference, found["mAP"].over_queries
        (1.0, (1.0, 1.0))
    """
    if list(a) != list(b) or any(len(a[name]) != len(b[name]) for name in a):
        raise CodesError(f"both sides need the same metrics and queries, got {list(a)}, {list(b)}")
    values = np.stack([b[name] - a[name] for name in a], axis=1)  # (q, metrics)
    single = np.arange(len(values))
    over_queries, over_people = (
        _bounds(values, groups, resamples, seed) for groups in (single, people)
    )
    return {
        name: Difference(
            float(a[name].mean()),
            float(b[name].mean()),
            float(values[:, place].mean()),
            over_queries[place] if over_queries else None,
            over_people[place] if over_people else None,
        )
        for place, name in enumerate(a)
    }


def compare_pairs(
    a: Pairs, b: Pairs, *, distinct: int, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Difference]:
    """Compare the rates of verification that are defined, with bounds over people.

    Args:
        a: Pairs by person.
        b: Pairs of the same people in the same order.
        distinct: Number of distinct impostor pairs, which decides what is defined.
        resamples: Number of resamples, at least 1.
        seed: Of the draws.
    """
    names = defined(distinct)
    whole = [rates_of(side.total(), names)[0] for side in (a, b)]
    bounds = None
    if len(a.genuine) > 1:
        first, second = (verification_samples(side, names, resamples, seed) for side in (a, b))
        bounds = percentiles(second - first)
    return {
        name: Difference(
            float(whole[0][place]),
            float(whole[1][place]),
            float(whole[1][place] - whole[0][place]),
            None,
            bounds and (float(bounds.lower[place]), float(bounds.upper[place])),
        )
        for place, name in enumerate(names)
    }


def _bounds(
    values: NDArray[np.float64], groups: NDArray[np.int64], resamples: int, seed: int
) -> list[Interval] | None:
    if len(np.unique(groups)) < 2:
        return None
    lower, upper = percentiles(mean_samples(values, groups, resamples, seed))
    return list(zip(lower.tolist(), upper.tolist(), strict=True))
