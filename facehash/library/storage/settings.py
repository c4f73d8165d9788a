"""The settings of a library: rows of two embedders are not comparable, so it keeps to one."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from facehash.detectors.registry import earlier_name
from facehash.library.storage.database import DamagedLibraryError, Database, LibraryError
from facehash.library.storage.records import UNDER, under
from facehash.vectors import Metric, Space

MOST_FRAMES_PER_SECOND = 60.0
INDEX_STATES = "index_files"
"""A key that says nothing about the library, see `facehash.library.storage.index_states`."""

_LONGEST = 1 << 20
_METRICS: dict[str, Metric] = {metric: metric for metric in get_args(Metric)}


@dataclass(frozen=True)
class Settings:
    """Detector, embedder and codes of a library.

    Attributes:
        detector: The detector as the user named it, for example ``"yunet"``.
        detector_identity: See `facehash.detectors.base.Detector`.
        embedder: The embedder as the user named it.
        embedder_identity: See `facehash.embedders.base.Embedder`.
        dimension: Length of the embedder's vectors, or bits of its codes.
        crop: How faces are cropped for the embedder, to `side` x `side` pixels.
        codes: Codes computed from the vectors, for example ``"itq:64"``, or None.
        seed: Seed of these codes.
        projects: Whether the embedder produces codes and has their projections too.
        exclude: Patterns of files that are not indexed, one per line, or None.
        include_skipped: Whether hidden files and folders of previews are indexed too.
        folders: The folders of photos that were indexed, one per line, or None.
        videos: Whether videos are indexed.
        frames_per_second: How many frames per second of a video are searched for faces.
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
    projects: bool = False
    exclude: str | None = None
    include_skipped: bool = False
    folders: str | None = None
    videos: bool = False
    frames_per_second: float = 1.0

    @property
    def space(self) -> Space:
        """The space of the embedder's rows."""
        return Space(self.metric, self.dimension)

    @property
    def code_space(self) -> Space | None:
        """The space of the codes: the embedder's own, those of its vectors, or None."""
        if self.metric == "hamming":
            return self.space
        return Space("hamming", int(self.codes.partition(":")[2])) if self.codes else None


def read_settings(database: Database) -> Settings | None:
    """Read the settings of a library, None if nothing was ever indexed.

    Raises:
        DamagedLibraryError: A setting is missing or invalid.
    """
    query = "SELECT key, value FROM settings WHERE key <> ?"
    found: dict[str, str] = dict(database.rows(query, (INDEX_STATES,)))
    if not found:
        return None
    try:
        if not all(isinstance(value, str) for value in found.values()):
            raise ValueError("a value is not text")
        settings = Settings(
            earlier_name(found["detector"], found["detector_identity"]),
            found["detector_identity"],
            found["embedder"],
            found["embedder_identity"],
            _METRICS[found["metric"]],
            int(found["dimension"]),
            found["crop"],
            int(found["side"]),
            found.get("codes"),
            int(found["seed"]),
            found.get("projects") == str(True),  # missing in libraries of version 0.1.0
            found.get("exclude"),
            found.get("include_skipped") == str(True),
            found.get("folders"),
            found.get("videos") == str(True),
            float(found.get("frames_per_second", "1")),
        )
        if not 0 < settings.frames_per_second <= MOST_FRAMES_PER_SECOND:
            raise ValueError(f"frames_per_second {settings.frames_per_second}")
        # An invalid length is an error here, not in the middle of a search.
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


def with_folder(folders: str | None, folder: Path) -> str | None:
    """Return the folders of `Settings.folders` with another one; a name must be valid text."""
    known = (folders or "").splitlines()
    name = str(folder)
    if name.isprintable() and name not in known:
        known.append(name)
    return "\n".join(sorted(known)) or None


def prune_folders(database: Database) -> None:
    """Drop the folders from which the library has no file; their names may be those of people."""
    stored = database.value("SELECT value FROM settings WHERE key = 'folders'")
    if not isinstance(stored, str):
        return
    query = f"SELECT 1 FROM paths WHERE {UNDER} LIMIT 1"  # noqa: S608
    kept = [one for one in stored.splitlines() if database.value(query, under(Path(one)))]
    database.run("DELETE FROM settings WHERE key = 'folders'")
    if kept:
        database.run("INSERT INTO settings VALUES ('folders', ?)", ("\n".join(kept),))


def write_settings(database: Database, settings: Settings) -> None:
    """Store the settings of a library."""
    plain = dataclasses.asdict(settings)
    database.run("DELETE FROM settings WHERE key <> ?", (INDEX_STATES,))
    database.run_many(
        "INSERT INTO settings VALUES (?, ?)",
        [
            (key, str(value))
            for key, value in plain.items()
            if value is not None and value is not False
        ],
    )


def check_settings(stored: Settings, wanted: Settings, directory: Path) -> None:
    """Check that a library and a run use the same detector, embedder and crop.

    Codes are not compared: they are computed from the vectors and can be added later.

    Raises:
        LibraryError: They differ; the message has both values.
    """
    for what in ("detector", "embedder"):
        old, new = (getattr(one, f"{what}_identity") for one in (stored, wanted))
        if old != new:
            raise LibraryError(
                f"{directory}: made with the {what} {old}, not {new}; "
                f"omit --{what}, or choose another --library"
            )
    for name in ("metric", "dimension", "crop", "side"):
        old, new = getattr(stored, name), getattr(wanted, name)
        if old != new:
            raise LibraryError(
                f"{directory}: made with {name} {old}, not {new}, by the embedder "
                f"{stored.embedder_identity}; choose another --library"
            )
