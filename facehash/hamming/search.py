"""Hamming distances between packed codes: histograms, and the nearest items.

No function holds a (queries, gallery) matrix. The kernels are compiled by Numba if it is installed
(it is imported at first use) and are plain NumPy otherwise, with equal results.
"""

import functools
import importlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_packed
from facehash.hamming.labels import check_label_pair, label_words
from facehash.hamming.words import CodeWords, word_rows

Engine = Literal["auto", "numba", "numpy"]
Counts = NDArray[np.int64]

_TOGETHER = 32  # smallest number of queries per slice: they share one pass over memory
_LARGE = 1 << 20  # gallery items from which on threads share one query

_logger = logging.getLogger(__name__)


class Histograms(NamedTuple):
    """Number of gallery items at each distance 0..bits from each query."""

    all_counts: Counts  # int64 (q, bits + 1)
    relevant: Counts  # int64 (q, bits + 1), only items with the identity or a label of the query


class Nearest(NamedTuple):
    """The nearest gallery items of each query, nearest first, ties by index."""

    indices: NDArray[np.int64]  # (q, k), gallery indices
    distances: NDArray[np.int64]  # (q, k), Hamming distances


def distance_histograms(
    gallery: Packed,
    query: Packed,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    leave_one_out: bool = False,
    threads: int | None = None,
    engine: Engine = "auto",
) -> Histograms:
    """Count the gallery items, and the relevant ones, at each distance from each query.

    All metrics of `facehash.retrieval` follow from these two histograms, for every kind of labels
    and with or without `leave_one_out`.

    Args:
        gallery: uint8 (n, ceil(bits / 8)), packed codes.
        query: uint8 (q, ceil(bits / 8)), packed codes.
        gallery_labels: Integers (n,), identities; or bool (n, L), label sets with L >= 2.
        query_labels: Integers (q,) or bool (q, L). An item is relevant if its identity equals the
            query's, or if their label sets share a label.
        bits: Length of a code, 1 to 1,024.
        leave_one_out: Whether each query is itself an item of the gallery, which is not counted.
            An item has distance 0 from itself and is relevant to itself if it has a label, so both
            counts at distance 0 are one smaller, and each query has n - 1 items.
        threads: Number of threads; default: the processors this process may use.
        engine: ``"auto"`` uses Numba if it is installed; the other two are mandatory.

    Returns:
        Two int64 arrays (q, bits + 1).

    Raises:
        CodesError: Codes or labels with a wrong shape, dtype or padding.

    Example:
        >>> gallery, query = np.uint8([[0b00], [0b11], [0b01]]), np.uint8([[0b00]])
        >>> distance_histograms(gallery, query, [7, 7, 8], [7], bits=2)
        Histograms(all_counts=array([[1, 1, 1]]), relevant=array([[1, 0, 1]]))
    """
    gallery = check_packed(gallery, bits, "gallery codes")
    query = check_packed(query, bits, "query codes")
    of_gallery, of_query = check_label_pair(gallery_labels, query_labels, len(gallery), len(query))
    kernels, query_words = _kernels(engine), word_rows(query)  # (q, words)
    all_counts = np.zeros((len(query), bits + 1), dtype=np.int64)
    relevant = np.zeros_like(all_counts)
    if of_gallery.ndim == 2:
        gallery_words = word_rows(gallery).T.copy()  # (words, n)
        gallery_sets, query_sets = label_words(of_gallery).T.copy(), label_words(of_query)

        def work(rows: slice) -> None:
            kernels.count_sharing(
                gallery_words, query_words[rows], gallery_sets, query_sets[rows],
                all_counts[rows], relevant[rows],
            )  # fmt: skip

    else:
        # Sorted by identity, the relevant items of a query are one slice of the gallery.
        order = np.argsort(of_gallery, kind="stable")
        ordered = of_gallery[order]
        slices = np.stack(
            [np.searchsorted(ordered, of_query, side) for side in ("left", "right")], axis=1
        ).astype(np.int64)  # (q, 2)
        gallery_words = word_rows(gallery[order]).T.copy()

        def work(rows: slice) -> None:
            kernels.count_distances(
                gallery_words, query_words[rows], slices[rows], all_counts[rows], relevant[rows]
            )

    _run(work, len(query), thread_count(threads))
    if leave_one_out:
        all_counts[:, 0] -= 1
        relevant[:, 0] -= 1 if of_query.ndim == 1 else of_query.any(axis=1)
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
    """Find the k nearest gallery items of each query, exactly; ties in gallery order.

    Args:
        gallery: uint8 (n, ceil(bits / 8)), packed codes; or `CodeWords`, which are converted once
            for any number of calls.
        query: uint8 (q, ceil(bits / 8)), packed codes.
        bits: Length of a code, 1 to 1,024.
        k: Number of items, at least 1; a smaller gallery is returned whole.
        threads: Number of threads; default: the processors this process may use.
        engine: ``"auto"`` uses Numba if it is installed; the other two are mandatory.

    Returns:
        Indices and distances, int64 (q, min(k, n)) each.

    Raises:
        CodesError: Codes with a wrong shape, dtype or padding, or k below 1.

    Example:
        >>> gallery, query = np.uint8([[0b00], [0b11], [0b01]]), np.uint8([[0b00]])
        >>> top_k(gallery, query, bits=2, k=2)
        Nearest(indices=array([[0, 2]]), distances=array([[0, 1]]))
    """
    if not isinstance(gallery, CodeWords):
        gallery = CodeWords.of(gallery, bits, "gallery codes")
    elif gallery.bits != bits:
        raise CodesError(f"the gallery has codes of {gallery.bits} bits, not {bits}")
    query = check_packed(query, bits, "query codes")
    if k < 1:
        raise CodesError(f"k must be at least 1, got {k}")
    words, query_words, kernels = gallery.words, word_rows(query), _kernels(engine)

    def find(
        first: int,
        last: int,
        rows: slice,
        indices: NDArray[np.int64],
        distances: NDArray[np.int64],
    ) -> None:
        kernels.find_nearest(words, first, last, query_words[rows], bits, indices, distances)

    return Nearest(*find_in_threads(find, len(gallery), len(query), k, threads, np.int64))


def find_in_threads(
    find: Callable[..., None],
    size: int,
    queries: int,
    k: int,
    threads: int | None,
    dtype: type[np.int64] | type[np.float64],
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Find the k nearest items of each query with a kernel, in several threads.

    Args:
        find: Called with (first, last, rows, indices, distances): fills the last two, (len(rows),
            min(k, last - first)), for a slice of the queries and items first..last - 1, nearest
            first, ties in gallery order.
        size: Number of gallery items.
        queries: Number of queries.
        k: Number of items to find, at least 1.
        threads: Number of threads; default: the processors this process may use.
        dtype: Of the distances.

    Returns:
        Indices int64 (q, min(k, size)) and distances.

    Raises:
        CodesError: `threads` is below 1.
    """
    threads, k = thread_count(threads), min(k, size)

    def find_part(first: int, last: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        shape = (queries, min(k, last - first))
        indices, distances = np.zeros(shape, np.int64), np.zeros(shape, dtype)

        def work(rows: slice) -> None:
            find(first, last, rows, indices[rows], distances[rows])

        _run(work, queries if k else 0, threads if last - first == size else 1)
        return indices, distances

    if threads == 1 or queries >= threads or size < _LARGE:
        return find_part(0, size)
    # Fewer queries than threads: each thread searches a part of the gallery.
    edges = np.linspace(0, size, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(find_part, edges[:-1], edges[1:])
        indices, distances = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    # Parts (q, k of each part) are in gallery order, which a stable sort keeps among ties.
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)


def thread_count(threads: int | None) -> int:
    """Return the given number of threads, or by default that of the processors of this process.

    Raises:
        CodesError: It is below 1.
    """
    if threads is None and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    if threads is None:
        return os.cpu_count() or 1
    if threads < 1:
        raise CodesError(f"threads must be at least 1, got {threads}")
    return threads


def _run(work: Callable[[slice], None], rows: int, threads: int) -> None:
    """Call `work` on slices of the rows in several threads."""
    # A few slices per thread: a thread that the system delays does not delay the rest.
    step = max(1, -(-rows // (8 * threads)), min(_TOGETHER, -(-rows // threads)))
    parts = [slice(start, start + step) for start in range(0, rows, step)]
    if threads == 1 or len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, parts):
            pass


def _kernels(engine: Engine) -> ModuleType:
    return load_kernels(engine, "kernels_numba", "kernels_numpy")


@functools.cache
def load_kernels(engine: Engine, compiled: str, plain: str) -> ModuleType:
    """Import one of two modules of this package with the same functions, as `engine` says.

    Args:
        engine: ``"auto"`` uses Numba if it is installed; the other two are mandatory.
        compiled: Name of the module with Numba kernels.
        plain: Name of the module with NumPy kernels.

    Raises:
        CodesError: An unknown engine.
    """
    if engine not in ("auto", "numba", "numpy"):
        raise CodesError(f"engine must be auto, numba or numpy, got {engine!r}")
    if engine != "numpy":
        try:
            return importlib.import_module(f"facehash.hamming.{compiled}")
        except ImportError as error:
            if engine == "numba":
                raise
            _logger.warning("Numba cannot be used (%s); using the slower NumPy kernels", error)
    return importlib.import_module(f"facehash.hamming.{plain}")
