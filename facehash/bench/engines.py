"""Search through engines: what servers find of what the exact index finds, and how fast."""

import contextlib
import time
from typing import Any

import numpy as np

from facehash.bench.methods import Search
from facehash.bench.queries import QuerySet
from facehash.index.base import Found
from facehash.index.engines.base import EngineError
from facehash.index.exact import ExactIndex
from facehash.library.derived.engines import identity_of, status
from facehash.library.query.remote import EngineSearch
from facehash.library.storage.engines import Engine
from facehash.library.storage.rows import read_rows
from facehash.library.storage.store import Store
from facehash.printing import quoted
from facehash.vectors import Ids, Rows, Space

K = 10
_QUERIES = 300
_WARM_UP = 5


def measure_engine(store: Store, engine: Engine, queries: QuerySet) -> dict[str, Any]:
    """Compare a library's search through an engine with its exact index, on the same rows.

    Each query is the stored row of a named face and searches all faces but itself, one query at a
    time: the server is asked for candidates, which the library measures. The time includes both.

    Args:
        store: The library.
        engine: One of its engines.
        queries: Leave-one-out queries of the library; at most 300 of them are drawn.

    Returns:
        ``name``, ``server``, ``by``, ``faces``, ``behind`` (changes that the server lacks),
        ``bytes`` (on the server), ``queries``, ``recall@10`` (a face at the distance of the tenth
        nearest counts as found), ``P@1`` (leave-one-out), ``p50_ms`` and ``p95_ms`` of a query;
        with ``exact_`` before them, P@1 and the times of the exact index.

    Raises:
        EngineError: No usable answer, or its index must be filled first.
    """
    state = status(store, engine)
    if state.behind is None:
        raise EngineError(
            f"{engine.url}: its index must be filled first: facehash engine push {engine.name} "
            f"--library {quoted(store.directory)}"
        )
    space = identity_of(store, engine.by).space
    ids, rows = read_rows(store, engine.by, space)  # (n,), (n, width)
    exact = ExactIndex.build(rows, ids, space)
    drawn = np.random.default_rng(0).permutation(len(queries.query_indices))[:_QUERIES]
    own = queries.faces.ids[queries.query_indices[drawn]]
    asking = rows[np.searchsorted(ids, own)]
    found, seconds = {}, {}
    with contextlib.closing(EngineSearch(store, engine.name)) as remote:
        searches: dict[str, Search] = {
            "": lambda row, k: _search_engine(remote, space, row, k),
            "exact_": lambda row, k: exact.search(row, k),
        }
        # Enough faces that one of them counts, whatever a query ignores.
        most = 1 + int(np.bincount(queries.excluded.query, minlength=1).max())
        for key, search in searches.items():
            for row in asking[:_WARM_UP]:
                search(row[None], K + 1)
            spent, first, near = [], [], []
            for number, face, row in zip(drawn, own, asking, strict=True):
                start = time.perf_counter()
                answer = search(row[None], K + 1)
                spent.append(time.perf_counter() - start)
                near.append(_without(answer, face))
                first.append(_is_right(queries, number, search(row[None], K + most).ids[0]))
            found[key] = np.array(near), float(np.mean(first))
            seconds[key] = np.array(spent)
    right = found["exact_"][0]
    reachable = np.isfinite(right)
    limits = np.where(reachable, right, -np.inf).max(axis=1, keepdims=True)  # of the farthest
    within = found[""][0] <= limits + 1e-9
    return {
        "name": engine.name,
        "server": state.server,
        "by": engine.by,
        "faces": state.faces,
        "behind": state.behind,
        "bytes": state.bytes,
        "queries": len(drawn),
        "recall@10": float(within.sum() / max(reachable.sum(), 1)),
        **{f"{key}P@1": right for key, (_, right) in found.items()},
        **{
            f"{key}p{p}_ms": float(np.percentile(spent, p) * 1e3)
            for key, spent in seconds.items()
            for p in (50, 95)
        },
    }


def _search_engine(remote: EngineSearch, space: Space, row: Rows, k: int) -> Found:
    with contextlib.ExitStack() as stack:
        index = remote.open(stack, space, row, k)
        if index is None:
            raise EngineError("it failed while it was measured")
        return index.search(row, k)


def _without(found: Found, face: int) -> np.ndarray:
    """Return the distances of the K nearest faces but one, (K,), infinite where there are fewer."""
    distances = found.distances[0][found.ids[0] != face][:K]
    return np.pad(distances, (0, K - len(distances)), constant_values=np.inf)


def _is_right(queries: QuerySet, number: int, nearest: Ids) -> bool:
    """Whether the nearest face that counts shows the query's person."""
    faces = queries.faces
    excluded = faces.ids[queries.excluded.face[queries.excluded.query == number]]
    counted = nearest[np.isin(nearest, faces.ids) & ~np.isin(nearest, excluded)]
    if not len(counted):
        return False
    person = faces.people[np.searchsorted(faces.ids, counted[0])]
    return bool(person == queries.people[number])
