"""At which distance two faces count as two people, and where the number comes from."""

from __future__ import annotations

from typing import NamedTuple


class Threshold(NamedTuple):
    """A distance beyond which two faces are taken for two people.

    Attributes:
        distance: In the embedder's metric.
        source: Where the number comes from.
    """

    distance: float
    source: str


# The name with which an identity begins -> threshold. `python -m benchmarks.verification` measures
# one; a number of somebody else's stays only until ours is there.
THRESHOLDS = {
    "sface": Threshold(
        1 - 0.363,
        "cosine similarity 0.363, as the OpenCV tutorial on FaceRecognizerSF gives it for LFW; "
        "not measured by us",
    ),
}


def threshold_of(identity: str) -> Threshold | None:
    """Return the threshold of an embedder by its identity, None where none is known."""
    for name, threshold in THRESHOLDS.items():
        rest = identity.removeprefix(name)
        # sface, sface:..., "sface ...", but not sfacenet.
        if rest != identity and not rest[:1].isalnum():
            return threshold
    return None
