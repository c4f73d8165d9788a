"""Distances of one query from codes, and codes in rows for several queries: see `kernels_numba`.

The functions compiled here are copied into the kernels that call them: Numba's cache checks only
the file of a kernel, so after a change here, change `count_numba` and `nearest_numba` too.
"""

import numpy as np

from facehash.hamming.llvm.intrinsics import RUN, compile_kernel, popcount
from facehash.hamming.llvm.rows import TOGETHER, host_layout, piece_bits, splitter

LAYOUT = host_layout()
IN_ROWS = LAYOUT != "words"
BITS = piece_bits(LAYOUT)  # of a code in each row
ROWS = 64 // BITS  # of a word
PART = 1024  # items whose rows stay in the first-level cache while queries pass over them
BLOCK = 2048  # items whose distances (2 bytes each) stay in the first-level cache
GROUP = 32  # queries that share one pass over a block
_MASK = np.uint64(2**BITS - 1)
_split_run = splitter(LAYOUT)

# Read-only arrays (True): the gallery may be a mapped file.
WORDS, CODES = "Array(uint64, 1, 'C', True)", "Array(uint64, 2, 'C', True)"
DISTANCES = "uint16[::1]", "uint8[::1]"


@compile_kernel([f"void({WORDS}, uint64, {kind})" for kind in DISTANCES])
def _first_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] = popcount(words[i] ^ word)


@compile_kernel([f"void({WORDS}, uint64, {kind})" for kind in DISTANCES])
def _next_word(words, word, distances):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        distances[i] += popcount(words[i] ^ word)


@compile_kernel([f"void({CODES}, int64, int64, {WORDS}, {kind})" for kind in DISTANCES])
def measure(gallery, start, stop, code, distances):  # type: ignore[no-untyped-def]
    """Fill the distances of one query from items start..stop - 1; bytes hold up to 255."""
    # The inner loops get slices, not indices: only then LLVM vectorizes them.
    _first_word(gallery[0, start:stop], code[0], distances)
    for w in range(1, len(code)):
        _next_word(gallery[w, start:stop], code[w], distances)


@compile_kernel([f"void({kind}, uint32[:, ::1])" for kind in DISTANCES])
def count_each(distances, histograms):  # type: ignore[no-untyped-def]
    """Add distances to four histograms, which `add_four` adds up."""
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
def add_four(four, counts):  # type: ignore[no-untyped-def]
    """Fill the sum of four histograms."""
    for d in range(len(counts)):
        # In 64 bits: the sum of four full 32-bit counts does not fit into one.
        counts[d] = np.int64(four[0, d]) + four[1, d] + four[2, d] + four[3, d]


@compile_kernel(f"void({CODES}, int64, int64, uint8[::1])")
def split_codes(gallery, start, stop, rows):  # type: ignore[no-untyped-def]
    """Rearrange the items of a part, run by run; the last run may overlap the one before it."""
    place = 0
    for run in range(start, stop, RUN):
        for w in range(len(gallery)):
            _split_run(gallery, w, min(run, stop - RUN), rows[place:])
            place += ROWS * RUN


@compile_kernel(f"void({WORDS}, int64, int64, uint8[::1])")
def fill_tables(code, query, count, tables):  # type: ignore[no-untyped-def]
    """Fill the tables of one of TOGETHER queries, see `facehash.hamming.llvm.rows`."""
    for t in range(count):
        own = (code[t // ROWS] >> np.uint64(BITS * (t % ROWS))) & _MASK
        start = (t * TOGETHER + query) * 16
        for e in range(16):
            tables[start + e] = own if BITS == 8 else popcount(np.uint64(e) ^ own)
