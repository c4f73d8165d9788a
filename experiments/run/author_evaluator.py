"""The evaluation published with DDH and DCBH, reproduced with its weighted bits.

The released code packs codes of {-1, +1} with a packer meant for {0, 1} before it counts differing
bits. This weights the Hamming distance: the last bit of every full byte has weight 0, in a last
byte of k < 8 bits the top bit has weight 8 - k, and every other bit has weight 1. Its 48 bits are
in effect 42. These numbers are comparable with the papers only.

Repeating a bit of weight w w times turns the weighted distances into plain Hamming distances, so
the kernels of `facehash.hamming` compute them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import Packed, bits_from_packed, check_length, packed_from_bits
from facehash.hamming.labels import (
    check_findable,
    check_label_pair,
    check_leave_one_out,
    relevance,
)
from facehash.hamming.search import distance_histograms, top_k
from facehash.retrieval import metrics
from facehash.retrieval.evaluation import FIRST, RADIUS

# Entries of the rankings held at a time: 64 rankings of 63,800 items (int64) take 33 MB.
_CELLS = 2**22


def bit_weights(bits: int) -> NDArray[np.int64]:
    """Return the weight of each bit in the authors' distance, int64 (bits,).

    The weights add up to 7 per byte, also in a partial last byte.
    """
    weights = np.ones(check_length(bits), dtype=np.int64)
    weights[7::8] = 0
    if bits % 8:
        weights[-1] = 8 - bits % 8
    return weights


def expand(packed: Packed, bits: int) -> tuple[Packed, int]:
    """Repeat each bit of packed codes (n, ceil(bits / 8)) as often as the authors count it.

    Returns:
        Packed codes whose plain Hamming distances equal the authors', and their length in bits.
    """
    repeated = np.repeat(bits_from_packed(packed, bits), bit_weights(bits), axis=1)
    return packed_from_bits(repeated), repeated.shape[1]


def metrics_author(
    gallery_codes: Packed,
    query_codes: Packed,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    leave_one_out: bool = False,
    threads: int | None = None,
) -> dict[str, float]:
    """Score codes as the authors' released evaluation does.

    Its mAP and P@50 depend on the order of ties. Here ties are ordered by gallery index (a stable
    sort); the released code leaves the order to its sort.

    Args:
        gallery_codes: uint8 (n, ceil(bits / 8)), packed.
        query_codes: uint8 (q, ceil(bits / 8)), packed.
        gallery_labels: Integers (n,), identities; or bool (n, L), label sets.
        query_labels: Integers (q,) or bool (q, L); each query has a relevant gallery item.
        bits: Length of a code, 1 to 1,024.
        leave_one_out: Whether the queries are the gallery, in the same order; they do not find
            themselves. The released code has no such mode.
        threads: Number of threads. Default: the processors available to this process.

    Returns:
        ``mAP``, ``P@r2``, ``R@r2`` and ``P@50``, means over queries.

    Raises:
        CodesError: Codes or labels have the wrong shape or dtype, a query has no relevant gallery
            item, or `leave_one_out` with queries other than the gallery.
    """
    of_gallery, of_query = check_label_pair(
        gallery_labels, query_labels, len(gallery_codes), len(query_codes)
    )
    if leave_one_out:
        check_leave_one_out(gallery_codes, query_codes, of_gallery, of_query)
    check_findable(of_gallery, of_query, leave_one_out)
    gallery, length = expand(gallery_codes, bits)
    query, _ = expand(query_codes, bits)
    all_counts, relevant = distance_histograms(
        gallery, query, of_gallery, of_query, length, leave_one_out=leave_one_out, threads=threads
    )
    recall = metrics.recall_at_radius(relevant, RADIUS)
    ap, hits = np.empty((2, len(query)))
    step = max(1, _CELLS // len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, start + step)
        ranking = top_k(gallery, query[rows], length, len(gallery), threads=threads).indices
        if leave_one_out:
            others = ranking != np.arange(len(query))[rows, None]
            ranking = ranking[others].reshape(len(ranking), -1)  # (block, n - 1)
        right = np.take_along_axis(relevance(of_gallery, of_query[rows]), ranking, axis=1)
        ap[rows] = _average_precision(right)
        hits[rows] = right[:, :FIRST].sum(axis=1)
    return {
        "mAP": float(ap.mean()),
        f"P@r{RADIUS}": float(metrics.precision_at_radius(all_counts, relevant, RADIUS).mean()),
        f"R@r{RADIUS}": float(recall.mean()),
        f"P@{FIRST}": float(hits.mean() / FIRST),
    }


def _average_precision(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the average precision of rankings, given as bool (q, n): relevant at each rank?"""
    row, rank = np.nonzero(right)
    total = np.bincount(row, minlength=len(right))
    # The hits of each row come in order of rank: number them 1, 2, ...
    number = np.arange(len(row)) - np.repeat(np.cumsum(total) - total, total) + 1
    return np.bincount(row, weights=number / (rank + 1), minlength=len(right)) / total
