"""Locality-sensitive hashing: keys of tables, and the keys to look up for a query.

Each of T tables gives a row a key of b bits, and rows that are near each other often share a key.
A search looks up the query's own key in every table, then the keys that differ in the bits that
are most likely to be wrong (multi-probe), and measures the rows found there. Only NumPy is needed:
the buckets themselves are kept elsewhere, for example on a server.

References:
    Charikar. Similarity Estimation Techniques from Rounding Algorithms. STOC 2002.
    Lv, Josephson, Wang, Charikar, Li. Multi-Probe LSH. VLDB 2007. Probing in the order of the
    distances from the boundaries is from there; the sums here are of the distances themselves.
"""

import hashlib
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facehash.codes import bits_from_packed
from facehash.errors import InputError
from facehash.vectors import Rows, Space, unit_rows

Keys = NDArray[np.uint32]

MAX_KEY_BITS = 24
"""A table with more bits has hardly two faces in a bucket, even of a library of 10^7."""

CENTER_ROWS = 4096
"""Number of rows, the first of an index, from whose mean the hyperplanes are drawn."""

_LEAST_FOR_CENTER = 1000
# Number of float32 sums that are computed at a time.
_SUMS_PER_STEP = 1 << 22


class TableKeys(Protocol):
    """Keys of rows in T tables.

    Attributes:
        tables: Number of tables.
        bits: Number of bits of a key.
    """

    tables: int
    bits: int

    def keys(self, rows: Rows) -> Keys:
        """Return the key of each row in each table, uint32 (n, T), below 2^bits."""

    def probes(self, queries: Rows, count: int) -> Keys:
        """Return the keys to look up, most promising first, uint32 (q, T, min(count, 2^bits)).

        The first is the query's own key.
        """

    def digest(self) -> str:
        """Return 16 hexadecimal digits; keys of equal digests can be compared."""


class HyperplaneKeys:
    """Keys of vectors: the sides of random hyperplanes on which they lie.

    The hyperplanes pass through `center`. Two vectors at angle t, seen from there, differ in a bit
    with probability t / pi. Face vectors share a large common component; a center amid the vectors
    keeps it from giving most of them the same bits. Vectors are scaled to length 1 first if they
    are compared by cosine. For Euclidean distances the angle is only a substitute: it finds near
    vectors well if all are about equally far from the center, as those of face networks are.

    A key is written when a row is stored, and a row's own bits are never computed twice: rounding
    that moves a value across 0 costs a little recall and nothing else.

    Args:
        space: Cosine or Euclidean vectors.
        tables: Number of tables, at least 1.
        bits: Number of bits of a key, 1 to 24.
        seed: Seed of the hyperplanes.
        center: float32 (dimension,); None is the origin.

    Raises:
        InputError: bits out of range.

    Example:
        >>> maker = HyperplaneKeys(Space("cosine", 2), tables=3, bits=4, seed=0)
        >>> keys = maker.keys(np.array([[1, 0], [-1, 0]], np.float32))
        >>> (keys[0] ^ keys[1]).tolist()  # opposite vectors differ in all 4 bits of each table
        [15, 15, 15]
    """

    def __init__(
        self,
        space: Space,
        tables: int,
        bits: int,
        seed: int,
        center: NDArray[np.float32] | None = None,
    ) -> None:
        self.tables, self.bits, self._space = tables, _check_bits(bits), space
        random = np.random.default_rng(seed)
        directions = random.standard_normal((tables * bits, space.dimension))
        self._directions = unit_rows(directions.astype(np.float32))
        self._center = np.zeros(space.dimension, np.float32) if center is None else center

    def keys(self, rows: Rows) -> Keys:
        """Return the keys of float32 rows (n, dimension), uint32 (n, T)."""
        return _packed(self._sides(rows) >= 0)

    def probes(self, queries: Rows, count: int) -> Keys:
        """Return the keys to look up, uint32 (q, T, min(count, 2^bits)).

        They are in the order of the sum of the distances between the query and the hyperplanes on
        whose other side the key lies, the smallest sum first.
        """
        patterns = _first_patterns(self.bits, min(count, 1 << self.bits))
        count = min(count, 1 << self.bits)
        found = np.empty((len(queries), self.tables, count), np.uint32)
        step = max(1, _SUMS_PER_STEP // (self.tables * len(patterns)))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            sides = self._sides(queries[part])
            found[part] = _packed(sides >= 0)[:, :, None] ^ _flips(np.abs(sides), patterns, count)
        return found

    def digest(self) -> str:
        """Return 16 hexadecimal digits of the hyperplanes and the center."""
        arrays = self._directions.astype("<f4").tobytes() + self._center.astype("<f4").tobytes()
        return hashlib.sha256(arrays).hexdigest()[:16]

    def _sides(self, rows: Rows) -> NDArray[np.float32]:
        """Return the signed distances from the hyperplanes, (n, T, bits)."""
        scaled = unit_rows(rows) if self._space.metric == "cosine" else rows
        sides = (scaled - self._center) @ self._directions.T
        return np.asarray(sides.reshape(len(rows), self.tables, self.bits))


class SampledBitKeys:
    """Keys of codes: some of their bits.

    Each table takes other bits, and every bit of the code is in the same number of tables, give or
    take one. Two codes at Hamming distance d share a key of b bits, drawn from n, with probability
    (1 - d/n)^b, approximately.

    Args:
        space: Hamming codes.
        tables: Number of tables, at least 1.
        bits: Number of bits of a key, 1 to 24 and at most those of a code.
        seed: Seed of the drawing.

    Raises:
        InputError: bits out of range.

    Example:
        >>> maker = SampledBitKeys(Space("hamming", 8), tables=2, bits=4, seed=0)
        >>> maker.keys(np.array([[0], [255]], np.uint8)).tolist()
        [[0, 0], [15, 15]]
        >>> maker.probes(np.array([[0]], np.uint8), 6)[0, 0].tolist()
        [0, 1, 2, 4, 8, 3]
    """

    def __init__(self, space: Space, tables: int, bits: int, seed: int) -> None:
        if bits > space.dimension:
            raise InputError(f"a key of {bits} bits is longer than a code of {space.dimension}")
        self.tables, self.bits, self._space = tables, _check_bits(bits), space
        random = np.random.default_rng(seed)
        uses = np.zeros(space.dimension, np.int64)
        self._positions = np.empty((tables, bits), np.int64)
        for table in range(tables):
            # The least used bits; ties are broken at random.
            chosen = np.lexsort((random.random(space.dimension), uses))[:bits]
            self._positions[table] = chosen
            uses[chosen] += 1

    def keys(self, rows: Rows) -> Keys:
        """Return the keys of packed codes uint8 (n, width), uint32 (n, T)."""
        return _packed(bits_from_packed(rows, self._space.dimension)[:, self._positions] > 0)

    def probes(self, queries: Rows, count: int) -> Keys:
        """Return the keys to look up, uint32 (q, T, min(count, 2^bits)), fewest flips first."""
        flips = _flips_by_number(self.bits, min(count, 1 << self.bits))
        return self.keys(queries)[:, :, None] ^ flips

    def digest(self) -> str:
        """Return 16 hexadecimal digits of the chosen bits."""
        return hashlib.sha256(self._positions.astype("<i8").tobytes()).hexdigest()[:16]


def table_keys(
    space: Space, tables: int, bits: int, seed: int, center: NDArray[np.float32] | None = None
) -> TableKeys:
    """Return the keys that fit a space: hyperplanes for vectors, sampled bits for codes.

    Args:
        space: The metric and dimension of the rows.
        tables: Number of tables, at least 1.
        bits: Number of bits of a key, 1 to 24.
        seed: Seed of the hyperplanes or of the sample.
        center: float32 (dimension,), for vectors only; None is the origin.

    Raises:
        InputError: bits out of range.
    """
    if space.metric == "hamming":
        return SampledBitKeys(space, tables, bits, seed)
    return HyperplaneKeys(space, tables, bits, seed, center)


def center_of(rows: Rows, space: Space) -> NDArray[np.float32] | None:
    """Return the mean of vectors, as the center of hyperplanes.

    Args:
        rows: float32 (n, dimension).
        space: Cosine or Euclidean; for cosine, vectors are scaled to length 1 first.

    Returns:
        float32 (dimension,), or None with fewer than 1,000 vectors: their mean may be the mean of
        one person, whose photos hyperplanes through it would scatter.
    """
    if len(rows) < _LEAST_FOR_CENTER:
        return None
    scaled = unit_rows(rows) if space.metric == "cosine" else rows
    return np.asarray(scaled.mean(axis=0, dtype=np.float64), np.float32)


def _check_bits(bits: int) -> int:
    if not 1 <= bits <= MAX_KEY_BITS:
        raise InputError(f"a key has 1 to {MAX_KEY_BITS} bits, got {bits}")
    return bits


def _packed(bits: NDArray[np.bool_]) -> Keys:
    """Return (n, T, bits) as numbers (n, T); bit j of a key is its column j."""
    weights = np.left_shift(np.uint32(1), np.arange(bits.shape[2], dtype=np.uint32))
    return np.asarray((bits * weights).sum(axis=2, dtype=np.uint32))


def _flips(margins: NDArray[np.float32], patterns: NDArray[np.bool_], count: int) -> Keys:
    """Return the `count` sets of bits with the smallest sums of margins, uint32 (q, T, count)."""
    order = margins.argsort(axis=2)
    ascending = np.take_along_axis(margins, order, axis=2)
    sums = ascending @ patterns.T.astype(np.float32)
    if count < len(patterns):
        chosen = np.argpartition(sums, count - 1, axis=2)[:, :, :count]
    else:
        chosen = np.broadcast_to(np.arange(count), sums.shape)
    nearest = np.take_along_axis(sums, chosen, axis=2).argsort(axis=2, kind="stable")
    chosen = np.take_along_axis(chosen, nearest, axis=2)
    # A pattern names bits by the rank of their margins; here it becomes the bits themselves.
    weights = np.left_shift(np.uint32(1), order.astype(np.uint32)).astype(np.float64)
    flips = (weights @ patterns.T.astype(np.float64)).astype(np.uint32)
    return np.take_along_axis(flips, chosen, axis=2)


@lru_cache(maxsize=8)
def _first_patterns(bits: int, count: int) -> NDArray[np.bool_]:
    """Return every set of ranks that can be among the `count` smallest sums, (m, bits).

    Rank 0 is the smallest margin. A set comes after every set that it exceeds: with the members of
    both in falling order, none of the other's is larger, and the other has no more of them. So a
    set that exceeds `count` others is never needed, whatever the margins are.
    """
    seen: set[tuple[int, ...]] = {()}
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        members = waiting.pop()  # falling
        larger = [
            (*members[:i], rank + 1, *members[i + 1 :])
            for i, rank in enumerate(members)
            if rank + 1 < bits and (not i or members[i - 1] > rank + 1)
        ]
        if not members or members[-1]:
            larger.append((*members, 0))
        for candidate in larger:
            if candidate not in seen and _count_below(candidate) <= count:
                seen.add(candidate)
                waiting.append(candidate)
    patterns = np.zeros((len(seen), bits), bool)
    for row, members in enumerate(sorted(seen, key=lambda ranks: (len(ranks), ranks))):
        patterns[row, list(members)] = True
    patterns.flags.writeable = False
    return patterns


def _count_below(members: tuple[int, ...]) -> int:
    """Count the sets that falling `members` exceeds, with itself."""
    # ways[c]: number of ways to go on below a member c; from the smallest member to the largest.
    size = members[0] + 2 if members else 1
    ways = [1] * size
    for most in reversed(members):
        totals, total = [1] * size, 1
        for above in range(1, size):
            if above - 1 <= most:
                total += ways[above - 1]
            totals[above] = total
        ways = totals
    return ways[-1]


@lru_cache(maxsize=8)
def _flips_by_number(bits: int, count: int) -> Keys:
    """Return the first `count` numbers of `bits` bits, those with the fewest ones first."""
    numbers = np.arange(1 << bits, dtype=np.uint32)
    flips = numbers[np.argsort(np.bitwise_count(numbers), kind="stable")[:count]]
    flips.flags.writeable = False
    return flips
