"""Score codes; write report.json and figures; format the table for the terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.duplicates import describe_duplicates
from experiments.run.author_evaluator import metrics_author
from facehash.dataset import FaceDataset, SplitName
from facehash.figures.charts import write_charts, write_roc
from facehash.figures.examples import spread_examples
from facehash.figures.grid import write_retrieval_grid
from facehash.files import write_json
from facehash.hamming.labels import Labels
from facehash.retrieval.code_statistics import code_statistics
from facehash.retrieval.codes_file import CodeSet, write_codes
from facehash.retrieval.evaluation import Evaluation, evaluate
from facehash.retrieval.table import format_report, format_verification
from facehash.retrieval.vectors import evaluate_projections
from facehash.retrieval.verification import verify_pairs

SCHEMA = 2
"""Of report.json. Schema 1 lacks the keys ``metrics_asymmetric``, ``recentred``,
``recentred_asymmetric``, ``verification``, ``training`` and ``leaks``, and in ``dataset`` the keys
``split`` and ``duplicates``; readers take a missing key for null."""

PROTOCOLS = {
    "seen": "seen identities",
    "unseen": "unseen identities",
    "leave_one_out": "leave-one-out",
}
"""How a protocol is named on the terminal and in figures."""

UNKNOWN = "training images unknown: this model has no record of them, so leaks cannot be ruled out"
"""Line about a trained model of version 0.1.0."""

NO_ASYMMETRIC = (
    "no asymmetric distance: the model has no scale of projections, which training stores since "
    "0.2.0"
)
"""Line about a trained model of version 0.1.0."""


@dataclass(frozen=True)
class CodeSource:
    """The source of codes; every field is None for codes from a file."""

    method: str | None = None
    seed: int | None = None  # of the training run
    backend: str | None = None  # Keras backend
    dataset: FaceDataset | None = None
    encode_seconds: float | None = None  # for gallery and query, without loading
    training: dict[str, Any] | None = None  # content of the run's training.json
    leaks: list[str] | None = None  # one line each; None if the training images are unknown
    split: SplitName | None = None  # origin of the roles
    duplicates: dict[str, int] | None = None  # numbers of equal pictures, by where they are
    recentred: CodeSet | None = None  # codes by the mean of the gallery, of a model for vectors


@dataclass(frozen=True)
class ScoredCodes:
    """Codes with their scores."""

    codes: CodeSet
    source: CodeSource
    evaluation: Evaluation  # by the true Hamming distance
    report: dict[str, Any]  # the content of report.json, schema 2


def score(
    codes: CodeSet,
    source: CodeSource = CodeSource(),
    *,
    at: Sequence[int] = (),
    verification: bool = False,
) -> ScoredCodes:
    """Score codes by the true Hamming distance and with the authors' packing.

    Args:
        codes: Codes and labels of gallery and query.
        source: Where the codes come from.
        at: Values of K for mAP@K.
        verification: Whether to compute TAR, EER and a threshold as well.

    Raises:
        CodesError: The codes cannot be scored.
    """
    parts = (codes.gallery_codes, codes.query_codes, codes.gallery_labels, codes.query_labels)
    alone = codes.leave_one_out
    started = time.perf_counter()
    evaluation = evaluate_codes(codes, at)
    seconds = time.perf_counter() - started
    faces = source.dataset
    bits = code_statistics(codes.gallery_codes, codes.bits)
    report = {
        "schema": SCHEMA,
        "method": source.method,
        "bits": codes.bits,
        "seed": source.seed,
        "backend": source.backend,
        "dataset": {
            "name": faces.name if faces else None,
            "protocol": faces.protocol if faces else "leave_one_out" if alone else None,
            **_count_labels(codes.gallery_labels),
            "train": len(faces.train) if faces else None,
            "gallery": len(codes.gallery_labels),
            "query": len(codes.query_labels),
            "split": source.split,
            "duplicates": source.duplicates,
        },
        "metrics": evaluation.metrics,
        # By the mean of the gallery.
        "recentred": _metrics(source.recentred, at),
        "recentred_asymmetric": _asymmetric(source.recentred, at),
        "metrics_author": metrics_author(*parts, codes.bits, leave_one_out=alone)
        if codes.bit_order_known
        else None,
        # By the float projections of the queries; null for codes without any.
        "metrics_asymmetric": _asymmetric(codes, at),
        "verification": _verification(evaluation, codes) if verification else None,
        "curves": evaluation.curves,
        "training": source.training,
        "leaks": source.leaks,
        "code": {
            "dead_bits": bits.dead,
            "ones_lowest": float(bits.ones.min()),
            "ones_highest": float(bits.ones.max()),
            "correlation": bits.correlation,
        },
        "seconds": {"encode": source.encode_seconds, "score": round(seconds, 4)},
    }
    return ScoredCodes(codes, source, evaluation, report)


def evaluate_codes(codes: CodeSet, at: Sequence[int] = ()) -> Evaluation:
    """Score codes by the true Hamming distance, see `facehash.retrieval.evaluation.evaluate`."""
    return evaluate(
        *(codes.gallery_codes, codes.query_codes, codes.gallery_labels, codes.query_labels),
        codes.bits,
        at=at,
        leave_one_out=codes.leave_one_out,
    )


def _metrics(codes: CodeSet | None, at: Sequence[int]) -> dict[str, float] | None:
    return None if codes is None else evaluate_codes(codes, at).metrics


def _asymmetric(codes: CodeSet | None, at: Sequence[int]) -> dict[str, float] | None:
    if codes is None or codes.query_projections is None:
        return None
    metrics, _ = evaluate_projections(
        codes.gallery_codes,
        codes.query_projections,
        codes.gallery_labels,
        codes.query_labels,
        codes.bits,
        at=at,
        leave_one_out=codes.leave_one_out,
    )
    return metrics


def _verification(evaluation: Evaluation, codes: CodeSet) -> dict[str, Any]:
    found = verify_pairs(evaluation.pairs, leave_one_out=codes.leave_one_out)
    return found.as_json("people" if codes.query_labels.ndim == 1 else "label sets")


def write_all(scored: ScoredCodes, folder: Path) -> list[Path]:
    """Write report.json and the figures, and codes.npz unless the codes come from a file.

    Returns:
        The files written, the report first.
    """
    report = folder / "report.json"
    write_json(report, scored.report)
    caption = describe(scored.report)
    written = [report, *write_charts(scored.evaluation, folder / "figures", caption)]
    roc = folder / "figures" / "verification.png"
    roc.unlink(missing_ok=True)  # of an earlier report
    if scored.report["verification"] is not None:
        write_roc({"": scored.report["verification"]["curve"]}, roc, caption)
        written.append(roc)
    faces = scored.source.dataset
    if faces is not None:
        codes, grid = folder / "codes.npz", folder / "figures" / "retrieval.png"
        if faces.images is not None:
            _write_grid(scored, faces, grid, caption)
            written.append(grid)
        write_codes(codes, scored.codes)
        written.append(codes)
    return written


def describe(report: dict[str, Any]) -> str:
    """Describe a report briefly, such as ``"orl, DDH, 48 bits, seen identities"``."""
    faces = report["dataset"]
    known = [faces["name"], report["method"] and report["method"].upper(), f"{report['bits']} bits"]
    if faces["protocol"]:
        known.append(PROTOCOLS.get(faces["protocol"], faces["protocol"]))
    if report["leaks"]:
        known.append("LEAKS")
    return ", ".join(word for word in known if word)


def table(report: dict[str, Any]) -> str:
    """Format a report for the terminal."""
    faces = report["dataset"]
    people = (
        f"with {faces['labels']:,} labels"
        if faces["identities"] is None
        else f"of {faces['identities']:,} people"
    )
    counts = f"{faces['query']:,} queries, {faces['gallery']:,} gallery images {people}"
    title = f"{describe(report)}\n{counts}"
    if report["leaks"] is None and report["method"] is not None:
        title += f"\n{UNKNOWN}"
    for leak in report["leaks"] or ():
        title += f"\nLEAK: {leak}"
    scores = format_report(report["metrics"], report["metrics_author"], title)
    if report["metrics_asymmetric"] is not None:
        heading = "asymmetric: the queries' float projections against the gallery's codes"
        scores += f"\n\n{format_report(report['metrics_asymmetric'], title=heading)}"
    elif report["method"] is not None:
        scores += f"\n\n{NO_ASYMMETRIC}"
    if report["verification"] is not None:
        scores += f"\n\n{format_verification(report['verification'])}"
    if report["recentred"] is not None:
        scores += "\n\nrecentred, by the mean of the gallery's vectors (plain):"
        for kind in ("", "_asymmetric"):
            plain, moved = report[f"metrics{kind}"], report[f"recentred{kind}"]
            if plain is None or moved is None:
                continue
            shown = ", ".join(
                f"{name} {moved[name]:.4f} ({plain[name]:.4f})"
                for name in ("mAP", "P@r2", "P@50", "R-precision")
                if name in plain
            )
            scores += f"\n  {'asymmetric' if kind else 'Hamming'}: {shown}"
    code = report["code"]
    related = "-" if code["correlation"] is None else f"{code['correlation']:.3f}"
    copies = describe_duplicates(faces["duplicates"] or {})
    if copies:
        copies = f"\nduplicates: {copies} (dataset.duplicates: drop removes them)"
    return (
        f"{scores}\n\n"
        f"gallery codes: {code['dead_bits']} of {report['bits']} bits are constant; each bit is 1 "
        f"in {code['ones_lowest']:.0%} to {code['ones_highest']:.0%} of the codes; "
        f"mean correlation of two bits {related}{copies}"
    )


def _count_labels(gallery_labels: Labels) -> dict[str, int | None]:
    """Count the identities of a gallery or, in a key of their own, the labels of its label sets."""
    if gallery_labels.ndim == 1:
        return {"identities": len(np.unique(gallery_labels))}
    return {"identities": None, "labels": int(gallery_labels.any(axis=0).sum())}


def _write_grid(scored: ScoredCodes, faces: FaceDataset, path: Path, caption: str) -> None:
    precision = scored.evaluation.per_query["mAP"]
    examples = spread_examples(scored.codes, precision)
    found = faces.read(faces.gallery[examples.found.reshape(-1)])
    write_retrieval_grid(
        faces.read(faces.query[examples.queries]),
        found.reshape(*examples.found.shape, *found.shape[1:]),
        examples.right,
        examples.distances,
        path,
        title="Queries from best to worst average precision, and their nearest gallery images",
        caption=caption,
        notes=[f"AP {value:.2f}" for value in precision[examples.queries]],
    )
