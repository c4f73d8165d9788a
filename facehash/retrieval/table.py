"""The table of a report for the terminal: each number with what it says, in a few words."""

from __future__ import annotations

from collections.abc import Mapping

_MEANINGS = {
    "mAP": "mean average precision over the full ranking, expected over tie orders",
    "mAP_lower": "the same with ties in the worst order",
    "mAP_upper": "the same with ties in the best order",
    "P@r2": "precision within Hamming radius 2, 0 where the ball is empty",
    "R@r2": "recall within Hamming radius 2",
    "empty@r2": "share of queries with nothing within radius 2",
    "P@50": "precision among the nearest 50, expected over tie orders",
    "R-precision": "precision among the nearest R, R being the query's relevant images",
}


def format_report(
    metrics: Mapping[str, float], metrics_author: Mapping[str, float] | None = None, title: str = ""
) -> str:
    """Lay out the metrics of a report as lines of text.

    Args:
        metrics: ``metrics`` of a report.
        metrics_author: ``metrics_author`` of a report, shown in a part of its own.
        title: A first line, for example data set, method and bits.

    Returns:
        Lines without a newline at the end.
    """
    lines = [title] if title else []
    lines += [_line(name, value, _MEANINGS.get(name, "")) for name, value in metrics.items()]
    if metrics_author:
        lines.append("by the authors' published evaluation (comparable with their papers only):")
        lines += [_line(name, value, "") for name, value in metrics_author.items()]
    return "\n".join(lines)


def _line(name: str, value: float, meaning: str) -> str:
    return f"  {name:<11}  {value:6.4f}  {meaning}".rstrip()
