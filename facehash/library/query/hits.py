"""Hits of a search, each with a verdict if there is a threshold that holds for the pair."""

from facehash.calibration.thresholds import no_verdict
from facehash.images.quality import stored_width
from facehash.library.query.results import Hit
from facehash.library.storage.records import StoredFace


def make_hit(
    rank: int,
    distance: float,
    face: StoredFace,
    threshold: float | None,
    side: int,
    reason: str | None = None,
) -> Hit:
    """Return a face that was found.

    Args:
        rank: 1 for the nearest face.
        distance: Its distance from the query.
        face: The face as stored.
        threshold: Distance beyond which faces count as different people, or None.
        side: Height and width of the crops of the library, in pixels.
        reason: Why no threshold holds for the query, or None.
    """
    same = None
    if threshold is None:
        reason = None
    else:
        width = stored_width(face.quality, face.score, side)
        whose = f"face {face.number} of {face.path.name}"
        if face.added and not face.aligned:
            reason = reason or f"{whose} was added by hand, and the detector does not find it there"
        reason = reason or no_verdict(whose, min(face.box[2:]), width)
        same = None if reason else distance <= threshold
    return Hit(
        rank,
        distance,
        face.name,
        face.path,
        face.number,
        face.box,
        face.id,
        same,
        named_by=face.named_by,
        copies=face.copies,
        damage=face.damage,
        no_verdict=reason,
        added=face.added,
        seconds=face.seconds,
        first_seconds=face.first_seconds,
        last_seconds=face.last_seconds,
    )
