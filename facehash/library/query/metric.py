"""The distance by which a library is searched."""

from pathlib import Path

from facehash.hashing import LinearHash
from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Column
from facehash.printing import quoted
from facehash.vectors import CodeDistance, Metric


def choose_metric(
    where: Path,
    by: Column,
    settings: Settings,
    hasher: LinearHash | None,
    distance: CodeDistance | None,
) -> Metric | CodeDistance:
    """Return the metric of the distances.

    Args:
        where: The library, for messages.
        by: What is compared.
        settings: Settings of the library.
        hasher: Makes the codes of its vectors, if any.
        distance: What the user asked for, or None.

    Raises:
        LibraryError: The library has no such distance.
    """
    if by == "embedding":
        if distance is not None:
            raise LibraryError(
                f"{where}: is searched by embedding; {distance} is a distance of codes"
            )
        return settings.metric
    has_scale = settings.projects if hasher is None else hasher.scale is not None
    if distance == "asymmetric" and not has_scale:
        raise LibraryError(
            f"{where}: "
            + (
                "its embedder produces codes without projections (a run has them if it was "
                "trained by 0.2.0 or later), so they have only the Hamming distance"
                if hasher is None
                else "the codes were made by facehash 0.1.0; to prepare them for the "
                f"asymmetric distance: facehash rebuild --library {quoted(where)}"
            )
        )
    return distance or ("asymmetric" if has_scale else "hamming")
