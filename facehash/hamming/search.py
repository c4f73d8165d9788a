"""Hamming distances between packed codes: histograms of them, and the nearest items.

No function here ever holds a queries x gallery matrix. The kernels are compiled by Numba where it
is installed (imported at the first use, not before) and plain NumPy elsewhere, with equal results.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_packed
from facehash.hamming.words import CodeWords, word_rows

Engine = Literal["auto", "numba", "numpy"]
Counts = NDArray[np.int64]

# Queries that a thread takes at least, where there are enough: they share the reading of memory.
_TOGETHER = 32
# Items from which on a few queries are worth more than one thread each.
_LARGE = 1 << 20

_logger = logging.getLogger(__name__)


class Histograms(NamedTuple):
    """How many gallery items lie at each distance from each query.

    Attributes:
        all_counts: int64 (q, bits + 1), gallery items at distance 0..bits.
        relevant: int64 (q, bits + 1), those among them with the query's identity.
    """

    all_counts: Counts
    relevant: Counts


class Nearest(NamedTuple):
    """The nearest gallery items of each query, nearest first.

    Attributes:
        indices: int64 (q, k), gallery indices; ties in increasing order.
        distances: int64 (q, k), their Hamming distances.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.int64]


def distance_histograms(
    gallery: Packed,
    query: Packed,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    threads: int | None = None,
    engine: Engine = "auto",
) -> Histograms:
    """Count, for each query, the gallery items and the relevant ones at each distance.

    Args:
        gallery: uint8 (n, ceil(bits / 8)), packed codes.
        query: uint8 (q, ceil(bits / 8)), packed codes.
        gallery_labels: Integers (n,), the identity of each gallery item.
        query_labels: Integers (q,); an item is relevant when its label equals the query's.
        bits: Length of a code, 1 to 1,024.
        threads: Threads to run on, by default the processors this process may use.
        engine: ``"auto"`` takes Numba where it is installed; the other two insist.

    Returns:
        The two histograms, from which all metrics follow.

    Raises:
        CodesError: Codes or labels of the wrong shape, dtype or padding.
    """
    gallery = check_packed(gallery, bits, "gallery codes")
    query = check_packed(query, bits, "query codes")
    of_gallery = check_labels(gallery_labels, len(gallery), "gallery")
    of_query = check_labels(query_labels, len(query), "query")
    # Sorted by identity, the relevant items of any query are one slice of the gallery.
    order = np.argsort(of_gallery, kind="stable")
    ordered = of_gallery[order]
    slices = np.stack(
        [np.searchsorted(ordered, of_query, side) for side in ("left", "right")], axis=1
    ).astype(np.int64)
    gallery_words = word_rows(gallery[order]).T.copy()
    query_words = word_rows(query)
    all_counts = np.zeros((len(query), bits + 1), dtype=np.int64)
    relevant = np.zeros_like(all_counts)
    kernels = _kernels(engine)

    def work(rows: slice) -> None:
        kernels.count_distances(
            gallery_words, query_words[rows], slices[rows], all_counts[rows], relevant[rows]
        )

    _run(work, len(query), _check_threads(threads))
    return Histograms(all_counts, relevant)


def top_k(
    gallery: Packed | CodeWords,
    query: Packed,
    bits: int,
    k: int,
    *,
    threads: int | None = None,
    engine: Engine = "auto",
) -> Nearest:
    """Find the k nearest gallery items of each query, exactly; ties go by gallery index.

    Args:
        gallery: uint8 (n, ceil(bits / 8)), packed codes; or the same as `CodeWords`, which whoever
            asks more than once makes once.
        query: uint8 (q, ceil(bits / 8)), packed codes.
        bits: Length of a code, 1 to 1,024.
        k: How many to find, at least 1; a smaller gallery is returned whole.
        threads: Threads to run on, by default the processors this process may use.
        engine: ``"auto"`` takes Numba where it is installed; the other two insist.

    Returns:
        Indices and distances, each int64 (q, min(k, n)).

    Raises:
        CodesError: Codes of the wrong shape, dtype or padding, or k below 1.
    """
    if not isinstance(gallery, CodeWords):
        gallery = CodeWords.of(gallery, bits, "gallery codes")
    elif gallery.bits != bits:
        raise CodesError(f"the gallery's codes are of {gallery.bits} bits, not {bits}")
    query = check_packed(query, bits, "query codes")
    if k < 1:
        raise CodesError(f"k must be at least 1, got {k}")
    threads = _check_threads(threads)
    size, k = len(gallery), min(k, len(gallery))
    words, query_words, kernels = gallery.words, word_rows(query), _kernels(engine)

    def find(first: int, last: int) -> Nearest:
        shape = (len(query), min(k, last - first))
        nearest = Nearest(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))

        def work(rows: slice) -> None:
            kernels.find_nearest(words, first, last, query_words[rows], bits, *_cut(nearest, rows))

        _run(work, len(query) if k else 0, threads if last - first == size else 1)
        return nearest

    if threads == 1 or len(query) >= threads or size < _LARGE:
        return find(0, size)
    # Fewer queries than threads: each thread takes a part of the gallery instead.
    edges = np.linspace(0, size, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(find, edges[:-1], edges[1:])
        indices, distances = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    # The parts are in the gallery's order, which a stable sort keeps among equally far items.
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Nearest(*(np.take_along_axis(side, order, axis=1) for side in (indices, distances)))


def check_labels(labels: ArrayLike, length: int, role: str) -> NDArray[np.int64]:
    """Return labels as int64 (length,), or refuse them.

    Raises:
        CodesError: Not integers, or not one a code.
    """
    array = np.asarray(labels)
    if array.shape != (length,):
        raise CodesError(
            f"{role} labels must have shape ({length},), one a code, got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise CodesError(f"{role} labels must be integers, got dtype {array.dtype}")
    return array.astype(np.int64)


def _cut(nearest: Nearest, rows: slice) -> Nearest:
    return Nearest(nearest.indices[rows], nearest.distances[rows])


def _check_threads(threads: int | None) -> int:
    if threads is None:
        return _available()
    if threads < 1:
        raise CodesError(f"threads must be at least 1, got {threads}")
    return threads


def _run(work: Callable[[slice], None], rows: int, threads: int) -> None:
    """Call `work` on slices of rows, on so many threads."""
    # A few slices a thread: one that is held up by another program does not hold up the rest.
    step = max(1, -(-rows // (8 * threads)), min(_TOGETHER, -(-rows // threads)))
    parts = [slice(start, start + step) for start in range(0, rows, step)]
    if threads == 1 or len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, parts):
            pass


def _available() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _kernels(engine: Engine) -> ModuleType:
    """Import the kernels of an engine."""
    if engine not in ("auto", "numba", "numpy"):
        raise CodesError(f"engine must be auto, numba or numpy, got {engine!r}")
    if engine != "numpy":
        try:
            return importlib.import_module("facehash.hamming.kernels_numba")
        except ImportError as error:
            if engine == "numba":
                raise
            _logger.warning("Numba cannot be used (%s); the slower NumPy kernels are", error)
    return importlib.import_module("facehash.hamming.kernels_numpy")
