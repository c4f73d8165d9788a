"""Asymmetric search compiled by Numba, exact: a lower bound of the distance rejects most codes.

With the weight w_j = |p_j| of each bit, a code has the distance ``sum of w_j over unequal bits``.
Three steps find the k nearest without computing it for every code:

1. Each 4 bits t of a code have a table of the sums of weights S_t, one per value e of these bits.
   With a step a, bytes ``L_t[e] = floor(S_t[e] / a)`` give ``distance >= a * sum_t L_t[e_t]``; one
   instruction finds 32 of these bytes (`nibbles`). A code whose bound exceeds the k-th distance
   found so far is rejected. The step is chosen per query, so that the k-th distance is almost the
   largest sum of bytes, and again when the k-th distance has fallen.
2. The tables S_t give the distance of a code that passed, up to rounding.
3. If that may be among the k nearest, the weights are added bit by bit, first bit first, as in a
   plain loop. A heap holds the k nearest, ordered by distance and then by position.
"""

import numpy as np

from facehash.hamming.llvm.intrinsics import RUN, compile_kernel, popcount
from facehash.hamming.llvm.nibbles import NIBBLES, below_limit, split_run

BLOCK = 1024  # codes whose nibbles stay in the first-level cache while queries pass over them
GROUP = 32  # queries that share one pass over a block
RANKED = 2048  # codes, or FIRST per neighbor, that only the tables rank: the bound is still large
FIRST = 16
# The sum of bytes at the k-th distance: of one word, or of each of several on average. The sum over
# a word stops at 255, and one word of a near code can be far.
LARGEST, COMMON = 254, 170
FALLEN = 0.95  # bytes are chosen again when the k-th distance has fallen to this share
_ONE, _ALL, _NIBBLE = np.uint64(1), np.uint64(2**64 - 1), np.uint64(15)
# Relative error of a sum of at most 1,024 float64 weights in any order, with a wide margin.
_ROUNDING = 1 + 1e-11

_WORDS, _CODES = "Array(uint64, 1, 'C', True)", "Array(uint64, 2, 'C', True)"
_WEIGHTS, _TABLES, _BYTES = "Array(float64, 1, 'C', True)", "float64[:, :, ::1]", "uint8[::1]"


@compile_kernel(f"float64({_CODES}, int64, {_WORDS}, {_WEIGHTS})")
def _exact(gallery, item, code, weights):  # type: ignore[no-untyped-def]
    distance = 0.0
    for w in range(len(code)):
        unequal = gallery[w, item] ^ code[w]
        while unequal != 0:
            # The number of trailing zeros is the position of the next set bit.
            distance += weights[64 * w + np.int64(popcount(~unequal & (unequal - _ONE)))]
            unequal &= unequal - _ONE
    return distance


@compile_kernel(f"void({_WEIGHTS}, {_TABLES})")
def _fill_tables(weights, tables):  # type: ignore[no-untyped-def]
    """Fill tables (words, 16, 16): entry e sums the weights that the bits of e choose."""
    for w in range(len(tables)):
        for t in range(16):
            table = tables[w, t]
            table[0] = 0
            for b in range(4):
                bit = 64 * w + 4 * t + b
                weight = weights[bit] if bit < len(weights) else 0.0
                for e in range(1 << b):
                    table[(1 << b) + e] = table[e] + weight


@compile_kernel(f"float64({_CODES}, int64, {_WORDS}, {_TABLES})", inline=True)
def _rounded(gallery, item, code, tables):  # type: ignore[no-untyped-def]
    # Four sums, so that an addition need not wait for the last one.
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for w in range(len(code)):
        unequal = gallery[w, item] ^ code[w]
        for t in range(0, 16, 4):
            first += tables[w, t, unequal & _NIBBLE]
            second += tables[w, t + 1, (unequal >> np.uint64(4)) & _NIBBLE]
            third += tables[w, t + 2, (unequal >> np.uint64(8)) & _NIBBLE]
            fourth += tables[w, t + 3, (unequal >> np.uint64(12)) & _NIBBLE]
            unequal >>= np.uint64(16)
    return (first + second) + (third + fourth)


@compile_kernel(f"float64({_TABLES}, {_WORDS}, float64, {_BYTES})")
def _choose_bytes(tables, code, bound, entries):  # type: ignore[no-untyped-def]
    """Fill the bytes L_t of each value of a stored code, for a bound above 0; return the step."""
    words = len(tables)
    step = bound / LARGEST if words == 1 else bound / (words * COMMON)
    for w in range(words):
        for t in range(NIBBLES):
            signs = np.int64((code[w] >> np.uint64(4 * t)) & _NIBBLE)
            start = (w * NIBBLES + t) * 16
            for e in range(16):
                entry = tables[w, t, e ^ signs] / (step * _ROUNDING)
                entries[start + e] = np.uint8(min(entry, 255.0))
    return step


@compile_kernel("int64(float64, float64)")
def _limit(bound, step):  # type: ignore[no-untyped-def]
    """Return the smallest sum of bytes that proves a distance above the bound."""
    return np.int64(np.floor(bound / step * _ROUNDING + 1e-9)) + 1


@compile_kernel("void(float64[::1], int64[::1], int64, int64)")
def _sift(far, items, place, count):  # type: ignore[no-untyped-def]
    """Restore a heap whose first of `count` entries is the farthest, the last among equals."""
    distance, item = far[place], items[place]
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        other = child + 1
        if other < count and (
            far[other] > far[child] or (far[other] == far[child] and items[other] > items[child])
        ):
            child = other
        if far[child] < distance or (far[child] == distance and items[child] < item):
            break
        far[place], items[place] = far[child], items[child]
        place = child
    far[place], items[place] = distance, item


@compile_kernel(f"void({_CODES}, int64, {_WORDS}, {_WEIGHTS}, float64[::1], int64[::1])")
def _offer(gallery, item, code, weights, far, items):  # type: ignore[no-untyped-def]
    """Put an item into a full heap if it is nearer than the farthest one there."""
    distance = _exact(gallery, item, code, weights)
    if distance < far[0]:  # at an equal distance, the earlier item stays
        far[0], items[0] = distance, item
        _sift(far, items, 0, len(far))


@compile_kernel(f"void({_CODES}, int64, int64, {_BYTES})")
def _split(gallery, start, stop, nibbles):  # type: ignore[no-untyped-def]
    """Rearrange the codes of a block, run by run, for the pass of all queries."""
    place = 0
    for run in range(start, stop, RUN):
        for w in range(len(gallery)):
            split_run(gallery, w, min(run, stop - RUN), nibbles[place:])
            place += NIBBLES * RUN


@compile_kernel(
    f"int64({_CODES}, int64, int64, {_BYTES}, {_WORDS}, {_WEIGHTS}, {_TABLES}, {_BYTES}, float64,"
    "float64[::1], int64[::1])"
)
def _scan(gallery, start, stop, nibbles, code, weights, tables, entries, step, far, items):  # type: ignore[no-untyped-def]
    """Offer the items that the lower bound does not reject; return the number of those."""
    bound, passed, place = far[0], 0, 0
    limit, near_enough = _limit(bound, step), bound * _ROUNDING
    for run in range(start, stop, RUN):
        # The last run may overlap the one before it; the bits of those items are cleared.
        first = min(run, stop - RUN)
        near = below_limit(nibbles[place:], entries, len(code), limit)
        near &= _ALL << np.uint64(run - first)
        place += len(code) * NIBBLES * RUN
        while near != 0:
            item = first + np.int64(popcount(~near & (near - _ONE)))
            if _rounded(gallery, item, code, tables) < near_enough:
                _offer(gallery, item, code, weights, far, items)
            near &= near - _ONE
            passed += 1
        if far[0] < bound:
            bound = far[0]
            if bound == 0:  # no code can be nearer
                break
            limit, near_enough = _limit(bound, step), bound * _ROUNDING
    return passed


@compile_kernel(
    f"int64({_CODES}, int64, int64, {_CODES}, Array(float64, 2, 'C', True), int64[:, ::1],"
    "float64[:, ::1])"
)
def find_nearest(gallery, first, last, query, weights, indices, distances):  # type: ignore[no-untyped-def]
    """Fill the k nearest gallery items of each query, as `asymmetric_numpy.find_nearest`.

    Returns:
        The number of codes that the lower bound did not reject, over all queries.
    """
    k, words, passed = indices.shape[1], query.shape[1], 0
    ranked = min(last, first + max(RANKED, FIRST * k))
    tables = np.empty((GROUP, words, NIBBLES, 16))
    entries = np.empty((GROUP, words * NIBBLES * 16), np.uint8)
    nibbles = np.empty(words * NIBBLES * BLOCK, np.uint8)
    step, chosen = np.empty((2, GROUP))  # chosen: the k-th distance at the last choice
    for begin in range(0, len(query), GROUP):
        rows = min(GROUP, len(query) - begin)
        for j in range(rows):
            code, weight = query[begin + j], weights[begin + j]
            far, items = distances[begin + j], indices[begin + j]
            _fill_tables(weight, tables[j])
            for i in range(k):
                far[i], items[i] = _exact(gallery, first + i, code, weight), first + i
            for i in range(k // 2 - 1, -1, -1):
                _sift(far, items, i, k)
            for item in range(first + k, ranked):
                if _rounded(gallery, item, code, tables[j]) < far[0] * _ROUNDING:
                    _offer(gallery, item, code, weight, far, items)
            chosen[j] = np.inf
        for start in range(ranked, last, BLOCK):
            stop = min(start + BLOCK, last)
            _split(gallery, start, stop, nibbles)
            for j in range(rows):
                code, weight = query[begin + j], weights[begin + j]
                far, items = distances[begin + j], indices[begin + j]
                if far[0] == 0:  # no code can be nearer
                    continue
                if far[0] < FALLEN * chosen[j]:
                    chosen[j] = far[0]
                    step[j] = _choose_bytes(tables[j], code, far[0], entries[j])
                passed += _scan(
                    gallery, start, stop, nibbles, code, weight, tables[j], entries[j], step[j],
                    far, items,
                )  # fmt: skip
        for j in range(rows):
            far, items = distances[begin + j], indices[begin + j]
            for end in range(k - 1, 0, -1):
                far[0], far[end] = far[end], far[0]
                items[0], items[end] = items[end], items[0]
                _sift(far, items, 0, end)
    return passed
