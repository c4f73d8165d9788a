"""Hamming kernels compiled by Numba; the import compiles them or loads them from a cache.

They define the same three functions as `facehash.hamming.kernels_numpy` and release the GIL, so
that the caller's threads run in parallel without a threading layer of Numba. How codes are laid
out for several queries depends on the processor, see the modules of `facehash.hamming.llvm`: at
least four are compared with codes in `rows`, at least twelve with the `planes` of single bits, and
distances from at least four are counted in planes (`plane_counts`).
"""

from facehash.hamming.count_numba import count_distances, count_sharing
from facehash.hamming.nearest_numba import find_nearest

__all__ = ["count_distances", "count_sharing", "find_nearest"]
