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


def _measured(distance: float, missed: str) -> Threshold:
    return Threshold(
        distance,
        "false-match rate 1e-3, measured on 2,264 photos of LFW, where it misses "
        f"{missed} % of the pairs of one person",
    )


MEASURED_WITH = "yunet"
"""The detector of all of them: one that frames faces otherwise moves the distances."""

_SFACE = "sha256=0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
_FACENET = "sha256=bc2102394d88418d9db3cebfc6b7e3fb70abaf631c9cccb37ac0f4ccfad62b6e"
_DLIB = "sha256=55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

# The beginning of an identity, a model's file name left out -> threshold. What changes the
# distances, weights above all, is part of it. Measured by `python -m benchmarks.verification`,
# whose result in benchmarks/results/verification.json a test compares with these.
THRESHOLDS = {
    f"sface:{_SFACE}": _measured(0.639, "0.9"),
    f"keras:size=160,normalization=per_image,metric=cosine,crop=box,{_FACENET}": _measured(
        0.484, "3.3"
    ),
    f"keras:size=160,normalization=per_image,metric=euclidean,crop=box,{_FACENET}": _measured(
        11.256, "5.0"
    ),
    f"dlib:{_DLIB}": _measured(0.540, "14.7"),
}


def threshold_of(identity: str) -> Threshold | None:
    """Return the threshold of an embedder by its identity, None where none is known."""
    kind, colon, rest = identity.partition(":")
    # keras:FILE:settings; a model is its content, whatever its file is called.
    plain = f"{kind}{colon}{rest.rpartition(':')[2]}"
    for name, threshold in THRESHOLDS.items():
        end = plain.removeprefix(name)
        # "projection 12" is one of projection, projections is not.
        if end != plain and not end[:1].isalnum():
            return threshold
    return None
