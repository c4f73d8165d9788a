"""From a folder of photos to a library, and the library after the folder has changed."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from pathlib import Path

from facehash.errors import InputError
from facehash.images.scan import scan
from facehash.library.derived.codes import parse_codes, read_hasher
from facehash.library.ingest.report import IndexReport
from facehash.library.ingest.update import Update
from facehash.library.people.forget import PendingEraseError, finish_forgetting
from facehash.library.people.names import parse_names
from facehash.library.storage.database import LibraryError
from facehash.library.storage.lock import writing
from facehash.library.storage.outside import DATABASE
from facehash.library.storage.settings import Settings, agree, read_settings, write_settings
from facehash.library.storage.store import Store
from facehash.pipeline import FacePipeline, MakePipeline, default_pipeline

log = logging.getLogger(__name__)

DEFAULT_DETECTOR = "yunet"
DEFAULT_EMBEDDER = "sface"


def index_folder(
    folder: Path,
    directory: Path,
    *,
    detector: str | None = None,
    embedder: str | None = None,
    names: str = "none",
    codes: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    retry: bool = False,
    bring_back: bool = False,
    progress: bool = True,
    make_pipeline: MakePipeline = default_pipeline,
) -> IndexReport:
    """Bring a library up to date with a folder; what is known is not read again.

    What was read is kept a batch at a time, so that a run that was killed is resumed by the next.

    Args:
        folder: Photos, at any depth.
        directory: The library; made when missing.
        detector: By default the library's own, at first ``yunet``.
        embedder: By default the library's own, at first ``sface``.
        names: ``folders``, ``csv:FILE`` or ``none``, which leaves names as they are.
        codes: ``lsh:BITS`` or ``itq:BITS``, made of the vectors; by default the library's own.
        seed: Seed of the codes.
        workers: Processes that read photos, by default one a processor; 1 reads in this process.
        retry: Try those again that could not be read.
        bring_back: Read photos that were forgotten as well.
        progress: Show photos and faces a second where the output is a terminal.
        make_pipeline: Makes detector and embedder of their names.

    Returns:
        What was done.

    Raises:
        LibraryError: The library was made by other means, is damaged, or no library.
        FileInUseError: Another process writes to it.
        InputError: A folder, list of names or choice that does not make sense.
        Interrupted: Ctrl-C; what was read until then is kept.
    """
    start = time.monotonic()
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    found = scan(folder, without=directory)
    folder = Path(os.path.realpath(folder))
    source = parse_names(names, folder)
    spec = make_pipeline(*_choose(directory, detector, embedder))
    pipeline = FacePipeline.create(spec)
    made = pipeline.embedder
    if codes and made.metric == "hamming":
        raise InputError(f"--codes {codes}: {made.identity} yields codes already")
    wanted = Settings(
        spec.detector,
        pipeline.detector.identity,
        spec.embedder,
        made.identity,
        made.metric,
        made.dimension,
        made.crop,
        made.side,
        parse_codes(codes, made.dimension) if codes else None,
        seed,
    )
    with Store.create(directory) as store, writing(directory, "index"):
        try:
            finish_forgetting(store)
        except PendingEraseError as error:
            log.warning(error)
        update = Update(store, _settle(store, wanted), made, spec, folder, found)
        if bring_back:
            store.database.run("DELETE FROM excluded")
        update.read(workers or os.cpu_count() or 1, retry, progress)
        return update.finish(source, start)


def _choose(directory: Path, detector: str | None, embedder: str | None) -> tuple[str, str]:
    """Fill in what was not said: what the library was made with, or the defaults."""
    stored = None
    if (directory / DATABASE).exists():
        with Store.open(directory) as store:
            stored = read_settings(store.database)
    return (
        detector or (stored.detector if stored else DEFAULT_DETECTOR),
        embedder or (stored.embedder if stored else DEFAULT_EMBEDDER),
    )


def _settle(store: Store, wanted: Settings) -> Settings:
    """Store what the library is made with, or refuse to go on by other means."""
    stored = read_settings(store.database)
    if stored is not None:
        agree(stored, wanted, store.directory)
        new_codes = wanted.codes not in (None, stored.codes)
        if new_codes and read_hasher(store.database, stored) is not None:
            raise LibraryError(
                f"{store.directory}: made with the codes {stored.codes} (seed {stored.seed}), not "
                f"{wanted.codes}; leave --codes out, or give another --library"
            )
        # The names may be others: a model of the same content that was moved.
        chosen = wanted if new_codes else stored
        wanted = dataclasses.replace(wanted, codes=chosen.codes, seed=chosen.seed)
    with store.database.transaction():
        write_settings(store.database, wanted)
    return wanted
