"""Selects the queries of a retrieval grid: an even spread, not a favorable choice."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.codes import CodesError
from facehash.hamming.search import top_k
from facehash.retrieval.codes_file import CodeSet
from facehash.retrieval.ties import Values


class Examples(NamedTuple):
    """Queries with their nearest gallery items."""

    queries: NDArray[np.int64]  # (rows,), query indices
    found: NDArray[np.int64]  # (rows, columns), gallery indices, nearest first, ties by index
    distances: NDArray[np.int64]  # (rows, columns), their Hamming distances
    right: NDArray[np.bool_]  # (rows, columns), whether an item has the query's identity


def spread_examples(
    codes: CodeSet, average_precision: Values, rows: int = 8, columns: int = 10
) -> Examples:
    """Select queries at even steps from the best to the worst average precision.

    Args:
        codes: The codes that were scored.
        average_precision: float64 (q,), the score of each query (``per_query["mAP"]``).
        rows: Number of queries; if there are fewer, all are selected.
        columns: Number of gallery items per query; at most all.

    Raises:
        CodesError: The number of scores differs from the number of queries.
    """
    if average_precision.shape != codes.query_labels.shape:
        raise CodesError(
            f"expected one average precision per query, got {average_precision.shape} for "
            f"{codes.query_labels.shape}"
        )
    ranking = np.argsort(-average_precision, kind="stable")
    steps = np.linspace(0, len(ranking) - 1, min(rows, len(ranking)))
    queries = ranking[np.round(steps).astype(np.int64)]
    found, distances = top_k(
        codes.gallery_codes, codes.query_codes[queries], codes.bits, columns, threads=1
    )
    right = codes.gallery_labels[found] == codes.query_labels[queries, None]
    return Examples(queries, found, distances, right)
