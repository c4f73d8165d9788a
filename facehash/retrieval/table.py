"""The metrics of a report as a table for the terminal, with a short explanation of each."""

from collections.abc import Mapping

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
    if metrics_author:
        lines.append(f"{'':21}  authors'  (* bits packed as in the published code)")
    for name, value in metrics.items():
        beside = f"{metrics_author[name]:.4f}*" if metrics_author and name in metrics_author else ""
        line = f"  {name:<11}  {value:.4f}  {beside:>8}  {_MEANINGS.get(name, '')}"
        lines.append(line.rstrip())
    return "\n".join(lines)
