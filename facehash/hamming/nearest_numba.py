"""The nearest codes, compiled by Numba: see `kernels_numba`."""

import numpy as np

from facehash.hamming.llvm.intrinsics import (
    LINE,
    RUN,
    WIDE,
    compile_kernel,
    fetch,
    find_line,
    nearer_bits,
    popcount,
    skip_far,
)
from facehash.hamming.llvm.planes import (
    BITS_OF_PLANES,
    ENTRIES,
    ENTRY,
    LEVELS,
    MANY_CODES,
    STEPS,
    TABLES,
    TRIPLES,
    compare_planes,
    fill_planes,
    find_entries,
    has_planes,
    host_features,
)
from facehash.hamming.llvm.rows import MOST, TOGETHER, comparer
from facehash.hamming.measure_numba import (
    BITS,
    BLOCK,
    CODES,
    GROUP,
    IN_ROWS,
    LAYOUT,
    PART,
    ROWS,
    add_four,
    count_each,
    fill_tables,
    measure,
    split_codes,
)

KEPT = 1 << 16  # neighbors of all queries of a group together
RANKED = 16  # items per neighbor that are ranked by counting; few later items are nearer
_ONE, _ALL = np.uint64(1), np.uint64(2**64 - 1)
IN_PLANES = has_planes(host_features())
MANY = TOGETHER if IN_ROWS else 12  # queries from which on planes are worth their tables
_SCAN = (
    f"void({CODES}, int64, int64, {CODES}, int64, int64[:, ::1],"
    "int64[:, ::1], uint16[:, ::1], int64[:, ::1])"
)
_nearer_rows = comparer(LAYOUT)


@compile_kernel("void(int64[::1], uint16[::1], int64[::1], int64[::1], int64[::1])")
def _sort(items, far, counts, indices, distances):  # type: ignore[no-untyped-def]
    """Write the nearest items in order: a stable counting sort, so ties stay in gallery order.

    `counts` holds the number of items at each distance, and is overwritten.
    """
    before = 0
    for d in range(len(counts)):
        counts[d], before = before, before + counts[d]
    for i in range(len(far)):
        rank = counts[far[i]]
        if rank < len(indices):
            indices[rank] = items[i]
            distances[rank] = far[i]
            counts[far[i]] = rank + 1


@compile_kernel("void(uint16[::1], int64[::1])")
def _tally(far, counts):  # type: ignore[no-untyped-def]
    counts[:] = 0
    for distance in far:
        counts[distance] += 1


@compile_kernel("int64(int64[::1], uint16[::1], int64, int64, int64)")
def _drop(items, far, count, bound, ties):  # type: ignore[no-untyped-def]
    """Keep items nearer than the bound and the first `ties` at it; return their number."""
    kept = 0
    for i in range(count):
        distance = far[i]
        if distance < bound or (distance == bound and ties > 0):
            ties -= distance == bound
            items[kept] = items[i]
            far[kept] = distance
            kept += 1
    return kept


@compile_kernel(
    f"void({CODES}, int64, uint64, {CODES}, int64, int64, int64[:, ::1], int64[:, ::1],"
    "uint16[:, ::1], int64[:, ::1])",
    inline=True,
)
def _collect(gallery, first, near, query, j, k, state, items, far, counts):  # type: ignore[no-untyped-def]
    """Collect the items of a run whose bits are set, if they are nearer than the bound by now.

    The state is held, nearer and bound of each query, (3, group).
    """
    held, nearer, bound = state[0, j], state[1, j], state[2, j]
    if held + RUN > items.shape[1]:
        held = _drop(items[j], far[j], held, bound, k - nearer)
    while near != 0:
        # The number of trailing zeros is the position of the next set bit.
        item = first + np.int64(popcount(~near & (near - _ONE)))
        near &= near - _ONE
        distance = np.int64(popcount(gallery[0, item] ^ query[j, 0]))
        for w in range(1, query.shape[1]):
            distance += np.int64(popcount(gallery[w, item] ^ query[j, w]))
        if distance >= bound:
            continue
        items[j, held] = item
        far[j, held] = distance
        counts[j, distance] += 1
        held += 1
        nearer += 1
        while nearer >= k:
            bound -= 1
            nearer -= counts[j, bound]
    state[0, j], state[1, j], state[2, j] = held, nearer, bound


@compile_kernel(f"void({CODES}, int64, int64, int64, int64)", inline=True)
def _fetch_share(gallery, start, size, j, count):  # type: ignore[no-untyped-def]
    """Request the j-th of `count` shares of the next items, so that no query waits for them."""
    share = (size // LINE + count - 1) // count
    for w in range(len(gallery)):
        place = w * gallery.shape[1] + start + LINE * share * j
        for line in range(share):
            fetch(gallery, place + LINE * line)


# Arrays stay whole: a slice, and an array passed to a function, costs two atomic additions.
@compile_kernel(_SCAN)
def _scan_each(gallery, start, stop, query, k, state, items, far, counts):  # type: ignore[no-untyped-def]
    """As `_scan`, where many items are nearer."""
    for run in range(start, stop, RUN):
        # The last run may overlap the one before it; the bits of those items are cleared.
        first = min(run, stop - RUN)
        for j in range(len(query)):
            near = nearer_bits(gallery, first, query, j, state[2, j])
            near &= _ALL << np.uint64(run - first)
            if near != 0:
                _collect(gallery, first, near, query, j, k, state, items, far, counts)


@compile_kernel(_SCAN)
def _scan(gallery, start, stop, query, k, state, items, far, counts):  # type: ignore[no-untyped-def]
    """Collect items nearer than the bounds and tighten these, for all queries of a group."""
    # At first, most of WIDE items have a nearer one among them.
    rest = stop - (stop - start) % WIDE
    middle = min(rest, start + WIDE * k)
    _scan_each(gallery, start, middle, query, k, state, items, far, counts)
    for begin in range(middle, rest, BLOCK):
        end = min(begin + BLOCK, rest)
        for j in range(len(query)):
            if len(query) > 1:
                _fetch_share(gallery, end, BLOCK, j, len(query))
            first = skip_far(gallery, begin, end, query, j, state[2, j])
            while first < end:
                for run in range(first, first + WIDE, RUN):
                    near = nearer_bits(gallery, run, query, j, state[2, j])
                    if near != 0:
                        _collect(gallery, run, near, query, j, k, state, items, far, counts)
                first = skip_far(gallery, first + WIDE, end, query, j, state[2, j])
    _scan_each(gallery, rest, stop, query, k, state, items, far, counts)


@compile_kernel(
    f"void({CODES}, int64, int64, {CODES}, int64, int64, int64[:, ::1],"
    "int64[:, ::1], uint16[:, ::1], int64[:, ::1])"
)
def _scan_rows(gallery, start, stop, query, bits, k, state, items, far, counts):  # type: ignore[no-untyped-def]
    """As `_scan`, for all queries of a group and all items from `start` on, in rows.

    The codes must have at most MOST bits, so that distances fit into bytes.
    """
    words, count = len(gallery), len(query)
    pieces = (bits + BITS - 1) // BITS
    fours = (count + TOGETHER - 1) // TOGETHER
    # Queries beyond the last have the bound 0, so nothing is nearer.
    tables = np.zeros((fours, pieces * TOGETHER * 16), np.uint8)
    limits, masks = np.zeros((fours, TOGETHER), np.uint8), np.empty(TOGETHER, np.uint64)
    rows = np.empty(words * ROWS * PART, np.uint8)
    for j in range(count):
        fill_tables(query[j], j % TOGETHER, pieces, tables[j // TOGETHER])
        limits[j // TOGETHER, j % TOGETHER] = state[2, j]
    for begin in range(start, stop, PART):
        end = min(begin + PART, stop)
        split_codes(gallery, begin, end, rows)
        for four in range(fours):
            _fetch_share(gallery, end, PART, four, fours)
            place = 0
            for run in range(begin, end, RUN):
                some = _nearer_rows(rows, place, tables[four], pieces, limits[four], masks)
                place += words * ROWS * RUN
                if not some:
                    continue
                first = min(run, end - RUN)
                for q in range(TOGETHER):
                    near = masks[q] & (_ALL << np.uint64(run - first))
                    if near == 0:
                        continue
                    j = four * TOGETHER + q
                    _collect(gallery, first, near, query, j, k, state, items, far, counts)
                    limits[four, q] = state[2, j]


@compile_kernel("void(uint64, uint16[::1])")
def plan_query(code, steps):  # type: ignore[no-untyped-def]
    """Fill the places of a query's entries in the tables of `facehash.hamming.llvm.planes`."""
    for t in range(TRIPLES):
        carry, sum_ = find_entries(code >> np.uint64(3 * t))
        steps[2 * t] = ENTRY * (ENTRIES * t + carry)
        steps[2 * t + 1] = ENTRY * (ENTRIES * t + sum_)
    last = np.int64(code >> np.uint64(BITS_OF_PLANES - 1))
    steps[2 * TRIPLES] = ENTRY * (ENTRIES * TRIPLES + last)


@compile_kernel("void(int64, int64, int64[:, ::1])", inline=True)
def set_limit(bound, j, limits):  # type: ignore[no-untyped-def]
    """Fill row j for a bound of at least 1: every bit of word b is bit b of 64 - bound."""
    for level in range(LEVELS):
        limits[j, level] = -((BITS_OF_PLANES - bound) >> level & 1)


def _scan_planes(gallery, start, stop, query, k, state, items, far, counts):  # type: ignore[no-untyped-def]
    """As `_scan`, for codes of one word."""
    count = len(query)
    space = np.empty(TABLES + LINE, np.uint64)
    lead = find_line(space)
    tables, masks = space[lead : lead + TABLES], np.empty(MANY_CODES // RUN, np.uint64)
    steps, limits = np.empty((count, STEPS), np.uint16), np.empty((count, LEVELS), np.int64)
    for j in range(count):
        plan_query(query[j, 0], steps[j])
        set_limit(state[2, j], j, limits)
    whole = stop - (stop - start) % MANY_CODES
    for begin in range(start, whole, MANY_CODES):
        fill_planes(gallery, begin, tables)
        for j in range(count):
            _fetch_share(gallery, begin + MANY_CODES, MANY_CODES, j, count)
            # The planes cannot express the bound 0, but then nothing is nearer.
            if state[2, j] == 0 or not compare_planes(tables, steps, limits, j, masks):
                continue
            for r in range(len(masks)):
                if masks[r] != 0:
                    run = begin + RUN * r
                    _collect(gallery, run, masks[r], query, j, k, state, items, far, counts)
            set_limit(state[2, j], j, limits)
    _scan(gallery, whole, stop, query, k, state, items, far, counts)


# It takes seconds to compile.
_scan_many = compile_kernel(_SCAN)(_scan_planes) if IN_PLANES else _scan


@compile_kernel(f"void({CODES}, int64, int64, {CODES}, int64, int64[:, ::1], int64[:, ::1])")
def find_nearest(gallery, first, last, query, bits, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `kernels_numpy.find_nearest`.

    The first items are ranked by a counting sort. The distance of the k-th is a bound: only later
    items that are nearer can be neighbors. The rest is compared with the bound, run by run; the few
    nearer items are collected, and each tightens the bound.
    """
    k = indices.shape[1]
    # The other items start at a cache line: a load of two lines takes twice as long.
    lead = (gallery.ctypes.data // 8 + first) % LINE
    ranked = min(last, first + max(BLOCK, RANKED * k) + LINE - lead)
    numbers = np.arange(first, ranked)
    measured = np.empty(ranked - first, np.uint16)
    group = max(1, min(GROUP, KEPT // k))
    room = 2 * k + 4 * RUN if ranked < last else 0
    # Candidates of each query and their distances, (group, room).
    items, far = np.empty((group, room), np.int64), np.empty((group, room), np.uint16)
    histograms, counts = np.empty((4, bits + 1), np.uint32), np.empty((group, bits + 1), np.int64)
    # Per query: number of candidates, those among them nearer than the bound, and the bound.
    state = np.empty((3, group), np.int64)
    held, nearer, bounds = state
    for begin in range(0, len(query), group):
        rows = min(group, len(query) - begin)
        for j in range(rows):
            histograms[:] = 0
            for start in range(first, ranked, BLOCK):
                stop = min(start + BLOCK, ranked)
                part = measured[start - first : stop - first]
                measure(gallery, start, stop, query[begin + j], part)
                count_each(part, histograms)
            add_four(histograms, counts[j])
            _sort(numbers, measured, counts[j], indices[begin + j], distances[begin + j])
            if ranked < last:
                items[j, :k], far[j, :k] = indices[begin + j], distances[begin + j]
                _tally(far[j, :k], counts[j])
                held[j], bounds[j] = k, far[j, k - 1]
                nearer[j] = k - counts[j, bounds[j]]
        if ranked == last:
            continue
        some = query[begin : begin + rows]
        if IN_PLANES and len(gallery) == 1 and rows >= MANY:
            _scan_many(gallery, ranked, last, some, k, state, items, far, counts)
        elif IN_ROWS and bits <= MOST and rows >= TOGETHER:
            _scan_rows(gallery, ranked, last, some, bits, k, state, items, far, counts)
        else:
            _scan(gallery, ranked, last, some, k, state, items, far, counts)
        for j in range(rows):
            here = _drop(items[j], far[j], held[j], bounds[j], k - nearer[j])
            _tally(far[j, :here], counts[j])
            _sort(items[j], far[j, :here], counts[j], indices[begin + j], distances[begin + j])
