"""A library that is searched through a server."""

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
                found["milliseconds"] = _search(directory, engine.name, asked)
                add_photos(directory, vectors, BATCH)
                start = time.perf_counter()
                push(store, engine.name, progress=False)
                found["push_64_seconds"] = round(time.perf_counter() - start, 2)
                yield address.scheme, {side: found}
            finally:
                delete(store, engine)
                registry.unregister(store, engine.name)


def _search(directory: Path, engine: str, asked: Any) -> float:
    """Return the median of single searches, which the library completes, in milliseconds."""
    spent = []
    with open_library(directory, engine=engine) as library:
        for number in range(SINGLES + 1):
            start = time.perf_counter()
            library.search_vectors(asked[number : number + 1], K)
            spent.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(spent[1:]), 2)
