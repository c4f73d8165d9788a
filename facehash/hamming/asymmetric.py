"""Asymmetric distances: the float projections of a query against the stored bits of a gallery.

A hasher projects a vector to p (bits,) and stores its signs s. A stored code keeps only the signs,
but a query can keep p: a bit that is nearly 0 may as well have been the other one, and counts
little. The similarity ``sum_j p_j s_j`` orders the gallery. Here it is given as a distance,

    distance = sum of |p_j| over the bits j where s_j differs from the sign of p_j
             = (sum_j |p_j| - sum_j p_j s_j) / 2,

0 if all signs agree. With each p_j divided by its mean absolute value over the training vectors,
an average bit weighs 1, and if all |p_j| are 1 the distance is the Hamming distance.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length, packed_from_signs, sign
from facehash.hamming.search import Engine, find_in_threads, load_kernels
from facehash.hamming.words import CodeWords, word_rows


class AsymmetricNearest(NamedTuple):
    """The nearest gallery items of each query, nearest first, ties by index."""

    indices: NDArray[np.int64]  # (q, k), gallery indices
    distances: NDArray[np.float64]  # (q, k), asymmetric distances


def asymmetric_top_k(
    gallery: Packed | CodeWords,
    projections: ArrayLike,
    bits: int,
    k: int,
    *,
    threads: int | None = None,
    engine: Engine = "auto",
) -> AsymmetricNearest:
    """Find the k nearest gallery items of each query, exactly; ties in gallery order.

    Distances are sums in float64, first bit first, so that they equal those of a plain loop.

    Args:
        gallery: uint8 (n, ceil(bits / 8)), packed codes; or `CodeWords`, which are converted once
            for any number of calls.
        projections: Finite real numbers (q, bits); they are rounded to float32.
        bits: Length of a code, 1 to 1,024.
        k: Number of items, at least 1; a smaller gallery is returned whole.
        threads: Number of threads; default: the processors this process may use.
        engine: ``"auto"`` uses Numba if it is installed; the other two are mandatory.

    Returns:
        Indices int64 (q, min(k, n)), and distances float64 (q, min(k, n)).

    Raises:
        CodesError: Codes with a wrong shape, dtype or padding, projections with a wrong shape or
            values that are not finite, or k below 1.

    Example:
        >>> gallery = np.uint8([[0b00], [0b11], [0b01]])
        >>> asymmetric_top_k(gallery, [[-2.0, 0.5]], bits=2, k=2)
        AsymmetricNearest(indices=array([[0, 1]]), distances=array([[0.5, 2. ]]))
    """
    if not isinstance(gallery, CodeWords):
        gallery = CodeWords.of(gallery, bits, "gallery codes")
    elif gallery.bits != bits:
        raise CodesError(f"the gallery has codes of {gallery.bits} bits, not {bits}")
    values = check_projections(projections, bits)
    if k < 1:
        raise CodesError(f"k must be at least 1, got {k}")
    words, weights = gallery.words, np.abs(values.astype(np.float64))  # (words, n), (q, bits)
    query = word_rows(packed_from_signs(sign(values)))  # (q, words)
    kernels = load_kernels(engine, "asymmetric_numba", "asymmetric_numpy")

    def find(
        first: int,
        last: int,
        rows: slice,
        indices: NDArray[np.int64],
        distances: NDArray[np.float64],
    ) -> None:
        kernels.find_nearest(words, first, last, query[rows], weights[rows], indices, distances)

    found = find_in_threads(find, len(gallery), len(query), k, threads, np.float64)
    return AsymmetricNearest(*found)


def weight_shares(projections: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Divide projections (q, bits) by the sum of their absolute values; zeros stay.

    With signs s of a code, ``1 - sum_j share_j s_j`` is comparable between queries.
    """
    total = np.abs(projections).sum(axis=1, keepdims=True, dtype=np.float64)  # (q, 1)
    return np.asarray(projections / np.where(total > 0, total, 1))


def check_projections(
    projections: ArrayLike, bits: int, name: str = "projections"
) -> NDArray[np.float32]:
    """Return projections as float32 (q, bits).

    Args:
        projections: Finite real numbers (q, bits).
        bits: Length of a code, 1 to 1,024.
        name: Name of the array in error messages.

    Raises:
        CodesError: Another shape or dtype, or values that are not finite in float32.
    """
    check_length(bits)
    array = np.asarray(projections)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != bits:
        raise CodesError(
            f"{name} must be real numbers (q, {bits}), got {array.dtype} {array.shape}"
        )
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        values = np.ascontiguousarray(array, dtype=np.float32)
    broken = ~np.isfinite(values).all(axis=1)
    if broken.any():
        raise CodesError(
            f"{name} contain values that are not finite in float32 (row {int(np.argmax(broken))})"
        )
    return values
