"""Scoring codes and writing it down: report.json, figures, and the table on the terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.run.author_evaluator import metrics_author
from facehash.dataset import FaceDataset
from facehash.figures.charts import write_charts
from facehash.figures.examples import spread_examples
from facehash.figures.grid import write_retrieval_grid
from facehash.files import write_json
from facehash.retrieval.code_statistics import code_statistics
from facehash.retrieval.codes_file import CodeSet, write_codes
from facehash.retrieval.evaluation import Evaluation, evaluate
from facehash.retrieval.table import format_report

SCHEMA = 1


@dataclass(frozen=True)
class CodeSource:
    """What the scored codes come from; all None for a file of foreign codes.

    Attributes:
        method: Name of the method.
        seed: Of the training run.
        backend: Keras backend that encoded.
        dataset: The faces, with the roles that were encoded.
        encode_seconds: Time to encode gallery and query, loading not counted.
    """

    method: str | None = None
    seed: int | None = None
    backend: str | None = None
    dataset: FaceDataset | None = None
    encode_seconds: float | None = None


@dataclass(frozen=True)
class ScoredCodes:
    """Codes with their scores.

    Attributes:
        codes: What was scored.
        subject: Where the codes come from.
        evaluation: By the true Hamming distance.
        report: Everything that report.json holds.
    """

    codes: CodeSet
    subject: CodeSource
    evaluation: Evaluation
    report: dict[str, Any]


def score(codes: CodeSet, subject: CodeSource = CodeSource()) -> ScoredCodes:
    """Score codes by the true Hamming distance and by the authors' packing.

    Args:
        codes: Packed codes and labels.
        subject: Where they come from.

    Returns:
        The scores; `report` follows schema 1 of report.json.

    Raises:
        CodesError: Codes that cannot be scored.
    """
    parts = (codes.gallery_codes, codes.query_codes, codes.gallery_labels, codes.query_labels)
    started = time.perf_counter()
    evaluation = evaluate(*parts, codes.bits)
    seconds = time.perf_counter() - started
    faces = subject.dataset
    report = {
        "schema": SCHEMA,
        "method": subject.method,
        "bits": codes.bits,
        "seed": subject.seed,
        "backend": subject.backend,
        "dataset": {
            "name": faces.name if faces else None,
            "protocol": faces.protocol if faces else None,
            "identities": len(np.unique(codes.gallery_labels)),
            "train": len(faces.train) if faces else None,
            "gallery": len(codes.gallery_labels),
            "query": len(codes.query_labels),
        },
        "metrics": evaluation.metrics,
        "metrics_author": metrics_author(*parts, codes.bits),
        "curves": evaluation.curves,
        "code": _describe_code(codes),
        "seconds": {"encode": subject.encode_seconds, "score": round(seconds, 4)},
    }
    return ScoredCodes(codes, subject, evaluation, report)


def _describe_code(codes: CodeSet) -> dict[str, Any]:
    statistics = code_statistics(codes.gallery_codes, codes.bits)
    ones = statistics.ones
    return {
        "dead_bits": statistics.dead,
        "ones_lowest": float(ones.min()),
        "ones_highest": float(ones.max()),
        "correlation": statistics.correlation,
    }


def write_all(scored: ScoredCodes, folder: Path) -> list[Path]:
    """Write report.json, the figures, and codes.npz where they were made from images.

    Args:
        scored: From `score`.
        folder: Made when missing.

    Returns:
        The files written, the report first.
    """
    report = folder / "report.json"
    write_json(report, scored.report)
    caption = describe(scored.report)
    written = [report, *write_charts(scored.evaluation, folder / "figures", caption)]
    if scored.subject.dataset is not None:
        codes, grid = folder / "codes.npz", folder / "figures" / "retrieval.png"
        _write_grid(scored, scored.subject.dataset, grid, caption)
        write_codes(codes, scored.codes)
        written += [grid, codes]
    return written


def describe(report: dict[str, Any]) -> str:
    """Name what a report is about, such as ``"orl, DDH, 48 bits, seen identities"``."""
    faces = report["dataset"]
    known = [faces["name"], report["method"] and report["method"].upper(), f"{report['bits']} bits"]
    if faces["protocol"]:
        known.append(f"{faces['protocol']} identities")
    return ", ".join(word for word in known if word)


def table(report: dict[str, Any]) -> str:
    """Lay a report out for the terminal."""
    faces = report["dataset"]
    counts = (
        f"{faces['query']:,} queries against {faces['gallery']:,} gallery images "
        f"of {faces['identities']:,} people"
    )
    title = f"{describe(report)}\n{counts}"
    scores = format_report(report["metrics"], report["metrics_author"], title)
    code = report["code"]
    related = "-" if code["correlation"] is None else f"{code['correlation']:.3f}"
    return (
        f"{scores}\n\n"
        f"gallery codes: {code['dead_bits']} of {report['bits']} bits dead; a bit is 1 in "
        f"{code['ones_lowest']:.0%} to {code['ones_highest']:.0%} of them; "
        f"mean correlation of two bits {related}"
    )


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
