"""Asymmetric search compiled by Numba, exact: a lower bound of the distance rejects most codes.

With the weight w_j = |p_j| of each bit, a code has the distance ``sum of w_j over unequal bits``.
Three steps find the k nearest without computing it for every code:

1. Each bit gets a level l_j, 0 to 3, and a step a. Then
   ``distance >= a * (sum of l_j over unequal bits) - sum over all j of max(0, a l_j - w_j)``,
   and two population counts give the sum of levels, for 64 codes at once. A code whose bound
   exceeds the k-th distance found so far is rejected. Step and levels are chosen per query, and
   again when the k-th distance has fallen, so that the fewest codes pass.
2. Tables of partial sums, one per 4 bits, give the distance of a code that passed, up to rounding.
3. If that may be among the k nearest, the weights are added bit by bit, first bit first, as in a
   plain loop. A heap holds the k nearest, ordered by distance and then by position.
"""

import numpy as np

from facehash.hamming.intrinsics import PLANES, RUN, compile_kernel, lower_bits, popcount

BLOCK = 2048  # codes that stay in the first-level cache while a group of queries passes over them
GROUP = 32  # queries that share one pass over a block
FIRST = 16  # codes per neighbor that only the tables rank; before, the bound would reject few
FALLEN = 0.95  # levels are chosen again when the k-th distance has fallen to this share
STEPS = 12  # steps that are tried for the levels
_ONE, _ALL, _NIBBLE = np.uint64(1), np.uint64(2**64 - 1), np.uint64(15)
# Relative error of a sum of at most 1,024 float64 weights in any order, with a wide margin.
_ROUNDING = 1 + 1e-11

_WORDS, _CODES = "Array(uint64, 1, 'C', True)", "Array(uint64, 2, 'C', True)"
_WEIGHTS = "Array(float64, 1, 'C', True)"


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


@compile_kernel(f"void({_WEIGHTS}, float64[:, :, ::1])")
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


@compile_kernel(f"float64({_CODES}, int64, {_WORDS}, float64[:, :, ::1])", inline=True)
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


@compile_kernel("float64(float64, float64, float64)")
def _level(weight, step, up):  # type: ignore[no-untyped-def]
    return min(np.floor(weight / step + up), (1 << PLANES) - 1.0)


@compile_kernel(f"UniTuple(float64, 2)({_WEIGHTS}, float64, uint64[::1])")
def _choose_levels(weights, bound, planes):  # type: ignore[no-untyped-def]
    """Choose levels for a k-th distance; fill their bits, and return step and excess.

    Bits of unrelated codes are unequal with probability 1/2. The best step has its limit the most
    standard deviations below the mean sum of levels of such codes.
    """
    mean = weights.sum() / len(weights)
    planes[:] = 0
    if mean == 0:
        return 1.0, 0.0
    best, step, up = np.inf, mean, 0.5
    for number in range(STEPS):
        tried = mean * (0.36 + 0.12 * number)
        for tried_up in (0.2, 0.4, 0.6):
            excess, total, squares = 0.0, 0.0, 0.0
            for weight in weights:
                level = _level(weight, tried, tried_up)
                excess += max(0.0, tried * level - weight)
                total += level
                squares += level * level
            if squares == 0:
                continue
            score = ((bound + excess) / tried - total / 2) / np.sqrt(squares)
            if score < best:
                best, step, up = score, tried, tried_up
    excess = 0.0
    for j in range(len(weights)):
        level = _level(weights[j], step, up)
        excess += max(0.0, step * level - weights[j])
        for p in range(PLANES):
            if (np.int64(level) >> p) & 1:
                planes[(j >> 6) * PLANES + p] |= _ONE << np.uint64(j & 63)
    return step, excess


@compile_kernel("int64(float64, float64, float64)")
def _limit(bound, step, excess):  # type: ignore[no-untyped-def]
    """Return the smallest sum of levels that proves a distance above the bound."""
    return np.int64(np.floor((bound + excess) / step * _ROUNDING + 1e-9)) + 1


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


@compile_kernel(
    f"int64({_CODES}, int64, int64, {_WORDS}, {_WEIGHTS}, float64[:, :, ::1], uint64[::1],"
    "float64, float64, float64[::1], int64[::1])"
)
def _scan(gallery, start, stop, code, weights, tables, planes, step, excess, far, items):  # type: ignore[no-untyped-def]
    """Offer the items that the lower bound does not reject; return the number of those."""
    bound, passed = far[0], 0
    limit, near_enough = _limit(bound, step, excess), bound * _ROUNDING
    for run in range(start, stop, RUN):
        # The last run may overlap the one before it; the bits of those items are cleared.
        first = min(run, stop - RUN)
        near = lower_bits(gallery, first, code, planes, limit) & (_ALL << np.uint64(run - first))
        while near != 0:
            item = first + np.int64(popcount(~near & (near - _ONE)))
            if _rounded(gallery, item, code, tables) < near_enough:
                _offer(gallery, item, code, weights, far, items)
            near &= near - _ONE
            passed += 1
        if far[0] < bound:
            bound = far[0]
            limit, near_enough = _limit(bound, step, excess), bound * _ROUNDING
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
    k, passed = indices.shape[1], 0
    ranked = min(last, first + max(BLOCK, FIRST * k))
    tables = np.empty((GROUP, query.shape[1], 16, 16))
    planes = np.empty((GROUP, query.shape[1] * PLANES), np.uint64)
    step, excess, chosen = np.empty((3, GROUP))  # chosen: the k-th distance at the last choice
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
            # The last block is never shorter than a run.
            stop = min(start + BLOCK, last)
            for j in range(rows):
                code, weight = query[begin + j], weights[begin + j]
                far, items = distances[begin + j], indices[begin + j]
                if far[0] < FALLEN * chosen[j]:
                    chosen[j] = far[0]
                    step[j], excess[j] = _choose_levels(weight, far[0], planes[j])
                passed += _scan(
                    gallery, start, stop, code, weight, tables[j], planes[j], step[j], excess[j],
                    far, items,
                )  # fmt: skip
        for j in range(rows):
            far, items = distances[begin + j], indices[begin + j]
            for end in range(k - 1, 0, -1):
                far[0], far[end] = far[end], far[0]
                items[0], items[end] = items[end], items[0]
                _sift(far, items, 0, end)
    return passed
