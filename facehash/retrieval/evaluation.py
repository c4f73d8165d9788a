"""Score codes: from packed codes and labels to every number and curve of a report."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facehash.codes import CodesError, Packed, check_length
from facehash.hamming.labels import check_findable, check_label_pair, check_leave_one_out
from facehash.hamming.search import Engine, Histograms, distance_histograms, thread_count
from facehash.retrieval import curves, metrics
from facehash.retrieval.ties import Values
from facehash.retrieval.truncated import DENOMINATORS, average_precision_at
from facehash.retrieval.verification import Pairs, add_pairs, no_pairs

RADIUS = 2  # of P@r2, R@r2 and empty@r2
FIRST = 50  # of P@50
CELLS = 2**20  # histogram cells of queries that are counted at once, which bounds the memory
SCORED = 2**16  # cells that a thread scores at once: the arrays stay in its cache


@dataclass(frozen=True)
class Evaluation:
    """All scores of one set of codes.

    `metrics` are means over queries: mAP, mAP_lower, mAP_upper, P@r2, R@r2, empty@r2, P@50 and
    R-precision, then mAP@K/relevant, mAP@K/min and mAP@K/found for each K asked for. `curves` are
    ``precision_recall`` ("radius", "recall", "precision") and ``precision_at`` ("n", "precision").
    Distances count the pairs of a query and a gallery item, without those of a query and itself.
    """

    bits: int
    metrics: dict[str, float]
    curves: dict[str, dict[str, list[Any]]]
    per_query: dict[str, Values]  # (q,) for each key of `metrics`
    same_distances: NDArray[np.int64]  # (bits + 1,), relevant pairs: same identity, or a label
    different_distances: NDArray[np.int64]  # (bits + 1,), the other pairs
    # The same by person of the query, or by its label set, for `verification.verify_pairs`.
    pairs: Pairs


class _Block(NamedTuple):
    """Scores of a block of queries; the curves are means over the block."""

    per_query: dict[str, Values]  # (block,) each
    recall: Values  # (bits + 1,), within each radius
    precision: Values  # (bits + 1,)
    precision_at: Values  # (points,)


def evaluate(
    gallery_codes: Packed,
    query_codes: Packed,
    gallery_labels: ArrayLike,
    query_labels: ArrayLike,
    bits: int,
    *,
    at: Sequence[int] = (),
    leave_one_out: bool = False,
    threads: int | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Score packed codes by all metrics and curves of a report.

    Args:
        gallery_codes: uint8 (n, ceil(bits / 8)), packed.
        query_codes: uint8 (q, ceil(bits / 8)), packed.
        gallery_labels: Integers (n,), identities; or bool (n, L), label sets with L >= 2.
        query_labels: Integers (q,) or bool (q, L). An item is relevant if it has the query's
            identity, or if it shares a label with the query.
        bits: Length of a code, 1 to 1,024.
        at: Values of K for mAP@K, each at least 1.
        leave_one_out: Whether the queries are the gallery, in the same order. Each query then
            searches the other n - 1 items and never finds itself.
        threads: Number of threads; default: the processors this process may use.
        engine: Hamming kernels, see `facehash.hamming.search`.

    Raises:
        CodesError: No query, no gallery, codes or labels with a wrong shape or dtype, a query
            without relevant items, or `leave_one_out` with queries other than the gallery.

    Example:
        >>> gallery, query = np.uint8([[0b00], [0b11], [0b01]]), np.uint8([[0b00]])
        >>> evaluate(gallery, query, [7, 7, 8], [7], bits=2).metrics["R-precision"]
        0.5
    """
    if len(gallery_codes) == 0 or len(query_codes) == 0:
        raise CodesError(
            f"nothing to score: {len(gallery_codes)} gallery and {len(query_codes)} query codes"
        )
    of_gallery, of_query = check_label_pair(
        gallery_labels, query_labels, len(gallery_codes), len(query_codes)
    )
    if leave_one_out:
        check_leave_one_out(gallery_codes, query_codes, of_gallery, of_query)
    check_findable(of_gallery, of_query, leave_one_out)
    people, person = np.unique(of_query, axis=0, return_inverse=True)
    person = person.reshape(-1)  # NumPy 2.0.0 returns a column
    options: Any = {"leave_one_out": leave_one_out, "threads": threads, "engine": engine}
    step, scored = (max(1, cells // (check_length(bits) + 1)) for cells in (CELLS, SCORED))
    blocks: list[_Block] = []
    pairs = no_pairs(len(people), bits)
    with ThreadPoolExecutor(thread_count(threads)) as pool:
        for start in range(0, len(query_codes), step):
            rows = slice(start, start + step)
            arrays = (gallery_codes, query_codes[rows], of_gallery, of_query[rows])
            histograms = distance_histograms(*arrays, bits, **options)
            parts = _divide(histograms, scored)
            found = pool.map(_score, parts, [at] * len(parts))
            add_pairs(pairs, histograms, person[rows])
            blocks += found
    per_query = {
        name: np.concatenate([block.per_query[name] for block in blocks])
        for name in blocks[0].per_query
    }
    shares = np.array([len(block.per_query["mAP"]) for block in blocks]) / len(of_query)
    recall, precision, precision_at = (
        (shares @ np.array([block[part] for block in blocks])).tolist() for part in (1, 2, 3)
    )
    radius, n = list(range(bits + 1)), list(range(1, len(precision_at) + 1))
    return Evaluation(
        bits=int(bits),
        metrics={name: float(values.mean()) for name, values in per_query.items()},
        curves={
            "precision_recall": {"radius": radius, "recall": recall, "precision": precision},
            "precision_at": {"n": n, "precision": precision_at},
        },
        per_query=per_query,
        same_distances=pairs.genuine.sum(axis=0),
        different_distances=pairs.impostor.sum(axis=0),
        pairs=pairs,
    )


def at_names(at: Sequence[int]) -> list[str]:
    """Return the names of the metrics for each K, such as ``mAP@50/relevant``."""
    return [f"mAP@{k}/{denominator}" for k in at for denominator in DENOMINATORS]


def scores_at(histograms: Histograms, at: Sequence[int]) -> dict[str, Values]:
    """Return AP@K of each query, float64 (q,), by the names of `at_names`."""
    values = [average_precision_at(*histograms, k, d) for k in at for d in DENOMINATORS]
    return dict(zip(at_names(at), values, strict=True))


def _divide(histograms: Histograms, rows: int) -> list[Histograms]:
    """Divide the queries into parts of so many rows."""
    return [
        Histograms(*(counts[first : first + rows] for counts in histograms))
        for first in range(0, len(histograms.relevant), rows)
    ]


def _score(histograms: Histograms, at: Sequence[int]) -> _Block:
    all_counts, relevant = histograms
    ap = metrics.average_precision(all_counts, relevant)
    per_query = {
        "mAP": ap.expected,
        "mAP_lower": ap.lower,
        "mAP_upper": ap.upper,
        f"P@r{RADIUS}": metrics.precision_at_radius(all_counts, relevant, RADIUS),
        f"R@r{RADIUS}": metrics.recall_at_radius(relevant, RADIUS),
        f"empty@r{RADIUS}": metrics.empty_at_radius(all_counts, RADIUS),
        f"P@{FIRST}": metrics.precision_at(all_counts, relevant, FIRST),
        "R-precision": metrics.r_precision(all_counts, relevant),
    } | scores_at(histograms, at)
    recall, precision = curves.precision_recall(all_counts, relevant)
    precision_at = curves.precision_at_each(all_counts, relevant)
    return _Block(per_query, recall, precision, precision_at)
