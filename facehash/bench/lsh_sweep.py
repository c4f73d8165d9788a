"""Measures an LSH index over a grid of tables, key bits and probes: ``facehash bench --sweep lsh``.

Every setting is measured with the index itself (`facehash.index.buckets.LshIndex`), one query at a
time, beside the exact index on the same queries. The buckets are those that a Redis engine with the
same tables, bits and seed has, so a setting that was chosen here can be given to a server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facehash.bench.queries import Pairs, QuerySet, draw_queries, read_faces
from facehash.errors import InputError
from facehash.index.base import Found
from facehash.index.buckets import LshIndex
from facehash.index.exact import ExactIndex
from facehash.index.lsh import MAX_KEY_BITS
from facehash.library.derived.arrays import spaces
from facehash.library.storage.database import LibraryError
from facehash.library.storage.rows import read_rows
from facehash.library.storage.store import Store
from facehash.printing import counted, progress
from facehash.vectors import Ids, Rows, Space, unit_rows

SCHEMA = 1
K = 10
LEAST_FACES = 100
"""Faces that a library needs: below, an exact search takes less time than can be measured."""

_LEAST_NAMED = 20  # queries with a right answer, from which on P@1 is measured
_LEAST_TIMED = 30  # queries of a setting, however long they take
_WARM_UP = 5
_MOST = {"tables": 256, "bits": MAX_KEY_BITS, "probes": 4096}  # as on Redis
# Rounding error of a distance.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sweep:
    """What to measure; the options of ``facehash bench --sweep lsh``."""

    tables: Sequence[int] = (4, 8, 16, 32, 64)  # 1 to 256
    bits: Sequence[int] = (8, 12, 16, 20, 24)  # of a key, 1 to 24
    probes: Sequence[int] = (1, 4, 16, 64, 256)  # buckets per table, 1 to 4,096
    recall: float = 0.95  # that the recommended setting must reach
    near_duplicate: float = 0.95  # see `facehash.bench.queries.draw_queries`
    queries: int = 300  # at most
    seconds: float = 3.0  # per setting; at least 30 queries are timed, however long they take
    seed: int = 0  # of the keys and of the draw of queries

    def check(self) -> None:
        """Refuse values that would fail after minutes.

        Raises:
            InputError: A value that nothing can be measured with; the message names the option.
        """
        for name, most in _MOST.items():
            values = getattr(self, name)
            if not values or not all(1 <= one <= most for one in values):
                got = ", ".join(map(str, values)) or "none"
                raise InputError(f"--{name}: 1 to {most:,} each, got {got}")
        if not 0 < self.recall <= 1:
            raise InputError(f"--recall: above 0 and at most 1, got {self.recall:g}")
        if not (math.isfinite(self.near_duplicate) and self.near_duplicate >= -1):
            raise InputError(
                f"--near-duplicate: a cosine, -1 to 1 (above 1 excludes nothing), got "
                f"{self.near_duplicate:g}"
            )
        if self.queries < 1:
            raise InputError(f"--queries must be at least 1, got {self.queries}")

    def grid(self) -> list[tuple[int, int, list[int]]]:
        """Return tables, bits and probes of each index; there are only 2^bits buckets to probe."""
        pairs = itertools.product(sorted(set(self.bits)), sorted(set(self.tables)))
        return [
            (tables, bits, sorted({min(probes, 1 << bits) for probes in self.probes}))
            for bits, tables in pairs
        ]


@dataclass(frozen=True)
class SweptFaces:
    """The faces of an index, n of them, and which of them are queries, q of them."""

    rows: NDArray[np.float32]  # (n, d), of length 1 if compared by cosine
    space: Space
    queries: Ids  # int64 (q,), positions, in random order
    people: Ids | None  # int64 (n,), the person of each face, -1 for none; None: no P@1
    excluded: Pairs  # faces that do not count for P@1 of a query, itself among them

    @classmethod
    def of_people(
        cls, rows: NDArray[np.float32], people: Ids, queries: int, seed: int
    ) -> SweptFaces:
        """Draw queries among the faces of people with two or more.

        Args:
            rows: float32 (n, d), of length 1, compared by cosine.
            people: int64 (n,), the person of each face.
            queries: Number of queries, or all faces of such people if there are fewer.
            seed: Seed of the draw.
        """
        _, person, sizes = np.unique(people, return_inverse=True, return_counts=True)
        drawn = np.random.default_rng(seed).permutation(np.flatnonzero(sizes[person] > 1))
        drawn = drawn[:queries]
        itself = Pairs(np.arange(len(drawn)), drawn)
        return cls(rows, Space("cosine", rows.shape[1]), drawn, people, itself)


def read_library(store: Store, sweep: Sweep) -> SweptFaces:
    """Read the faces of a library and draw queries among them.

    Queries are named faces of people on two photos or more if there are at least 20 of these, and
    any faces otherwise. Faces on a query's own photo and near duplicates do not count for P@1.

    Raises:
        LibraryError: A library of codes, or with fewer than 100 faces.
    """
    settings = store.settings()
    column, space = next(iter(spaces(settings, fitted=False).items()))
    if space.metric == "hamming":
        raise LibraryError(
            f"{store.directory}: its faces are codes, which the exact index compares faster than "
            "any setting of LSH; --sweep lsh needs a library of vectors"
        )
    with store.database.snapshot():
        ids, rows = read_rows(store, column, space)
        if len(ids) < LEAST_FACES:
            raise LibraryError(
                f"{store.directory}: has {counted(len(ids), 'face')}; --sweep lsh needs at least "
                f"{LEAST_FACES}, below which the exact index takes no time to speak of"
            )
        rows = unit_rows(rows) if space.metric == "cosine" else rows
        drawn: QuerySet | None = None
        with contextlib.suppress(LibraryError):  # no names, or none that repeats
            named = read_faces(store, column, space)
            drawn = draw_queries(named, sweep.near_duplicate, sweep.queries, sweep.seed)
    random = np.random.default_rng(sweep.seed)
    if drawn is None or len(drawn.query_indices) < _LEAST_NAMED:
        queries = random.permutation(len(ids))[: sweep.queries]
        return SweptFaces(rows, space, queries, None, Pairs(np.arange(len(queries)), queries))
    places = np.searchsorted(ids, drawn.faces.ids)
    people = np.full(len(ids), -1, np.int64)
    people[places] = drawn.faces.people
    order = random.permutation(len(drawn.query_indices))
    number = np.argsort(order)  # of each query in the new order
    excluded = Pairs(number[drawn.excluded.query], places[drawn.excluded.face])
    return SweptFaces(rows, space, places[drawn.query_indices[order]], people, excluded)


def sweep_lsh(faces: SweptFaces, sweep: Sweep, shown: bool = True) -> dict[str, Any]:
    """Measure every setting of a grid, and the exact index, on the same queries.

    Args:
        faces: The faces and the queries. A query searches all faces but itself.
        sweep: What to measure.
        shown: Whether to show a progress bar.

    Returns:
        ``faces``, ``dimension``, ``metric``, ``queries``, ``plan``, ``exact``, ``settings`` and
        ``recommended``: the fastest setting that reaches `sweep.recall`, or None. A setting has
        ``tables``, ``bits``, ``probes``, ``queries`` (timed), ``recall@10`` (share of the ten
        nearest faces by the exact index; a face at the distance of the tenth counts), ``P@1`` (None
        without names), ``compared`` (mean faces per query), ``most_compared``, ``share`` of all
        faces, ``p50_ms``, ``p95_ms``, ``bytes`` of the buckets and ``build_seconds``.
    """
    sweep.check()
    exact_index = ExactIndex.build(faces.rows, np.arange(len(faces.rows)), faces.space)
    judge = _Judge(faces, exact_index)
    exact = judge.measure(lambda query, k: (exact_index.search(query, k), len(faces.rows)), sweep)
    start = time.perf_counter()
    exact_index.search(faces.rows[faces.queries], K + 1)
    batched = len(faces.queries) / (time.perf_counter() - start)
    grid = sweep.grid()
    total = sum(len(probes) for _, _, probes in grid)
    settings = []
    with progress(total=total, desc="measuring", unit=" settings", shown=shown) as bar:
        for tables, bits, all_probes in grid:
            start = time.perf_counter()
            index = LshIndex.build(
                faces.rows, np.arange(len(faces.rows)), faces.space,
                tables=tables, bits=bits, seed=sweep.seed,
            )  # fmt: skip
            seconds = time.perf_counter() - start
            for probes in all_probes:
                found = judge.measure(_searching(index, probes), sweep)
                settings.append({
                    "tables": tables, "bits": bits, "probes": probes, **found,
                    "bytes": index.bytes(), "build_seconds": round(seconds, 2),
                })  # fmt: skip
                bar.update()
    return {
        "faces": len(faces.rows),
        "dimension": faces.space.dimension,
        "metric": faces.space.metric,
        "queries": len(faces.queries),
        "plan": dataclasses.asdict(sweep),
        "exact": exact | {"bytes": faces.rows.nbytes, "batched_queries_per_second": round(batched)},
        "settings": settings,
        "recommended": recommend(settings, sweep.recall),
    }


def recommend(settings: Sequence[dict[str, Any]], recall: float) -> dict[str, Any] | None:
    """Return the setting with the fastest median query among those that reach a recall, or None."""
    reached = [one for one in settings if one[f"recall@{K}"] >= recall]
    return min(reached, key=lambda one: (one["p50_ms"], -one[f"recall@{K}"]), default=None)


def trade_off(
    settings: Sequence[dict[str, Any]], cost: str = "p50_ms", gain: str = f"recall@{K}"
) -> list[dict[str, Any]]:
    """Return the settings that no other one beats in cost and gain, the cheapest first."""
    chosen: list[dict[str, Any]] = []
    for one in sorted(settings, key=lambda setting: (setting[cost], -setting[gain])):
        if not chosen or one[gain] > chosen[-1][gain]:
            chosen.append(one)
    return chosen


def _searching(index: LshIndex, probes: int) -> Callable[[Rows, int], tuple[Found, int]]:
    def search(query: Rows, k: int) -> tuple[Found, int]:
        found, compared = index.search_counting(query, k, probes)
        return found, int(compared[0])

    return search


class _Judge:
    """Compares what a search finds with the exact index, and with the names."""

    def __init__(self, faces: SweptFaces, exact: ExactIndex) -> None:
        self._faces = faces
        excluded = faces.excluded
        # Enough faces that one of them counts, whatever a query excludes.
        most = int(np.bincount(excluded.query, minlength=1).max())
        self._k = min(K + 1 + (most if faces.people is not None else 0), len(faces.rows))
        self._excluded = [
            excluded.face[excluded.query == number] for number in range(len(faces.queries))
        ]
        nearest = exact.search(faces.rows[faces.queries], K + 1)
        others = [
            distances[ids != own][:K]
            for distances, ids, own in zip(*nearest, faces.queries, strict=True)
        ]
        self._limits = np.array([distances[-1] for distances in others]) + _ROUNDING
        self._reachable = len(others[0])

    def measure(
        self, search: Callable[[Rows, int], tuple[Found, int]], sweep: Sweep
    ) -> dict[str, Any]:
        """Time queries one by one, and score what they find.

        Args:
            search: Returns what it finds for a query (1, d), and with how many faces it compared.
            sweep: Says how long to measure.
        """
        faces = self._faces
        rows = faces.rows[faces.queries]
        for row in rows[:_WARM_UP]:
            search(row[None], self._k)
        spent: list[float] = []
        within, right, compared = [], [], []
        for number, row in enumerate(rows):
            if len(spent) >= _LEAST_TIMED and sum(spent) > sweep.seconds:
                break
            start = time.perf_counter()
            found, count = search(row[None], self._k)
            spent.append(time.perf_counter() - start)
            compared.append(count)
            within.append(self._within(number, found))
            right.append(self._is_right(number, found.ids[0]))
        return {
            "queries": len(spent),
            f"recall@{K}": round(float(np.mean(within)), 4),
            "P@1": None if faces.people is None else round(float(np.mean(right)), 4),
            "compared": round(float(np.mean(compared)), 1),
            "most_compared": max(compared),
            "share": round(float(np.mean(compared)) / len(faces.rows), 6),
            **{f"p{p}_ms": round(float(np.percentile(spent, p)) * 1e3, 4) for p in (50, 95)},
        }

    def _within(self, number: int, found: Found) -> float:
        """Return the share of the ten nearest other faces that were found."""
        others = found.distances[0][found.ids[0] != self._faces.queries[number]][:K]
        return float((others <= self._limits[number]).sum() / self._reachable)

    def _is_right(self, number: int, ids: Ids) -> bool:
        """Whether the nearest face with a name that counts shows the query's person."""
        people = self._faces.people
        if people is None:
            return False
        ids = ids[ids >= 0]
        counted = ids[(people[ids] >= 0) & ~np.isin(ids, self._excluded[number])]
        return bool(len(counted)) and bool(
            people[counted[0]] == people[self._faces.queries[number]]
        )
