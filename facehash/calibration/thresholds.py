"""The distance thresholds of known embedders."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

SMALLEST = 20
"""Effective width in pixels of the faces for which the thresholds hold, see
`facehash.images.quality.effective_width`. The pairs of two people within the threshold of SFace are
at most 2 in 1,000 from there on, and more below: chosen on one half of the people by
`python -m benchmarks.photos.conditions`, and measured on the other."""


_Value = TypeVar("_Value")


class Threshold(NamedTuple):
    """A distance beyond which two faces count as two people."""

    distance: float  # in the embedder's metric
    source: str  # how it was measured


def _measured(distance: float, missed: str) -> Threshold:
    return Threshold(
        distance,
        "false-match rate 1e-3, measured on 2,264 photos of LFW, which rejects "
        f"{missed} % of the pairs of one person",
    )


MEASURED_WITH = "yunet"
"""The detector of all measurements; another one frames faces differently and shifts distances."""

SFACE = "sha256=0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
_FACENET = "sha256=bc2102394d88418d9db3cebfc6b7e3fb70abaf631c9cccb37ac0f4ccfad62b6e"
_DLIB = "sha256=55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

# Start of an embedder's identity, without the file name of a model, to its threshold. The identity
# contains all that changes distances, above all the digest of the weights. Measured by
# `python -m benchmarks.verification`; a test compares benchmarks/results/verification.json.
THRESHOLDS = {
    f"sface:{SFACE}": _measured(0.639, "0.9"),
    f"keras:size=160,normalization=per_image,metric=cosine,crop=box,{_FACENET}": _measured(
        0.484, "3.3"
    ),
    f"keras:size=160,normalization=per_image,metric=euclidean,crop=box,{_FACENET}": _measured(
        11.256, "5.0"
    ),
    f"dlib:{_DLIB}": _measured(0.540, "14.7"),
}


def threshold_of(identity: str) -> Threshold | None:
    """Return the threshold of an embedder by its identity, or None if it is unknown."""
    return find_by_identity(THRESHOLDS, identity)


def find_by_identity(table: Mapping[str, _Value], identity: str) -> _Value | None:
    """Return what a table of starts of identities has for an embedder, or None.

    Args:
        table: Keys like those of `THRESHOLDS`.
        identity: The identity of the embedder.
    """
    kind, colon, rest = identity.partition(":")
    # keras:FILE:settings; the name of the file does not matter.
    plain = f"{kind}{colon}{rest.rpartition(':')[2]}"
    for name, value in table.items():
        end = plain.removeprefix(name)
        # "projection 12" starts with the identity "projection", "projections" does not.
        if end != plain and not end[:1].isalnum():
            return value
    return None


def no_verdict(whose: str, size: float, effective: float) -> str | None:
    """Return why no threshold holds for a face, or None if one does.

    Args:
        whose: The face in words, for example ``"the face in a.jpg"``.
        size: The shorter side of its box, in pixels.
        effective: Its effective width in pixels, see `facehash.images.quality.effective_width`.

    Example:
        >>> print(no_verdict("the face in a.jpg", 14.2, 14.2))
        the face in a.jpg is 14 pixels wide, and the threshold was measured on faces of 20 or more
        >>> no_verdict("the face in a.jpg", 90.0, 40.0)
    """
    if effective >= SMALLEST:
        return None
    # Rounded down: a face of 19.6 pixels is not one of 20.
    if size < SMALLEST:
        found = f"is {int(size)} pixels wide"
    else:
        found = f"is blurred and has no more detail than a face {int(effective)} pixels wide"
    return f"{whose} {found}, and the threshold was measured on faces of {SMALLEST} or more"
