"""Hamming kernels compiled by Numba; the import compiles them or loads them from a cache.

They define the same three functions as `facehash.hamming.kernels_numpy` and release the GIL, so
that the caller's threads run in parallel without a threading layer of Numba.
"""

import numpy as np

from facehash.hamming.intrinsics import RUN, compile_kernel, nearer_bits, popcount

BLOCK = 2048  # items whose distances (2 bytes each) stay in the first-level cache
GROUP = 32  # queries that share one pass over a block
KEPT = 1 << 16  # neighbors of all queries of a group together
RANKED = 16  # items per neighbor that are ranked by counting; few later items are nearer
_ONE, _ALL = np.uint64(1), np.uint64(2**64 - 1)

# Read-only arrays (True): the gallery may be a mapped file.
_WORDS, _CODES = "Array(uint64, 1, 'C', True)", "Array(uint64, 2, 'C', True)"


@compile_kernel(f"void({_WORDS}, uint64, uint16[::1])")
def _first_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] = popcount(words[i] ^ word)


@compile_kernel(f"void({_WORDS}, uint64, uint16[::1])")
def _next_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] += popcount(words[i] ^ word)


@compile_kernel(f"void({_CODES}, int64, int64, {_WORDS}, uint16[::1])")
def _measure(gallery, start, stop, code, distances):  # type: ignore[no-untyped-def]
    # The inner loops get slices, not indices: only then LLVM vectorizes them.
    _first_word(gallery[0, start:stop], code[0], distances)
    for w in range(1, len(code)):
        _next_word(gallery[w, start:stop], code[w], distances)


@compile_kernel("void(uint16[::1], uint32[:, ::1])")
def _count(distances, histograms):  # type: ignore[no-untyped-def]
    # Four histograms: adjacent items often share a distance, and one would wait for its last store.
    first, second, third, fourth = histograms[0], histograms[1], histograms[2], histograms[3]
    quads = len(distances) // 4
    for i in range(quads):
        first[distances[4 * i]] += 1
        second[distances[4 * i + 1]] += 1
        third[distances[4 * i + 2]] += 1
        fourth[distances[4 * i + 3]] += 1
    for i in range(4 * quads, len(distances)):
        first[distances[i]] += 1


@compile_kernel("void(uint32[:, ::1], int64[::1])")
def _add(four, counts):  # type: ignore[no-untyped-def]
    for d in range(len(counts)):
        # In 64 bits: the sum of four full 32-bit counts does not fit into one.
        counts[d] = np.int64(four[0, d]) + four[1, d] + four[2, d] + four[3, d]


@compile_kernel(f"void({_CODES}, {_CODES}, int64[:, ::1], int64[:, ::1], int64[:, ::1])")
def count_distances(gallery, query, slices, all_counts, relevant):  # type: ignore[no-untyped-def]
    """Fill the histograms of each query, as `kernels_numpy.count_distances`."""
    bins = all_counts.shape[1]
    histograms = np.empty((4, bins), np.uint32)
    buffer = np.empty(BLOCK, np.uint16)
    for row in range(len(query)):
        for part in range(2):
            histograms[:] = 0
            first = 0 if part == 0 else slices[row, 0]
            last = gallery.shape[1] if part == 0 else slices[row, 1]
            for start in range(first, last, BLOCK):
                stop = min(start + BLOCK, last)
                distances = buffer[: stop - start]
                _measure(gallery, start, stop, query[row], distances)
                _count(distances, histograms)
            _add(histograms, all_counts[row] if part == 0 else relevant[row])


@compile_kernel(f"void({_WORDS}, uint64, uint64[::1])")
def _first_labels(words, word, shared):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        shared[i] = words[i] & word


@compile_kernel(f"void({_WORDS}, uint64, uint64[::1])")
def _next_labels(words, word, shared):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        shared[i] |= words[i] & word


@compile_kernel("void(uint64[::1], uint16, uint16[::1])")
def _move(shared, bins, distances):  # type: ignore[no-untyped-def]
    for i in range(len(distances)):
        distances[i] += bins if shared[i] != 0 else np.uint16(0)


@compile_kernel(f"void({_CODES}, {_CODES}, {_CODES}, {_CODES}, int64[:, ::1], int64[:, ::1])")
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
            _measure(gallery, start, stop, query[row], distances)
            _first_labels(gallery_sets[0, start:stop], query_sets[row, 0], shared)
            for w in range(1, len(gallery_sets)):
                _next_labels(gallery_sets[w, start:stop], query_sets[row, w], shared)
            _move(shared, np.uint16(bins), distances)
            _count(distances, histograms)
        _add(histograms, counts)
        for d in range(bins):
            relevant[row, d] = counts[bins + d]
            all_counts[row, d] = counts[d] + counts[bins + d]


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
    f"UniTuple(int64, 3)({_CODES}, int64, int64, {_WORDS}, int64, int64, int64, int64, int64[::1],"
    "uint16[::1], int64[::1])"
)
def _scan(gallery, start, stop, code, k, held, nearer, bound, items, far, counts):  # type: ignore[no-untyped-def]
    """Collect items nearer than the bound and tighten it; return held, nearer and bound."""
    for run in range(start, stop, RUN):
        # The last run may overlap the one before it; the bits of those items are cleared.
        first = min(run, stop - RUN)
        near = nearer_bits(gallery, first, code, bound) & (_ALL << np.uint64(run - first))
        if near == 0:
            continue
        if held + RUN > len(items):
            held = _drop(items, far, held, bound, k - nearer)
        while near != 0:
            # The number of trailing zeros is the position of the next set bit.
            item = first + np.int64(popcount(~near & (near - _ONE)))
            distance = np.int64(0)
            for w in range(len(code)):
                distance += np.int64(popcount(gallery[w, item] ^ code[w]))
            items[held] = item
            far[held] = distance
            counts[distance] += 1
            held += 1
            nearer += 1
            near &= near - _ONE
        while nearer >= k:
            bound -= 1
            nearer -= counts[bound]
    return held, nearer, bound


@compile_kernel(f"void({_CODES}, int64, int64, {_CODES}, int64, int64[:, ::1], int64[:, ::1])")
def find_nearest(gallery, first, last, query, bits, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `kernels_numpy.find_nearest`.

    The first items are ranked by a counting sort. The distance of the k-th is a bound: only later
    items that are nearer can be neighbors. The rest is compared with the bound, run by run; the few
    nearer items are collected, and each tightens the bound.
    """
    k = indices.shape[1]
    ranked = min(last, first + max(BLOCK, RANKED * k))
    numbers = np.arange(first, ranked)
    measured = np.empty(ranked - first, np.uint16)
    group = max(1, min(GROUP, KEPT // k))
    room = 2 * k + 4 * RUN if ranked < last else 0
    # Candidates of each query and their distances, (group, room).
    items, far = np.empty((group, room), np.int64), np.empty((group, room), np.uint16)
    histograms, counts = np.empty((4, bits + 1), np.uint32), np.empty((group, bits + 1), np.int64)
    # Per query: number of candidates, those among them nearer than the bound, and the bound.
    held, nearer, bounds = np.empty((3, group), np.int64)
    for begin in range(0, len(query), group):
        rows = min(group, len(query) - begin)
        for j in range(rows):
            histograms[:] = 0
            for start in range(first, ranked, BLOCK):
                stop = min(start + BLOCK, ranked)
                part = measured[start - first : stop - first]
                _measure(gallery, start, stop, query[begin + j], part)
                _count(part, histograms)
            _add(histograms, counts[j])
            _sort(numbers, measured, counts[j], indices[begin + j], distances[begin + j])
            if ranked < last:
                items[j, :k], far[j, :k] = indices[begin + j], distances[begin + j]
                _tally(far[j, :k], counts[j])
                held[j], bounds[j] = k, far[j, k - 1]
                nearer[j] = k - counts[j, bounds[j]]
        if ranked == last:
            continue
        for start in range(ranked, last, BLOCK):
            stop = min(start + BLOCK, last)
            for j in range(rows):
                held[j], nearer[j], bounds[j] = _scan(
                    gallery, start, stop, query[begin + j], k, held[j], nearer[j], bounds[j],
                    items[j], far[j], counts[j],
                )  # fmt: skip
        for j in range(rows):
            here = _drop(items[j], far[j], held[j], bounds[j], k - nearer[j])
            _tally(far[j, :here], counts[j])
            _sort(items[j], far[j, :here], counts[j], indices[begin + j], distances[begin + j])
