"""Selects the queries of a retrieval grid: an even spread, not a favorable choice."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.labels import relevance
from facehash.hamming.search import top_k
from facehash.retrieval.codes_file import CodeSet
from facehash.retrieval.ties import Values


class Examples(NamedTuple):
    """Queries with their nearest gallery items."""

    queries: NDArray[np.int64]  # (rows,), query indices
    found: NDArray[np.int64]  # (rows, columns), gallery indices, nearest first, ties by index
    distances: NDArray[np.int64]  # (rows, columns), their Hamming distances
    right: NDArray[np.bool_]  # (rows, columns), whether an item is relevant


def spread_examples(
    codes: CodeSet, average_precision: Values, rows: int = 8, columns: int = 10
) -> Examples:
    """Select queries at even steps from the best to the worst average precision.

    Args:
        codes: The codes that were scored.
        average_precision: float64 (q,), the score of each query (``per_query["mAP"]``).
        rows: Number of queries; if there are fewer, all are selected.
        columns: Number of gallery items per query; at most all, or with leave-one-out all others.

    Raises:
        CodesError: The number of scores differs from the number of queries.
    """
    if average_precision.shape != (len(codes.query_codes),):
        raise CodesError(
            f"expected one average precision per query, got {average_precision.shape} for "
            f"{len(codes.query_codes)} queries"
        )
    ranking = np.argsort(-average_precision, kind="stable")
    steps = np.linspace(0, len(ranking) - 1, min(rows, len(ranking)))
    queries = ranking[np.round(steps).astype(np.int64)]
    wanted = columns + codes.leave_one_out
    found, distances = top_k(
        codes.gallery_codes, codes.query_codes[queries], codes.bits, wanted, threads=1
    )
    if codes.leave_one_out:
        # The query is missing only where more equal codes precede it; then the last item goes.
        others = found != queries[:, None]
        others[others.all(axis=1), -1] = False
        found, distances = (part[others].reshape(len(queries), -1) for part in (found, distances))
    right = np.take_along_axis(
        relevance(codes.gallery_labels, codes.query_labels[queries]), found, axis=1
    )
    return Examples(queries, found, distances, right)
