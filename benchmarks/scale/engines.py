"""A library that is searched through a server."""

import contextlib
import logging
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from benchmarks.scale.library import BATCH, SINGLES, K, add_photos, queries
from facehash.index.engines.address import Address
from facehash.library.derived.engines import delete, push, status
from facehash.library.query.library import open_library
from facehash.library.storage import engines as registry
from facehash.library.storage.engines import Engine
from facehash.library.storage.store import Column, Store
from facehash.vectors import Rows

SIDES = {"vectors": "embedding", "codes": "code"}


def measure_engine(
    url: str, directory: Path, vectors: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Push a library to a server, search it there, add 64 photos, and delete it there.

    Args:
        url: The server, without a password.
        directory: The library.
        vectors: The file that queries and photos are drawn from, see `benchmarks.scale`.

    Yields:
        The kind of server, and what was measured of vectors or codes.
    """
    address = Address.parse(url)
    asked = queries(vectors, SINGLES + 1)
    for side, column in SIDES.items():
        engine = Engine(f"scale-{side}", str(address), cast(Column, column))
        found: dict[str, Any] = {}
        with Store.open(directory) as store:
            registry.register(store, engine)
            try:
                start = time.perf_counter()
                push(store, engine.name, progress=False)
                found["push_seconds"] = round(time.perf_counter() - start, 1)
                found["bytes"] = status(store, engine).bytes
                found["server"] = status(store, engine).server
                found |= _search(directory, engine, asked)
                add_photos(directory, vectors, BATCH)
                start = time.perf_counter()
                push(store, engine.name, progress=False)
                found["push_64_seconds"] = round(time.perf_counter() - start, 2)
                yield address.scheme, {side: found}
            finally:
                delete(store, engine)
                registry.unregister(store, engine.name)


def _search(directory: Path, engine: Engine, asked: Rows) -> dict[str, float]:
    """Time single searches, which the library completes, and compare them with the exact search.

    Returns:
        Their median in milliseconds, and the recall: the share of the K nearest faces that were
        found, counting any face at most as far as the last of them.

    Raises:
        RuntimeError: The server did not answer, so that the local index was searched instead.
    """
    spent, nearest = [], []
    with _no_warning(), open_library(directory, engine=engine.name) as library:
        for number in range(SINGLES + 1):
            start = time.perf_counter()
            (result,) = library.search_vectors(asked[number : number + 1], K)
            spent.append(time.perf_counter() - start)
            nearest.append([hit.distance for hit in result.hits])
    with open_library(directory, by=engine.by) as library:
        exact = [result.hits[-1].distance for result in library.search_vectors(asked, K)]
    found = [
        sum(distance <= last + 1e-6 for distance in row)
        for row, last in zip(nearest, exact, strict=True)
    ]
    return {
        "milliseconds": round(1e3 * statistics.median(spent[1:]), 2),
        "recall": round(sum(found) / (K * len(found)), 3),
    }


@contextlib.contextmanager
def _no_warning() -> Iterator[None]:
    """Raise an error for the first warning of the package."""

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError(record.getMessage())

    handler = logging.Handler(logging.WARNING)
    handler.addFilter(refuse)
    log = logging.getLogger("facehash")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
