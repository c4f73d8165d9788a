"""Histograms of distances, compiled by Numba: see `kernels_numba`."""

import numpy as np

from facehash.hamming.llvm.intrinsics import LINE, RUN, compile_kernel, find_line
from facehash.hamming.llvm.plane_counts import (
    AT_ONCE,
    BITS_AT_ONCE,
    COUNTS,
    PLANE,
    SHARING,
    SIDE,
    SUMS,
    TABLES,
    add_planes,
    count_sums,
    fill_side,
    most_bits,
)
from facehash.hamming.llvm.planes import ENTRIES, find_entries, host_features
from facehash.hamming.llvm.rows import MOST, TOGETHER, measurer
from facehash.hamming.measure_numba import (
    BITS,
    BLOCK,
    CODES,
    GROUP,
    IN_ROWS,
    LAYOUT,
    PART,
    ROWS,
    WORDS,
    add_four,
    count_each,
    fill_tables,
    measure,
    split_codes,
)

PLANE_BITS = most_bits(host_features())
SIDES = 16  # of SIDE codes, whose tables stay in the second-level cache
PAIRED = 4  # items per possible pair of distances from which on pairs are counted
_measure_rows = measurer(LAYOUT)


@compile_kernel("void(uint64[::1], uint32[::1])")
def _count_pairs(words, pairs):  # type: ignore[no-untyped-def]
    """Count pairs of bytes, four to a word: entry a + 256 b of the pairs (a, b)."""
    for word in words:
        pairs[word & np.uint64(0xFFFF)] += 1
        pairs[(word >> np.uint64(16)) & np.uint64(0xFFFF)] += 1
        pairs[(word >> np.uint64(32)) & np.uint64(0xFFFF)] += 1
        pairs[word >> np.uint64(48)] += 1


@compile_kernel(f"void({CODES}, int64, int64, {WORDS}, uint16[::1], uint32[:, ::1], int64[::1])")
def _count_slice(gallery, first, last, code, buffer, histograms, counts):  # type: ignore[no-untyped-def]
    """Fill the histogram of one query over items first..last - 1."""
    histograms[:] = 0
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        distances = buffer[: stop - start]
        measure(gallery, start, stop, code, distances)
        count_each(distances, histograms)
    add_four(histograms, counts)


@compile_kernel("boolean(int64, int64)", inline=True)
def _counts_pairs(items, bins):  # type: ignore[no-untyped-def]
    """Return whether pairs of distances are counted."""
    return items >= PAIRED * bins * bins


_TOGETHER = f"void({CODES}, int64, {CODES}, int64[:, ::1])"


@compile_kernel(_TOGETHER)
def _count_together(gallery, whole, query, all_counts):  # type: ignore[no-untyped-def]
    """Fill the histograms of all queries over the first `whole` items, a multiple of RUN."""
    bins, words = all_counts.shape[1], len(gallery)
    in_pairs = _counts_pairs(whole, bins)
    pieces, last = (bins - 1 + BITS - 1) // BITS, len(query)
    width = 256 * bins if in_pairs else 4 * bins
    counted = np.empty((GROUP, width), np.uint32)
    tables = np.empty((GROUP // TOGETHER, pieces * TOGETHER * 16), np.uint8)
    rows, distances = np.empty(words * ROWS * PART, np.uint8), np.empty((TOGETHER, PART), np.uint8)
    for begin in range(0, last, GROUP):
        count = min(GROUP, last - begin)
        counted[:] = 0
        for j in range(count):
            fill_tables(query[begin + j], j % TOGETHER, pieces, tables[j // TOGETHER])
        for start in range(0, whole, PART):
            stop = min(start + PART, whole)
            size = stop - start
            if IN_ROWS:
                split_codes(gallery, start, stop, rows)
            for four in range(0, count, TOGETHER):
                if IN_ROWS:
                    for run in range(0, size, RUN):
                        _measure_rows(
                            rows, run * words * ROWS, tables[four // TOGETHER], pieces,
                            distances, run,
                        )  # fmt: skip
                else:
                    for j in range(four, min(four + TOGETHER, count)):
                        found = distances[j - four, :size]
                        measure(gallery, start, stop, query[begin + j], found)
                for j in range(four, min(four + TOGETHER, count)):
                    found = distances[j - four, :size]
                    if in_pairs:
                        _count_pairs(found.view(np.uint64), counted[j])
                    else:
                        count_each(found, counted[j].reshape((4, bins)))
        for j in range(count):
            counts = all_counts[begin + j]
            if in_pairs:
                pairs = counted[j].reshape((bins, 256))
                counts[:] = 0
                for b in range(bins):
                    for a in range(bins):
                        counts[a] += pairs[b, a]
                        counts[b] += pairs[b, a]
            else:
                add_four(counted[j].reshape((4, bins)), counts)


@compile_kernel(f"void({CODES}, uint32[:, ::1])")
def plan_queries(query, places):  # type: ignore[no-untyped-def]
    """Fill the places of the queries' entries in the tables of `fill_side`."""
    for row in range(len(query)):
        for t in range(places.shape[1] // 2):
            word, bit = 3 * t // 64, 3 * t % 64
            three = np.uint64(0)
            if word < query.shape[1]:
                three = query[row, word] >> np.uint64(bit)
                if bit > 61 and word + 1 < query.shape[1]:
                    three |= query[row, word + 1] << np.uint64(64 - bit)
            carry, sum_ = find_entries(three)
            places[row, 2 * t] = PLANE * (ENTRIES * t + carry)
            places[row, 2 * t + 1] = PLANE * (ENTRIES * t + sum_)


def _count_planes(gallery, whole, query, all_counts):  # type: ignore[no-untyped-def]
    """Fill the histograms of all queries over the first `whole` items, a multiple of SIDE."""
    words, bins = len(gallery), all_counts.shape[1]
    steps = (bins - 1 + BITS_AT_ONCE - 1) // BITS_AT_ONCE
    places = np.empty((len(query), 2 * AT_ONCE * steps), np.uint32)
    plan_queries(query, places)
    most, lines = min(whole // SIDE, SIDES), 64 * words + BITS_AT_ONCE
    needed = most * steps * TABLES + (lines + SUMS + COUNTS) * PLANE
    space = np.zeros(needed + LINE, np.uint64)
    space = space[find_line(space) :]
    planes, space = space[: lines * PLANE], space[lines * PLANE :]
    sums, space = space[: SUMS * PLANE], space[SUMS * PLANE :]
    counts, tables = space[: COUNTS * PLANE], space[COUNTS * PLANE :]
    all_counts[:] = 0
    for begin in range(0, whole, most * SIDE):
        sides = min(most, (whole - begin) // SIDE)
        for side in range(sides):
            fill_side(gallery, begin + SIDE * side, steps, planes, tables, side * steps * TABLES)
        for row in range(len(query)):
            counts[: PLANE * (bins + SHARING - 1)] = 0
            for side in range(sides):
                add_planes(tables, side * steps * TABLES, places, row, steps, sums)
                count_sums(sums, bins, counts)
            for d in range(bins):
                for lane in range(PLANE):
                    all_counts[row, d] += np.int64(counts[PLANE * d + lane])


# It takes seconds to compile.
_count_many = compile_kernel(_TOGETHER)(_count_planes) if PLANE_BITS else _count_together


@compile_kernel(f"void({CODES}, {CODES}, int64[:, ::1], int64[:, ::1], int64[:, ::1])")
def count_distances(gallery, query, slices, all_counts, relevant):  # type: ignore[no-untyped-def]
    """Fill the histograms of each query, as `kernels_numpy.count_distances`."""
    bins, size = all_counts.shape[1], gallery.shape[1]
    histograms, counts = np.empty((4, bins), np.uint32), np.empty(bins, np.int64)
    buffer = np.empty(BLOCK, np.uint16)
    whole = 0
    many = len(query) >= TOGETHER
    if many and bins - 1 <= PLANE_BITS and size >= SIDE:
        whole = size // SIDE * SIDE
        _count_many(gallery, whole, query, all_counts)
    elif many and bins - 1 <= MOST and (IN_ROWS or _counts_pairs(size // RUN * RUN, bins)):
        whole = size // RUN * RUN
        _count_together(gallery, whole, query, all_counts)
    else:
        all_counts[:] = 0
    for row in range(len(query)):
        code = query[row]
        _count_slice(gallery, whole, size, code, buffer, histograms, counts)
        for d in range(bins):
            all_counts[row, d] += counts[d]
        first, last = slices[row, 0], slices[row, 1]
        _count_slice(gallery, first, last, code, buffer, histograms, relevant[row])


@compile_kernel(f"void({WORDS}, uint64, uint64[::1])")
def _first_labels(words, word, shared):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        shared[i] = words[i] & word


@compile_kernel(f"void({WORDS}, uint64, uint64[::1])")
def _next_labels(words, word, shared):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        shared[i] |= words[i] & word


@compile_kernel("void(uint64[::1], uint16, uint16[::1])")
def _move(shared, bins, distances):  # type: ignore[no-untyped-def]
    for i in range(len(distances)):
        distances[i] += bins if shared[i] != 0 else np.uint16(0)


@compile_kernel(f"void({CODES}, {CODES}, {CODES}, {CODES}, int64[:, ::1], int64[:, ::1])")
def count_sharing(gallery, query, gallery_sets, query_sets, all_counts, relevant):  # type: ignore[no-untyped-def]
    """Fill the histograms of each query, as `kernels_numpy.count_sharing`.

    One pass counts both: an item that shares a label is counted `bins` further on.
    """
    bins = all_counts.shape[1]
    histograms, counts = np.empty((4, 2 * bins), np.uint32), np.empty(2 * bins, np.int64)
    buffer, labels = np.empty(BLOCK, np.uint16), np.empty(BLOCK, np.uint64)
    for row in range(len(query)):
        histograms[:] = 0
        for start in range(0, gallery.shape[1], BLOCK):
            stop = min(start + BLOCK, gallery.shape[1])
            distances, shared = buffer[: stop - start], labels[: stop - start]
            measure(gallery, start, stop, query[row], distances)
            _first_labels(gallery_sets[0, start:stop], query_sets[row, 0], shared)
            for w in range(1, len(gallery_sets)):
                _next_labels(gallery_sets[w, start:stop], query_sets[row, w], shared)
            _move(shared, np.uint16(bins), distances)
            count_each(distances, histograms)
        add_four(histograms, counts)
        for d in range(bins):
            relevant[row, d] = counts[bins + d]
            all_counts[row, d] = counts[d] + counts[bins + d]
