"""The evaluation that was published with DDH and DCBH, repeated with its peculiarity.

The released code packs codes of {-1, +1} by a packer meant for {0, 1} before it counts differing
bits. Its Hamming distance is thereby weighted: the last bit of every full byte has weight 0, in a
last byte of k < 8 bits the top bit has weight 8 - k, and every other bit has weight 1. What it
calls 48 bits are 42. Numbers from here compare with theirs, and with nothing else.

A code in which a bit of weight w is repeated w times has those distances as its plain Hamming
distances, so the kernels of `facehash.retrieval` do all of the work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import Packed, bits_from_packed, check_length, packed_from_bits
from facehash.hamming.search import check_labels, distance_histograms, top_k
from facehash.retrieval import metrics
from facehash.retrieval.evaluation import FIRST, RADIUS

# Rankings (int64, the whole gallery each) held at a time: 64 of 63,800 items are 33 MB.
_CELLS = 2**22


def bit_weights(bits: int) -> NDArray[np.int64]:
    """Return the weight of each bit in the authors' distance, int64 (bits,).

    Args:
        bits: Length of a code, 1 to 1,024.

    Returns:
        Weights that add up to 7 for every byte begun.
    """
    weights = np.ones(check_length(bits), dtype=np.int64)
    weights[7::8] = 0
    if bits % 8:
        weights[-1] = 8 - bits % 8
    return weights


def expand(packed: Packed, bits: int) -> tuple[Packed, int]:
    """Repeat each bit as often as the authors count it.

    Args:
        packed: uint8 (n, ceil(bits / 8)), packed codes.
        bits: Length of a code, 1 to 1,024.

    Returns:
        Packed codes whose Hamming distances are the authors', and their length.
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
    threads: int | None = None,
) -> dict[str, float]:
    """Score codes as the authors' released evaluation does.

    Its mAP and P@50 depend on how ties are ordered; for definiteness they go by gallery index (a
    stable sort), where the released code uses whatever order its sort leaves.

    Args:
        gallery_codes: uint8 (n, ceil(bits / 8)), packed.
        query_codes: uint8 (q, ceil(bits / 8)), packed.
        gallery_labels: Integers (n,), identities.
        query_labels: Integers (q,), identities; each with at least one gallery item.
        bits: Length of a code, 1 to 1,024.
        threads: Threads to run on, by default the processors this process may use.

    Returns:
        ``mAP``, ``P@r2``, ``R@r2`` and ``P@50``, means over queries.

    Raises:
        CodesError: Codes or labels of the wrong shape or dtype, or a query without any relevant
            gallery item.
    """
    of_gallery = check_labels(gallery_labels, len(gallery_codes), "gallery")
    of_query = check_labels(query_labels, len(query_codes), "query")
    gallery, length = expand(gallery_codes, bits)
    query, _ = expand(query_codes, bits)
    all_counts, relevant = distance_histograms(
        gallery, query, of_gallery, of_query, length, threads=threads
    )
    recall = metrics.recall_at_radius(relevant, RADIUS)
    ap = np.empty(len(query))
    hits = np.empty(len(query))
    step = max(1, _CELLS // len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, start + step)
        ranking = top_k(gallery, query[rows], length, len(gallery), threads=threads).indices
        right = of_gallery[ranking] == of_query[rows, None]
        ap[rows] = _average_precision(right)
        hits[rows] = right[:, :FIRST].sum(axis=1)
    return {
        "mAP": float(ap.mean()),
        f"P@r{RADIUS}": float(metrics.precision_at_radius(all_counts, relevant, RADIUS).mean()),
        f"R@r{RADIUS}": float(recall.mean()),
        f"P@{FIRST}": float(hits.mean() / FIRST),
    }


def _average_precision(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of rankings (q, n) that are right or wrong at each rank."""
    row, rank = np.nonzero(right)
    total = np.bincount(row, minlength=len(right))
    # The hits of a row follow each other in order of rank: number them 1, 2, ...
    number = np.arange(len(row)) - np.repeat(np.cumsum(total) - total, total) + 1
    return np.bincount(row, weights=number / (rank + 1), minlength=len(right)) / total
