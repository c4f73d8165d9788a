"""Hamming kernels compiled by Numba; the import compiles them or loads them from a cache.

They define the same three functions as `facehash.hamming.kernels_numpy` and release the GIL, so
that the caller's threads run in parallel without a threading layer of Numba. At least four queries
at once are compared with codes in rows where the processor prefers it, see `facehash.hamming.rows`,
and at least twelve with planes of single bits, see `facehash.hamming.planes`.
"""

from facehash.hamming.count_numba import count_distances, count_sharing
from facehash.hamming.nearest_numba import find_nearest

__all__ = ["count_distances", "count_sharing", "find_nearest"]
