"""Search with candidates from a server, measured here.

The server proposes faces. All faces that have changed since the generation of its index are added,
and each candidate's row is read from the database. So a server that is late costs time, but makes
no result wrong: forgotten faces do not appear, new ones do, and every distance is computed as
without a server.
"""

import contextlib
import logging
import time

import numpy as np

from facehash.codes import packed_from_signs, sign
from facehash.index.asymmetric import AsymmetricIndex
from facehash.index.base import check_k
from facehash.index.engines.base import (
    NO_GENERATION,
    EngineError,
    RemoteIndex,
    UnreachableEngineError,
)
from facehash.index.engines.connect import connect
from facehash.index.exact import ExactIndex
from facehash.library.derived import outbox
from facehash.library.derived.engines import identity_of, is_valid
from facehash.library.storage.engines import get_engine
from facehash.library.storage.records import stored_rows
from facehash.library.storage.store import Store
from facehash.printing import quoted
from facehash.vectors import Ids, Rows, Space

log = logging.getLogger(__name__)

MOST_CHANGED = 10_000
"""A server that lacks more changes than this is not asked."""
_ATTEMPTS = 4
_RETRY_SECONDS = 30.0
# A connection that fails sooner was cut, for example by a restart; a hanging server takes longer.
_CUT_SECONDS = 1.0
# Servers may round vectors, so that faces at nearly the same distance change places.
_SPARE = 10
# Candidates by the Hamming distance for each face wanted by the asymmetric distance. Of the ten
# nearest of 100,000 codes of 64 bits, 99 % are among the first 2,000.
_ASYMMETRIC_FACTOR = 50
_ASYMMETRIC_LEAST = 2000
_ASYMMETRIC_MOST = 8000
_IDS_PER_QUERY = 500


class EngineSearch:
    """The candidates of one engine.

    After a failure, which is logged once, the engine is not asked for 30 seconds.

    Args:
        store: The library.
        name: The engine.

    Raises:
        LibraryError: The library has no such engine.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._engine = get_engine(store, name)
        self.by = self._engine.by
        self._generation = self._engine.generation  # the last known of the server's index
        self._index: RemoteIndex | None = None
        self._warned = False
        self._not_before = 0.0

    def close(self) -> None:
        """Close the connection."""
        if self._index is not None:
            # A server that is gone has nothing to say to this.
            with contextlib.suppress(EngineError):
                self._index.close()
            self._index = None

    def open(
        self, stack: contextlib.ExitStack, space: Space, queries: Rows, k: int
    ) -> ExactIndex | AsymmetricIndex | None:
        """Return an index of the candidates for some queries, in a snapshot of the library.

        Args:
            stack: Gets the snapshot.
            space: The space of the library's rows.
            queries: Rows of the space, or projections, float32 (q, bits), for an asymmetric search
                of codes. Candidates for projections are those with the nearest codes by the
                Hamming distance: 50 for each face wanted, but 2,000 to 8,000.
            k: Number of faces to find for each query, at least 1.

        Returns:
            An index that has at least the candidates of each query, or None if the engine cannot
            be used.

        Raises:
            InputError: k below 1, queries of another dtype or shape, or the client of this kind of
                server is not installed.
            DamagedLibraryError: A row is damaged.
        """
        if time.monotonic() < self._not_before:
            return None
        asymmetric = space.metric == "hamming" and queries.dtype != np.uint8
        wanted = check_k(k)
        if asymmetric:
            wanted = max(_ASYMMETRIC_FACTOR * k, _ASYMMETRIC_LEAST)
            wanted = max(min(wanted, _ASYMMETRIC_MOST), k)
            queries = packed_from_signs(sign(queries))
        queries = space.check(queries, "queries")
        try:
            ids = self._ask(stack, queries, wanted + _SPARE)
        except EngineError as error:
            stack.close()  # ends a snapshot
            self._give_up(error)
            return None
        self._warned = False
        found_ids, rows = self._read(ids, space)
        make = AsymmetricIndex if asymmetric else ExactIndex
        return make.build(rows, found_ids, space)

    def _ask(self, stack: contextlib.ExitStack, queries: Rows, wanted: int) -> Ids:
        """Do as `_candidates`, again with a new connection if the old one was cut meanwhile."""
        old, start = self._index is not None, time.monotonic()
        try:
            return self._candidates(stack, queries, wanted)
        except UnreachableEngineError:
            if not old or time.monotonic() - start > _CUT_SECONDS:
                raise
        stack.close()
        self.close()
        return self._candidates(stack, queries, wanted)

    def _candidates(self, stack: contextlib.ExitStack, queries: Rows, wanted: int) -> Ids:
        """Return the ids of all candidates, sorted, in a snapshot that the stack gets."""
        store = self._store
        if self._index is None:
            identity = identity_of(store, self.by)
            self._index = connect(self._engine.address, identity)
        slack = 0 if self._generation is None else outbox.count_outdated(store, self._generation)
        for _ in range(_ATTEMPTS):
            found = self._index.search(queries, wanted + min(slack, MOST_CHANGED))
            if found.generation == NO_GENERATION:
                raise EngineError(f"its index was never filled{self._remedy()}")
            self._generation = found.generation
            stack.enter_context(store.database.snapshot())
            # Otherwise a push has gone on meanwhile, and the outbox too.
            if is_valid(store, self._engine.name, found.generation):
                behind = outbox.count_after(store, found.generation)
                if behind > MOST_CHANGED:
                    raise EngineError(f"its index lacks {behind:,} changes{self._remedy()}")
                needed = outbox.count_outdated(store, found.generation)
                if needed <= slack:
                    changed = outbox.changed_after(store, found.generation)
                    ids = np.union1d(found.ids, changed)
                    return np.asarray(ids[ids > 0], np.int64)
                slack = needed + _SPARE
            stack.close()
        raise EngineError(f"its index does not follow from this library{self._remedy()}")

    def _read(self, ids: Ids, space: Space) -> tuple[Ids, Rows]:
        """Read the rows of those faces that exist and have one; ids stay sorted."""
        database, by = self._store.database, self.by
        rows = []
        for start in range(0, len(ids), _IDS_PER_QUERY):
            some = tuple(ids[start : start + _IDS_PER_QUERY].tolist())
            places = ",".join("?" * len(some))
            rows += database.rows(
                f"SELECT id, {by} FROM faces WHERE id IN ({places}) AND {by} IS NOT NULL "  # noqa: S608
                "ORDER BY id",
                some,
            )
        return stored_rows(rows, by, space, self._store.directory)

    def _give_up(self, error: EngineError) -> None:
        self.close()
        self._not_before = time.monotonic() + _RETRY_SECONDS
        if not self._warned:
            self._warned = True
            log.warning(f"engine {self._engine.name}: {error}; the local index is searched instead")

    def _remedy(self) -> str:
        return (
            f" (facehash engine push {self._engine.name} --library {quoted(self._store.directory)})"
        )
