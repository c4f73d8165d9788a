"""What a library was made with: rows of two embedders are not comparable, so it keeps to one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.vectors import Metric, Space

_LONGEST = 1 << 20
_METRICS: dict[str, Metric] = {
    "cosine": "cosine",
    "euclidean": "euclidean",
    "hamming": "hamming",
}


@dataclass(frozen=True)
class Settings:
    """What a library was made with.

    Attributes:
        detector: What the user called the detector, and by which it is made again.
        detector_identity: Its identity, see `facehash.detectors.base.Detector`.
        embedder: What the user called the embedder.
        embedder_identity: Its identity, see `facehash.embedders.base.Embedder`.
        metric: How the embedder's rows are compared.
        dimension: Length of its vectors, or bits of its codes.
        crop: How faces were cropped for it.
        side: Height and width of the crops, in pixels.
        codes: Codes made of the vectors, for example ``"itq:64"``; None without.
        seed: Seed of the codes.
    """

    detector: str
    detector_identity: str
    embedder: str
    embedder_identity: str
    metric: Metric
    dimension: int
    crop: str
    side: int
    codes: str | None = None
    seed: int = 0

    @property
    def space(self) -> Space:
        """Where the embedder's rows live."""
        return Space(self.metric, self.dimension)

    @property
    def code_space(self) -> Space | None:
        """Where the codes live: the embedder's own, those made of its vectors, or None."""
        if self.metric == "hamming":
            return self.space
        return Space("hamming", int(self.codes.partition(":")[2])) if self.codes else None


def read_settings(database: Database) -> Settings | None:
    """Read what a library was made with, None of one that was never indexed.

    Raises:
        DamagedLibraryError: A setting is missing or makes no sense.
    """
    found: dict[str, str] = dict(database.rows("SELECT key, value FROM settings"))
    if not found:
        return None
    try:
        if not all(isinstance(value, str) for value in found.values()):
            raise ValueError("a value is no text")
        settings = Settings(
            found["detector"],
            found["detector_identity"],
            found["embedder"],
            found["embedder_identity"],
            _METRICS[found["metric"]],
            int(found["dimension"]),
            found["crop"],
            int(found["side"]),
            found.get("codes"),
            int(found["seed"]),
        )
        # A length that makes no sense is refused here, not in the middle of a search.
        lengths = (settings.dimension, settings.side, settings.space.width)
        if min(lengths) < 1 or max(lengths) > _LONGEST:
            raise ValueError(f"dimension {settings.dimension}, side {settings.side}")
        if settings.code_space and not settings.code_space.width:
            raise ValueError(f"codes {settings.codes}")
    except (KeyError, ValueError) as error:
        raise DamagedLibraryError(
            f"{database.path.parent}: its settings are damaged ({error})"
        ) from error
    return settings


def write_settings(database: Database, settings: Settings) -> None:
    """Store what a library is made with."""
    plain = dataclasses.asdict(settings)
    database.run("DELETE FROM settings")
    database.run_many(
        "INSERT INTO settings VALUES (?, ?)",
        [(key, str(value)) for key, value in plain.items() if value is not None],
    )


def agree(stored: Settings, wanted: Settings, directory: Path) -> None:
    """Refuse to go on with a library by other means than it was made with.

    Codes are not compared: they are made of the vectors and can be added later.

    Raises:
        LibraryError: Another detector, embedder or crop; both are named.
    """
    for what in ("detector", "embedder"):
        old, new = (getattr(one, f"{what}_identity") for one in (stored, wanted))
        if old != new:
            raise LibraryError(
                f"{directory}: made with the {what} {old}, not {new}; "
                f"leave --{what} out, or give another --library"
            )
    for name in ("metric", "dimension", "crop", "side"):
        old, new = getattr(stored, name), getattr(wanted, name)
        if old != new:
            raise LibraryError(
                f"{directory}: made with {name} {old}, not {new}, of the embedder "
                f"{stored.embedder_identity}; give another --library"
            )
