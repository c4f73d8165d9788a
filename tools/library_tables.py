"""The tables of LFW in the README and of measured thresholds in docs/search.md."""

import json
from typing import Any

from benchmarks.search.held_out import RESULT as HELD_OUT
from benchmarks.search.lfw import read_result
from benchmarks.search.verification import RESULT
from experiments.table.layout import markdown_rows
from facehash.bench.table import format_value, value_of
from facehash.codes import packed_width
from tools.make_heads import RESULT as HEAD

NAMES = {"itq": "ITQ", "lsh": "LSH", "learned": "Learned", "adapted": "Adapted"}
RERANKED = 64  # codes of this length are also shown with re-ranking


def lfw_table() -> str:
    """Tabulate the results of `python -m benchmarks.lfw`."""
    result = read_result()
    unseen = {_key(method): method["P@1"] for method in result["unseen"]["methods"]}
    head = ["Compared", "Bits", "Bytes", "P@1", "mAP", "Recall@10", "P@1 (leave-one-out)"]
    head += ["mAP (leave-one-out)", "P@1 (leave-one-out, unseen)"]
    held_out = ("held_out/P@1", "held_out/mAP", "held_out/recall@10")
    rows = [
        [
            _name(method, result["runs"]),
            format_value(method["bits"], "d"),
            format_value(method["bytes_per_face"], "g"),
            *(format_value(value_of(method, key), ".3f") for key in (*held_out, "P@1", "mAP")),
            format_value(unseen.get(_key(method)), ".3f"),
        ]
        for method in result["all"]["methods"]
        if not method["rerank"] or method["bits"] == RERANKED
    ]
    return markdown_rows(head, rows)


def code_thresholds_table() -> str:
    """Tabulate the errors of thresholds of codes, from `python -m benchmarks.held_out`."""
    result = json.loads(HELD_OUT.read_text(encoding="utf-8"))
    head = ["Codes", "Bits", "Distance", "Threshold"]
    head += ["False match rate", "False non-match rate"]
    rows = []
    for method in result["data"]["lfw"]["methods"]:
        errors = method["threshold"]
        vectors = method["bits"] is None
        rows.append(
            [
                "vectors" if vectors else NAMES[method["name"]],
                format_value(method["bits"], "d"),
                "cosine" if vectors else method["distance"],
                f"{errors['threshold']:.{3 if vectors else 1}f}",
                f"{errors['false_match_rate']:.2%}",
                f"{errors['false_non_match_rate']:.1%}",
            ]
        )
    return markdown_rows(head, rows)


def held_out_table() -> str:
    """Tabulate the scores of `python -m benchmarks.held_out`."""
    data = json.loads(HELD_OUT.read_text(encoding="utf-8"))["data"]
    head = ["Codes", "Bits", "Bytes", "Distance", "LFW: P@1", "mAP", "Leave-one-out P@1", "mAP"]
    head += ["PubFig83: P@1", "mAP", "Leave-one-out P@1", "mAP"]
    rows = []
    for lfw, pubfig83 in zip(data["lfw"]["methods"], data["pubfig83"]["methods"], strict=True):
        bits = lfw["bits"]
        rows.append(
            [
                NAMES[lfw["name"]] if bits else "vectors",
                format_value(bits, "d"),
                str(packed_width(bits) if bits else 512),
                lfw["distance"] if bits else "cosine",
                *(
                    f"{one[protocol][key]:.3f}"
                    for one in (lfw, pubfig83)
                    for protocol in ("held_out", "leave_one_out")
                    for key in ("P@1", "mAP")
                ),
            ]
        )
    return markdown_rows(head, rows)


def head_table() -> str:
    """Tabulate the scores of `python -m tools.make_heads`."""
    scores = json.loads(HEAD.read_text(encoding="utf-8"))["development"]
    head = ["Codes", "Bits", "Bytes", "Hamming: P@1", "mAP", "Asymmetric (vectors: cosine): P@1"]
    head.append("mAP")
    vectors = [f"{scores['vectors'][key]:.3f}" for key in ("P@1", "mAP")]
    rows = [["vectors", "-", "512", "-", "-", *vectors]]
    rows += [
        [
            row["name"].replace("itq", "ITQ"),
            str(row["bits"]),
            str(packed_width(row["bits"])),
            *(f"{row[d][key]:.3f}" for d in ("hamming", "asymmetric") for key in ("P@1", "mAP")),
        ]
        for row in scores["rows"]
    ]
    return markdown_rows(head, rows)


def thresholds_table() -> str:
    """Tabulate the results of `python -m benchmarks.verification`."""
    head = ["Embedder", "Metric", "Threshold", "False non-match rate"]
    head += ["Cross-validated false match rate", "Cross-validated false non-match rate"]
    rows = []
    for name, result in json.loads(RESULT.read_text(encoding="utf-8")).items():
        kind, _, rest = name.partition(":")
        halves = result["chosen_on_one_half_tried_on_the_other"]
        rows.append(
            [
                f"`{rest.partition(':')[0] or kind}`",
                result["metric"],
                f"{result['threshold']:.3f}",
                f"{result['false_non_match_rate']:.1%}",
                " and ".join(f"{half['false_match_rate']:.2%}" for half in halves),
                " and ".join(f"{half['false_non_match_rate']:.1%}" for half in halves),
            ]
        )
    return markdown_rows(head, rows)


def _key(method: dict[str, Any]) -> tuple[str, int | None]:
    return method["name"], method["bits"]


def _name(method: dict[str, Any], runs: dict[str, Any]) -> str:
    if method["name"] in runs:
        run = runs[method["name"]]
        return f"{run['method'].upper()} codes, trained on {run['dataset']}"
    if method["hasher"] is None:
        return f"vectors of `{method['name']}`"
    codes = f"{NAMES[method['hasher']]} codes"
    if method["rerank"]:
        return f"{codes}, top {method['rerank']} re-ranked by vectors"
    return f"{codes}, {'asymmetric' if method['distance'] == 'asymmetric' else 'Hamming'}"
