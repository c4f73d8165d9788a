"""The settings of an index run, which must agree with those of the library."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from facehash.embedders.base import projects
from facehash.errors import InputError
from facehash.images.selection import Selection, parse_patterns
from facehash.library.derived.codes import parse_codes, read_hasher
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import DATABASE
from facehash.library.storage.settings import (
    MOST_FRAMES_PER_SECOND,
    Settings,
    check_settings,
    read_settings,
    write_settings,
)
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, PipelineSpec


def settings_of(
    spec: PipelineSpec, pipeline: FacePipeline, codes: str | None, seed: int
) -> Settings:
    """Return the settings of a library that this pipeline fills."""
    embedder = pipeline.embedder
    if codes and embedder.metric == "hamming":
        raise InputError(f"--codes {codes}: {embedder.identity} already produces codes")
    return Settings(
        spec.detector,
        pipeline.detector.identity,
        spec.embedder,
        embedder.identity,
        embedder.metric,
        embedder.dimension,
        embedder.crop,
        embedder.side,
        parse_codes(codes, embedder.dimension, embedder.identity) if codes else None,
        seed,
        projects(embedder),
    )


def agree_on_settings(store: Store, wanted: Settings) -> Settings:
    """Store and return the settings of the library, or refuse those that contradict it."""
    stored = read_settings(store.database)
    if stored is not None:
        check_settings(stored, wanted, store.directory)
        new_codes = wanted.codes not in (None, stored.codes)
        if new_codes and read_hasher(store.database, stored) is not None:
            raise LibraryError(
                f"{store.directory}: made with the codes {stored.codes} (seed {stored.seed}), not "
                f"{wanted.codes}; omit --codes, or choose another --library"
            )
        # Detector and embedder may have new names: a model file of the same content that moved.
        chosen = wanted if new_codes else stored
        wanted = dataclasses.replace(wanted, codes=chosen.codes, seed=chosen.seed)
    with store.database.transaction():
        write_settings(store.database, wanted)
    return wanted


def choose_selection(
    stored: Settings | None,
    exclude: Sequence[str] | None,
    include_skipped: bool | None,
    videos: bool | None,
) -> Selection:
    """Return what is read of a folder: as given, or as stored in the library."""
    if exclude is None:
        exclude = (stored.exclude or "").splitlines() if stored else []
    if include_skipped is None:
        include_skipped = stored.include_skipped if stored else False
    if videos is None:
        videos = stored.videos if stored else False
    return Selection(parse_patterns(exclude), include_skipped, videos)


def choose_frame_rate(stored: Settings | None, given: float | None) -> float:
    """Return the frames per second of videos that are searched: as given, or as stored.

    Raises:
        InputError: Not above 0, or more than `MOST_FRAMES_PER_SECOND`.
    """
    if given is None:
        return stored.frames_per_second if stored else 1.0
    if not 0 < given <= MOST_FRAMES_PER_SECOND:
        raise InputError(
            f"--frames-per-second {given:g}: must be above 0 and at most {MOST_FRAMES_PER_SECOND:g}"
        )
    return given


def stored_settings(directory: Path) -> Settings | None:
    """Return the settings of a library, None if there is none yet."""
    if not (directory / DATABASE).exists():
        return None
    with Store.open(directory) as store:
        return read_settings(store.database)
