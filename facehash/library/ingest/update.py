"""Bring a library up to date with a folder of photos: ``facehash index``."""

import contextlib
import dataclasses
import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from facehash.detectors.registry import Switch, choose_detector
from facehash.embedders.base import Embedder
from facehash.errors import InputError, Interrupted
from facehash.files import FileInUseError, FileState
from facehash.hashing import LinearHash
from facehash.images.scan import Scan, scan
from facehash.images.video import is_video
from facehash.library.derived.arrays import refresh_index, spaces
from facehash.library.derived.codes import (
    complete_hasher,
    fit_codes,
    read_hasher,
    refresh_thresholds,
)
from facehash.library.ingest.added import carry_added, complete_added
from facehash.library.ingest.agreement import (
    agree_on_settings,
    choose_frame_rate,
    choose_selection,
    settings_of,
    stored_settings,
)
from facehash.library.ingest.batch import Batch
from facehash.library.ingest.dated import complete_dates
from facehash.library.ingest.machines import Machines, read_on, read_task
from facehash.library.ingest.missing import MissingFolder, missing_folders, note_folders
from facehash.library.ingest.read import ReadOptions, ReadPhoto
from facehash.library.ingest.report import IndexReport
from facehash.library.ingest.workers import read_photos
from facehash.library.people.forget import PendingEraseError, finish_pending_erase
from facehash.library.people.names import Names, apply_names, check_matches, parse_names
from facehash.library.people.parked import give_back, parked_keys
from facehash.library.storage.database import LibraryError
from facehash.library.storage.folder import write_lock
from facehash.library.storage.records import UNDER, UnreadFile, path_of, under
from facehash.library.storage.settings import Settings, with_folder
from facehash.library.storage.store import Store
from facehash.library.storage.thumbnails import delete_thumbnails
from facehash.pipeline import FacePipeline, MakePipeline, PipelineSpec, default_pipeline
from facehash.printing import progress as progress_bar
from facehash.printing import quoted

log = logging.getLogger(__name__)


def index_folder(
    folder: Path,
    directory: Path,
    *,
    detector: str | None = None,
    embedder: str | None = None,
    small_faces: Switch | None = None,
    names: str = "none",
    replace_names: bool = False,
    codes: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    retry: bool = False,
    include_forgotten: bool = False,
    allow_missing: bool = False,
    exclude: Sequence[str] | None = None,
    include_skipped: bool | None = None,
    videos: bool | None = None,
    frames_per_second: float | None = None,
    machines: Machines | None = None,
    progress: bool = True,
    make_pipeline: MakePipeline = default_pipeline,
) -> IndexReport:
    """Bring a library up to date with a folder; unchanged files are not read again.

    Photos are stored in batches, so that the next run resumes one that was killed.

    Args:
        folder: Folder of photos, searched recursively.
        directory: The library; created if it does not exist.
        detector: Name of the detector. Default: the library's (``yunet`` for a new library).
        embedder: Name of the embedder. Default: the library's (``sface`` for a new library).
        small_faces: Whether large photos are searched for small faces, ``"auto"`` or ``"off"``.
            Default: the library's (``auto`` for a new library).
        names: ``folders``, ``folders:LEVEL``, ``csv:FILE``, ``xmp``, ``picasa``, ``takeout``, or
            ``none``, which leaves names unchanged; see `facehash.library.people.names`.
        replace_names: Let the list of names or the program replace what earlier ones said.
        codes: Codes computed from the vectors, such as ``itq:64``, see
            `facehash.library.derived.codes.parse_codes`. Default: the library's.
        seed: Seed of the codes.
        workers: Number of processes that read photos. Default: one per processor; 1 reads in this
            process.
        retry: Read photos again that could not be read before.
        include_forgotten: Also read photos that were forgotten.
        allow_missing: Remove photos also if their folder has lost all of its photos, as it does
            when a drive is missing.
        exclude: Patterns of files and folders that are not read, see
            `facehash.images.selection.Selection`; stored in the library for later runs. Photos in
            the library that they fit are removed from it. Default: the library's.
        include_skipped: Also read hidden files and folders and those of previews and deleted
            files; stored in the library for later runs. Default: the library's.
        videos: Also read videos; stored in the library for later runs. Default: the library's, off
            for a new one.
        frames_per_second: How many frames per second of new videos are searched for faces; stored
            as well. Default: the library's, 1 for a new one.
        machines: Other machines that read the photos; `workers` is then the number of chunks that
            they have at a time. Default: this machine.
        progress: Show a progress bar.
        make_pipeline: Turns the names of a detector and an embedder into a `PipelineSpec`.

    Returns:
        What the run did.

    Raises:
        LibraryError: The library was made with another detector, embedder or codes, is damaged,
            or the directory is no library.
        FileInUseError: Another process writes to the library.
        InputError: An invalid folder, list of names or option.
        Interrupted: Ctrl-C or SIGTERM; the photos stored so far are kept.

    Example:
        >>> report = index_folder(Path("photos"), Path("lib"), names="folders")  # doctest: +SKIP
        >>> report.photos, report.faces  # doctest: +SKIP
        (400, 412)
    """
    start = time.monotonic()
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    stored = stored_settings(directory)
    selection = choose_selection(stored, exclude, include_skipped, videos)
    frame_rate = choose_frame_rate(stored, frames_per_second)
    found = scan(folder, without=directory, selection=selection)
    folder = Path(os.path.realpath(folder))
    names_source = parse_names(names, folder, replace_names)
    spec = make_pipeline(
        choose_detector(detector, stored.detector if stored else None, small_faces),
        embedder or (stored.embedder if stored else "sface"),
    )
    pipeline = FacePipeline.create(spec)
    wanted = dataclasses.replace(
        settings_of(spec, pipeline, codes, seed),
        exclude="\n".join(selection.exclude) or None,
        include_skipped=selection.include_skipped,
        videos=selection.videos,
        frames_per_second=frame_rate,
        folders=with_folder(stored.folders if stored else None, folder),
    )
    with Store.create(directory) as store, write_lock(directory, "index"):
        try:
            finish_pending_erase(store)
        except PendingEraseError as error:
            log.warning(error)
        settings = agree_on_settings(store, wanted)
        check_matches(store, names_source, found.files)
        update = _Update(store, settings, pipeline.embedder, spec, folder, found, allow_missing)
        if include_forgotten:
            store.database.run("DELETE FROM excluded")
        update.read(workers, machines, retry, progress)
        return update.finish(names_source, start, progress)


class _Update:
    """One run over a folder: read new files, then bring the rest of the library up to date."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        embedder: Embedder,
        spec: PipelineSpec,
        folder: Path,
        found: Scan,
        allow_missing: bool,
    ) -> None:
        self.store, self.settings, self.embedder = store, settings, embedder
        self.spec, self.folder, self.found = spec, folder, found
        self.allow_missing = allow_missing
        self.hasher: LinearHash | None = read_hasher(store.database, settings)
        self.skipped = frozenset(found.skipped)
        self.counts: Counter[str] = Counter()
        self.unread: list[UnreadFile] = []
        self.damaged: list[UnreadFile] = []
        self.kept: set[Path] = set()  # files whose stored content stays, as they cannot be read
        self.missing: set[Path] = set()
        self.indexed: set[Path] = set()  # files of the folder that the library knows
        self.stored: set[Path] = set()  # those of them whose content it has
        # Digests: every content read in this run, and those that the library already had.
        self.seen: set[bytes] = set()
        self.known: set[bytes] = set()
        query = "SELECT digest, reason, detail FROM photos WHERE reason IS NOT NULL"
        self.failures: dict[bytes, tuple[str, str]] = {
            digest: (reason, detail or "") for digest, reason, detail in store.database.rows(query)
        }

    def read(
        self, workers: int | None, machines: Machines | None, retry: bool, progress: bool
    ) -> None:
        """Read, embed and store new and changed files."""
        if retry:
            self.store.delete_failures(self.folder)
        jobs = self._jobs()
        excluded = {digest for (digest,) in self.store.database.rows("SELECT digest FROM excluded")}
        options = ReadOptions(
            self.spec, self.settings.crop, self.settings.side, self.embedder.light,
            self.settings.frames_per_second,
        )  # fmt: skip
        batch = Batch(self.store, self.embedder, self.settings, self.hasher)
        if machines is None:
            workers = min(workers or os.cpu_count() or 1, max(1, len(jobs)))
            photos = read_photos(jobs, options, self.store.digests(), workers)
        else:
            task = read_task(self.folder, options, self.settings)
            photos = read_on(machines, jobs, task, self.store, workers)
        bar = progress_bar(
            total=len(jobs), desc="indexing", unit=" photos", delay=1, shown=progress
        )
        try:
            with contextlib.closing(photos), bar:
                for photo in photos:
                    if photo.digest in excluded:
                        self.counts["excluded"] += 1
                    else:
                        self._add(photo, batch)
                    rate = batch.faces / max(bar.format_dict["elapsed"], 1e-3)
                    bar.set_postfix_str(f"{rate:.1f} faces/s", refresh=False)
                    bar.update()
                batch.flush()
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {batch.stored} new photos are in {self.store.directory}"
            ) from None
        self.counts["photos"], self.counts["faces"] = batch.photos, batch.faces
        self.counts["videos"] = batch.videos
        self.counts["without_faces"] = batch.without_faces
        self.unread += batch.failed
        self.damaged = batch.damaged

    def _jobs(self) -> list[tuple[Path, FileState]]:
        """List files that are new or look changed, and note those that are gone."""
        stored = self.store.files_under(self.folder)
        self.indexed = set(stored)
        self.stored = {path for path, (_, has_content) in stored.items() if has_content}
        is_empty = not self.found.files and not all(map(self._is_deselected, stored))
        if is_empty and not self.allow_missing:
            raise LibraryError(
                f"{self.folder}: contains no photos any more, but the library has {len(stored)} "
                "from there; is a drive missing? To remove them: facehash index --allow-missing "
                f"{quoted(self.folder)} --library {quoted(self.store.directory)}"
            )
        self.missing = {
            path
            for path in stored.keys() - self.found.files.keys()
            if not any(path.is_relative_to(folder) for folder in self.found.closed)
        }
        jobs = [
            (path, state)
            for path, state in self.found.files.items()
            if stored.get(path) != (state, True)
        ]
        self.counts["unchanged"] = len(self.found.files) - len(jobs)
        return jobs

    def _add(self, photo: ReadPhoto, batch: Batch) -> None:
        """Count a file that was read, and pass it on to be embedded and stored."""
        if photo.reason == "missing":
            self.missing.add(photo.path)
            return
        if photo.reason == "unreadable" and photo.path in self.stored:
            # What the library knows of it stays; a drive may refuse a file for a moment only.
            self.kept.add(photo.path)
            self.unread.append(UnreadFile(photo.path, photo.reason, photo.detail or ""))
            return
        if photo.reason == "crashed":
            # With its digest stored, it does not crash a worker of the next run.
            with contextlib.suppress(OSError), photo.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                photo = dataclasses.replace(photo, digest=digest)
        if photo.digest in self.seen:
            # Two workers have read copies of it at the same time.
            photo = dataclasses.replace(photo, faces=(), crops=None, reason=None, known=True)
        if photo.digest is not None:
            self.seen.add(photo.digest)
        if photo.reason is not None:
            failure = (photo.reason, photo.detail or "")
            self.unread.append(UnreadFile(photo.path, *failure))
            if photo.digest is not None:
                self.failures[photo.digest] = failure
        elif photo.known and photo.digest is not None:
            self.known.add(photo.digest)
            if photo.digest in self.failures:
                self.unread.append(UnreadFile(photo.path, *self.failures[photo.digest]))
            else:
                self.counts["same_content"] += 1
        batch.add(photo)

    def finish(self, names: Names, start: float, progress: bool) -> IndexReport:
        """Remove files that are gone; update names, codes and index arrays."""
        waiting = parked_keys(self.store)
        removed, away = self._removed()
        added = (self.store, self.settings, lambda *_: self.spec)
        carry_added(*added)
        # Even without any: this also removes photos whose file now holds another content.
        self.store.remove_files(removed)
        note_folders(self.store, self.folder, self.found.files.keys())
        complete_added(*added)
        kept_names = give_back(self.store, self.settings, waiting)
        deselected = sum(map(self._is_deselected, removed))
        named = apply_names(self.store, self.folder, names, progress=progress)
        had_codes = self.hasher is not None
        if self.hasher is None:
            self.hasher = fit_codes(self.store, self.settings)
        else:
            self.hasher = complete_hasher(self.store, self.settings, self.hasher)
            if self.counts["faces"]:
                refresh_thresholds(self.store, self.settings, self.hasher)
        refresh_index(self.store, spaces(self.settings, self.hasher is not None))
        delete_thumbnails(self.store.directory, keep=self.store.may_keep_pictures)
        complete_dates(self.store, self.folder, self.found.files.keys(), progress=progress)
        with contextlib.suppress(FileInUseError):  # a search is running; the next run does it
            self.store.database.empty_log()
        return IndexReport(
            files=len(self.found.files),
            unchanged=self.counts["unchanged"],
            same_content=self.counts["same_content"],
            excluded=self.counts["excluded"],
            photos=self.counts["photos"],
            videos=self.counts["videos"],
            faces=self.counts["faces"],
            without_faces=self.counts["without_faces"],
            removed=len(removed) - deselected,
            deselected=deselected,
            names=named,
            kept_names=kept_names,
            unread=tuple(sorted(self.unread, key=lambda file: file.path)),
            damaged=tuple(sorted(self.damaged, key=lambda file: file.path)),
            still_unread=self._count_unread() - len(self.unread) + len(self.kept),
            codes_made=None if had_codes or self.hasher is None else self.settings.codes,
            links=tuple(self.found.links),
            closed=tuple(self.found.closed),
            passed_over=self.found.passed_over,
            missing_folders=tuple(away),
            seconds=time.monotonic() - start,
        )

    def _removed(self) -> tuple[set[Path], list[MissingFolder]]:
        """Return the stored files that are gone, and folders whose files stay although missing."""
        missing = self.missing | self._moved_here()
        if not missing:
            return set(), []
        rows = self.store.database.rows("SELECT path, photo_id, folder_inode FROM paths")
        photos = {path_of(path): photo for path, photo, _ in rows}
        inodes = {path_of(path): number for path, _, number in rows}
        elsewhere = {photo for path, photo in photos.items() if path not in missing} - {None}
        moved = {path for path in missing if photos.get(path) in elsewhere}
        selected = {path for path in self.indexed if not self._is_deselected(path)}
        away: list[MissingFolder] = []
        if not self.allow_missing:
            lost = selected & missing
            away = missing_folders(self.folder, selected, lost, selected & moved, inodes)
        return {
            path
            for path in missing & photos.keys()
            if path in moved
            or path not in selected
            or not any(path.is_relative_to(one.path) for one in away)
        }, away

    def _is_deselected(self, path: Path) -> bool:
        """Return whether a file is skipped or excluded, in a folder that is, or a video."""
        unwanted = is_video(path) and not self.settings.videos
        return unwanted or not self.skipped.isdisjoint((path, *path.parents))

    def _moved_here(self) -> set[Path]:
        """Return stored paths that no longer exist and whose content was found in the folder."""
        query = "SELECT path FROM paths JOIN photos ON photos.id = photo_id WHERE digest = ?"
        return {
            path
            for digest in self.known
            for (stored,) in self.store.database.rows(query, (digest,))
            if not os.path.lexists(path := path_of(stored))
        }

    def _count_unread(self) -> int:
        """Count the files of the folder that could not be read, in this run or before."""
        query = (
            "SELECT count(*) FROM paths LEFT JOIN photos ON photos.id = photo_id "  # noqa: S608
            f"WHERE coalesce(paths.reason, photos.reason) IS NOT NULL AND ({UNDER})"
        )
        return int(self.store.database.value(query, under(self.folder)))
