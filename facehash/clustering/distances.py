"""The mean distance up to which two clusters of faces are merged, for known embedders."""

from facehash.vectors import Metric

SHARE = 0.892
"""Share of the squared distance at the embedder's threshold: for SFace 0.57 of 0.639. There, the
mean B-cubed F of draws of 650 of the 5,683 people of public research sets is best; none of them is
near anybody in LFW (``python -m benchmarks.naming.clusters``)."""


def cluster_distance(threshold: float, metric: Metric) -> float:
    """Return the mean distance up to which clusters are merged.

    Args:
        threshold: The distance beyond which two faces count as two people.
        metric: How faces are compared. Cosine and Hamming distances grow with the square of the
            Euclidean distance between the points that are clustered.

    Example:
        >>> round(cluster_distance(0.639, "cosine"), 3)
        0.57
    """
    return threshold * (SHARE**0.5 if metric == "euclidean" else SHARE)
