"""The metrics of a report as a table for the terminal, with a short explanation of each."""

import re
from collections.abc import Mapping
from typing import Any

from facehash.retrieval.verification import ENOUGH, RATES

_MEANINGS = {
    "mAP": "mean average precision, whole ranking, expected over tie orders",
    "mAP_lower": "the same, ties in the worst order",
    "mAP_upper": "the same, ties in the best order",
    "P@r2": "precision within Hamming radius 2, 0 where the ball is empty",
    "R@r2": "recall within Hamming radius 2",
    "empty@r2": "share of queries with no item within radius 2",
    "P@50": "precision among the nearest 50 items",
    "R-precision": "precision among the first R items, R = number of relevant items",
}
_MEANING_OF_PAIRS = {
    "people": " (one person, two people)",
    "label sets": " (a shared label, none)",
}
_DIVISORS = {
    "relevant": "all relevant items",
    "min": "min({k}, all relevant items)",
    "found": "those found among them",
}


def format_report(
    metrics: Mapping[str, float], metrics_author: Mapping[str, float] | None = None, title: str = ""
) -> str:
    """Return the metrics of a report as lines of text.

    Args:
        metrics: ``metrics`` of a report.
        metrics_author: ``metrics_author`` of a report, for a column of their own.
        title: First lines, for example data set, method and bits.
    """
    lines = [title, ""] if title else []
    width = max(11, *map(len, metrics))
    if metrics_author:
        lines.append(f"{'':{width + 10}}  authors'  (* bits packed as in the published code)")
    for name, value in metrics.items():
        beside = f"{metrics_author[name]:.4f}*" if metrics_author and name in metrics_author else ""
        line = f"  {name:<{width}}  {value:.4f}  {beside:>8}  {_meaning(name)}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def format_verification(report: Mapping[str, Any]) -> str:
    """Return ``verification`` of a report as lines of text; a dash where a rate is undefined."""
    bounds = report["bounds"]
    lines = [
        f"verification: {report['genuine_pairs']:,} genuine and {report['impostor_pairs']:,} "
        f"impostor pairs{_MEANING_OF_PAIRS[bounds['units']]}",
        f"  bounds: {bounds['level']:.0%}, {bounds['resamples']:,} resamples of "
        f"{report['people']:,} {bounds['units']}",
    ]
    for name, inverse in RATES.items():
        rate, accepting = report[f"TAR@{name}"], report["thresholds"][f"TAR@{name}"]
        if rate is None:
            remark = f"needs {ENOUGH * inverse:,} distinct impostor pairs"
        elif accepting is None:
            remark = "distance 0 exceeds this FAR, so nothing is accepted"
        else:
            remark = f"distance at most {accepting['distance']} (FAR {accepting['far']:.1e})"
        lines.append(_rate_line(f"TAR at FAR {name}", rate, remark))
    lines.append(_rate_line("EER", report["EER"], "where FAR = 1 - TAR"))
    chosen = report["recommended"]
    lines.append(
        f"  recommended threshold: distance at most {chosen['distance']} "
        f"(FAR {chosen['far']:.1e}, TAR {chosen['tar']:.4f}), the {chosen['rule']}"
        if chosen
        else "  recommended threshold: none (too few impostor pairs, or FAR too high)"
    )
    return "\n".join(lines)


def _rate_line(name: str, rate: Mapping[str, Any] | None, remark: str) -> str:
    if rate is None:
        return f"  {name:<15}  {'–':<6}  {'':16}  {remark}"
    known = rate["lower"] is not None
    bounds = f"{rate['lower']:.4f} to {rate['upper']:.4f}" if known else "–"
    return f"  {name:<15}  {rate['value']:.4f}  {bounds:<16}  {remark}"


def _meaning(name: str) -> str:
    truncated = re.fullmatch(r"mAP@(\d+)/(\w+)", name)
    if truncated:
        divisor = _DIVISORS[truncated[2]].format(k=truncated[1])
        return f"average precision of the first {truncated[1]}, over {divisor}"
    return _MEANINGS.get(name, "")
