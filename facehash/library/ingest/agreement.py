"""The settings of an index run, which must agree with those of the library."""

import dataclasses

from facehash.embedders.base import projects
from facehash.errors import InputError
from facehash.library.derived.codes import parse_codes, read_hasher
from facehash.library.storage.database import LibraryError
from facehash.library.storage.settings import (
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
