"""LSH buckets in memory: a search compares a query only with the rows that share a bucket with it.

The keys are those of `facehash.index.lsh`, so an index on Redis with the same tables, bits and seed
has the same buckets (`facehash.index.engines.redis_lsh`). `facehash bench --sweep lsh` measures
with this index what tables, bits and probes find, and how fast, before a server is filled.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facehash.index.base import Found, check_ids, check_k
from facehash.index.exact import vector_distances
from facehash.index.lsh import CENTER_ROWS, TableKeys, center_of, table_keys
from facehash.vectors import Ids, IndexRowsError, Rows, Space, unit_rows

# Bits that are computed at a time.
_BITS_PER_STEP = 1 << 22
_COMPARISONS = {"cosine": "fvec_inner_products_by_idx", "euclidean": "fvec_L2sqr_by_idx"}
# More rows than k are measured in float64 where float32 could put them in another order.
_ROUNDING = 1e-5


class LshIndex:
    """Finds the nearest rows among those in the buckets of a query.

    A row that shares no bucket with the query in any table is not found, so results have places
    without a row, and the rows that are found may not be the nearest. Distances, and the order of
    rows that were found, equal those of `ExactIndex`.

    Example:
        >>> rows = np.array([[1, 0], [0, 1], [-1, 0.1]], np.float32)
        >>> index = LshIndex.build(rows, np.arange(3), Space("cosine", 2), tables=2, bits=3)
        >>> index.search(rows[:1], k=2, probes=1).ids
        array([[ 0, -1]])
        >>> index.search(rows[:1], k=2, probes=8).ids  # all buckets
        array([[0, 1]])
    """

    def __init__(self, rows: Rows, ids: Ids, space: Space, keys: TableKeys) -> None:
        """Use rows that are already prepared; `build` prepares them.

        Args:
            rows: Rows of the space (n, width), of length 1 or 0 if compared by cosine.
            ids: int64 (n,), increasing.
            space: The metric and dimension of the rows.
            keys: What makes the keys of rows and queries.
        """
        self.space, self.keys = space, keys
        self._rows, self._ids = rows, ids
        # The first bits of a key say where in the order of a table it is; the others are compared.
        self._first_bits = min(keys.bits, max(1, len(rows) - 1).bit_length())
        self._sort()

    @classmethod
    def build(
        cls, rows: Rows, ids: Ids, space: Space, *, tables: int = 32, bits: int = 14, seed: int = 0
    ) -> Self:
        """Put rows (n, width) with increasing int64 ids (n,) into buckets.

        Args:
            rows: float32 (n, dimension), or packed codes uint8 (n, ceil(dimension / 8)).
            ids: int64 (n,), increasing.
            space: The metric and dimension of the rows.
            tables: Number of tables, at least 1.
            bits: Number of bits of a key, 1 to 24.
            seed: Seed of the keys. The hyperplanes of vectors pass through the mean of the first
                4,096 rows, as on Redis.

        Raises:
            IndexRowsError: Rows or ids of the wrong dtype or shape, or not finite; no table.
            InputError: bits out of range.
        """
        if tables < 1:
            raise IndexRowsError(f"tables must be at least 1, got {tables}")
        checked = space.check(rows)
        ids = check_ids(ids, len(checked))
        checked = unit_rows(checked) if space.metric == "cosine" else checked
        checked = np.ascontiguousarray(checked)
        center = None if space.metric == "hamming" else center_of(checked[:CENTER_ROWS], space)
        return cls(checked, ids, space, table_keys(space, tables, bits, seed, center))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def bytes(self) -> int:
        """Return the memory of the buckets in bytes, without the rows."""
        rest = 0 if self._rest is None else self._rest.nbytes
        return self._positions.nbytes + self._starts.nbytes + rest

    def search(self, queries: Rows, k: int, probes: int = 1) -> Found:
        """Find the k nearest rows to each query among those in its buckets.

        Args:
            queries: Rows of the same width and dtype.
            k: Number of rows to find, at least 1.
            probes: Number of buckets to look into in each table, at least 1; there are 2^bits.

        Returns:
            The rows found, nearest first; id -1 at an infinite distance for each missing one.

        Raises:
            IndexRowsError: k or probes below 1, or queries of another dtype or shape.
        """
        return self.search_counting(queries, k, probes)[0]

    def search_counting(
        self, queries: Rows, k: int, probes: int = 1
    ) -> tuple[Found, NDArray[np.int64]]:
        """Return what `search` finds, and how many rows each query was compared with, (q,)."""
        queries = self.space.check(queries, "queries")
        if self.space.metric == "cosine":
            queries = unit_rows(queries)
        queries = np.ascontiguousarray(queries)
        k = min(check_k(k), len(self))
        distances = np.full((len(queries), k), np.inf)
        ids = np.full((len(queries), k), -1, np.int64)
        compared = np.zeros(len(queries), np.int64)
        for number, positions in enumerate(self.candidates(queries, probes)):
            compared[number] = len(positions)
            if k and len(positions):
                nearest, found = self._nearest(queries[number : number + 1], positions, k)
                ids[number, : len(found)] = self._ids[found]
                distances[number, : len(found)] = nearest
        return Found(distances, ids), compared

    def candidates(self, queries: Rows, probes: int = 1) -> list[Ids]:
        """Return the positions of the rows in the buckets of each query, increasing, each once.

        Args:
            queries: As for `search`; of length 1 or 0 if compared by cosine.
            probes: As for `search`.
        """
        if probes < 1:
            raise IndexRowsError(f"probes must be at least 1, got {probes}")
        return [self._members(keys) for keys in self.keys.probes(queries, probes)]

    def _sort(self) -> None:
        """Sort the rows of each table by their keys."""
        count, tables = len(self._rows), self.keys.tables
        keys = np.empty((tables, count), np.uint32)
        step = max(1, _BITS_PER_STEP // (tables * self.keys.bits))
        for start in range(0, count, step):
            part = slice(start, start + step)
            keys[:, part] = self.keys.keys(self._rows[part]).T
        self._shift = np.uint32(self.keys.bits - self._first_bits)
        self._positions = np.empty((tables, count), np.int32)
        self._starts = np.zeros((tables, (1 << self._first_bits) + 1), np.int32)
        self._rest = keys if self._shift else None  # the keys in the order of the positions
        for table, own in enumerate(keys):
            # Sorting numbers is much faster than sorting positions by keys, and keeps their order.
            numbers = own.astype(np.uint64) << np.uint64(32) | np.arange(count, dtype=np.uint64)
            numbers.sort()
            self._positions[table] = numbers & np.uint64(0xFFFFFFFF)
            own[:] = numbers >> np.uint64(32)
            sizes = np.bincount(own >> self._shift, minlength=1 << self._first_bits)
            np.cumsum(sizes, out=self._starts[table, 1:])

    def _members(self, keys: NDArray[np.uint32]) -> Ids:
        """Return the positions of the rows with one of the keys (T, probes), each once."""
        first = keys >> self._shift
        tables = np.arange(len(keys))[:, None]
        starts = self._starts[tables, first]
        sizes = self._starts[tables, first + 1] - starts
        chosen = sizes > 0
        sizes = sizes[chosen]  # (b,), of the buckets with rows
        begin = (starts + tables * len(self._rows))[chosen]  # in all tables
        # Places of all rows: those of a bucket follow each other.
        places = np.repeat(begin - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        if self._rest is not None:
            same = self._rest.ravel()[places] == np.repeat(keys[chosen], sizes)
            places = places[same]
        found = np.zeros(len(self._rows), bool)
        found[self._positions.ravel()[places]] = True
        return np.flatnonzero(found)

    def _nearest(self, query: Rows, positions: Ids, k: int) -> tuple[NDArray[np.float64], Ids]:
        """Return distances and positions of the k of some rows nearest to a query (1, width)."""
        distances = self._distances(query, positions)
        if len(positions) > k:
            limit = np.partition(distances, k - 1)[k - 1]
            near = distances <= limit + self._rounding(limit)
            positions, distances = positions[near], distances[near]
        if self.space.metric != "hamming":
            distances = vector_distances(self._rows, query, positions[None], self.space)[0]
        # Stable, and positions are in the order of ids: so are ties.
        order = np.argsort(distances, kind="stable")[:k]
        return distances[order].astype(np.float64), positions[order]

    def _distances(self, query: Rows, positions: Ids) -> NDArray[Any]:
        """Return the distances of some rows from a query (1, width), in float32 of vectors."""
        if self.space.metric == "hamming":
            unequal = np.bitwise_count(self._rows[positions] ^ query)
            return np.asarray(unequal.sum(axis=1, dtype=np.int32))
        # Imported here, as FAISS starts its threads when it is imported.
        import faiss

        # Without a copy of the rows, which would take longer than the comparison.
        compare = getattr(faiss, _COMPARISONS[self.space.metric])
        found = np.empty(len(positions), np.float32)
        arrays = (found, query, self._rows, positions)
        compare(*map(faiss.swig_ptr, arrays), self.space.dimension, 1, len(positions))
        return 1 - found if self.space.metric == "cosine" else np.sqrt(found)

    def _rounding(self, distance: float) -> float:
        """Return by how much float32 may be wrong about a distance."""
        if self.space.metric == "hamming":
            return 0
        return _ROUNDING if self.space.metric == "cosine" else _ROUNDING * distance
