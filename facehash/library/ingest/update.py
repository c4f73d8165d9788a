"""One run over a folder: what is new is read, what is gone taken out, the rest follows."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from facehash.embedders.base import Embedder
from facehash.errors import Interrupted
from facehash.files import FileInUseError
from facehash.hashing import LinearHash
from facehash.images.scan import FileState, Scan
from facehash.library.derived.arrays import refresh_index, spaces
from facehash.library.derived.codes import fit_codes, read_hasher
from facehash.library.ingest.batch import Batch
from facehash.library.ingest.read import ReadOptions, ReadPhoto
from facehash.library.ingest.report import IndexReport
from facehash.library.ingest.workers import read_photos
from facehash.library.people.names import Names, apply_names, without_face
from facehash.library.storage.database import LibraryError
from facehash.library.storage.records import UNDER, UnreadFile, bytes_of, path_of, under
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store
from facehash.pipeline import PipelineSpec


class Update:
    """One run over a folder: read what is new, then let the rest of the library follow."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        embedder: Embedder,
        spec: PipelineSpec,
        folder: Path,
        found: Scan,
    ) -> None:
        self.store, self.settings, self.embedder = store, settings, embedder
        self.spec, self.folder, self.found = spec, folder, found
        self.hasher: LinearHash | None = read_hasher(store.database, settings)
        self.counts: Counter[str] = Counter()
        self.unread: list[UnreadFile] = []
        self.gone: set[Path] = set()
        self.known_again: set[bytes] = set()
        self.seen: set[bytes] = set()
        bad = "SELECT digest, reason, detail FROM photos WHERE reason IS NOT NULL"
        self.bad: dict[bytes, tuple[str, str]] = {
            digest: (reason, detail or "") for digest, reason, detail in store.database.rows(bad)
        }

    def read(self, workers: int, retry: bool, progress: bool) -> None:
        """Read, embed and store what is new."""
        if retry:
            self._drop_failed()
        jobs = self._jobs()
        excluded = {one for (one,) in self.store.database.rows("SELECT digest FROM excluded")}
        settings = self.settings
        options = ReadOptions(self.spec, settings.crop, settings.side, self.embedder.light)
        batch = Batch(self.store, self.embedder, self.settings, self.hasher)
        photos = read_photos(jobs, options, self.store.digests(), min(workers, max(1, len(jobs))))
        try:
            with (
                contextlib.closing(photos),
                tqdm(
                    total=len(jobs),
                    desc="indexing",
                    unit=" photos",
                    disable=None if progress else True,
                    delay=1,
                ) as bar,
            ):
                for photo in photos:
                    if photo.digest in excluded:
                        self.counts["excluded"] += 1
                    else:
                        self._take(photo, batch)
                    bar.update()
                    rate = batch.faces / max(bar.format_dict["elapsed"], 1e-3)
                    bar.set_postfix_str(f"{rate:.1f} faces/s", refresh=False)
                batch.flush()
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {batch.stored} new photos are in {self.store.directory}, "
                "and the same command goes on from there"
            ) from None
        self.counts["photos"], self.counts["faces"] = batch.photos, batch.faces
        self.counts["without_faces"] = batch.without_faces
        self.unread += batch.failed

    def _jobs(self) -> list[tuple[Path, FileState]]:
        """List the files that are new or look changed, and note those that are gone."""
        known = self.store.files_under(self.folder)
        if known and not self.found.files:
            raise LibraryError(
                f"{self.folder}: no photos there any more, but the library has {len(known)} of "
                "them; is a drive missing? (facehash forget --photo FOLDER takes them out)"
            )
        self.gone = {
            path
            for path in known.keys() - self.found.files.keys()
            if not any(path.is_relative_to(folder) for folder in self.found.closed)
        }
        jobs = [
            (path, state)
            for path, state in self.found.files.items()
            if known.get(path) != (state, True)
        ]
        self.counts["unchanged"] = len(self.found.files) - len(jobs)
        return jobs

    def _take(self, photo: ReadPhoto, batch: Batch) -> None:
        """Count what was read, and hand it on to be embedded and stored."""
        if photo.reason == "missing":
            self.gone.add(photo.path)
            return
        if photo.reason == "crashed":
            # Known by its content, it does not crash the next run again.
            with contextlib.suppress(OSError), photo.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                photo = dataclasses.replace(photo, digest=digest)
        if photo.digest in self.seen:
            # Two workers have read copies of it at once.
            photo = dataclasses.replace(photo, faces=(), crops=None, reason=None, known=True)
        if photo.digest is not None:
            self.seen.add(photo.digest)
        if photo.reason is not None:
            why = (photo.reason, photo.detail or "")
            self.unread.append(UnreadFile(photo.path, *why))
            if photo.digest is not None:
                self.bad[photo.digest] = why
        elif photo.known and photo.digest is not None:
            self.known_again.add(photo.digest)
            if photo.digest in self.bad:
                self.unread.append(UnreadFile(photo.path, *self.bad[photo.digest]))
            else:
                self.counts["same_content"] += 1
        batch.add(photo)

    def _drop_failed(self) -> None:
        """Let go of what could not be read, so that it is new again."""
        with self.store.database.transaction():
            self.store.database.run(
                "DELETE FROM photos WHERE reason IS NOT NULL AND id IN "  # noqa: S608
                f"(SELECT photo_id FROM paths WHERE {UNDER})",
                under(self.folder),
            )
            self.store.database.run(
                f"DELETE FROM paths WHERE photo_id IS NULL AND ({UNDER})",  # noqa: S608
                under(self.folder),
            )

    def _moved_here(self) -> set[Path]:
        """Return files elsewhere that are gone and whose content was found here."""
        return {
            path
            for digest in self.known_again
            for (stored,) in self.store.database.rows(
                "SELECT path FROM paths JOIN photos ON photos.id = photo_id WHERE digest = ?",
                (digest,),
            )
            if not os.path.lexists(path := path_of(stored))
        }

    def finish(self, source: Names, start: float) -> IndexReport:
        """Take out what is gone; make codes, names and index files follow."""
        gone = self.gone | self._moved_here()
        known = {path for path in gone if self._is_stored(path)}
        # Also without any: photos whose file now holds another content are gone as well.
        self.store.remove_files(known)
        named = apply_names(self.store, self.folder, source)
        had_codes = self.hasher is not None
        if not had_codes:
            self.hasher = fit_codes(self.store, self.settings)
        refresh_index(self.store, spaces(self.settings, self.hasher is not None))
        with contextlib.suppress(FileInUseError):  # somebody is searching; the next run does it
            self.store.database.empty_log()
        return IndexReport(
            files=len(self.found.files),
            unchanged=self.counts["unchanged"],
            same_content=self.counts["same_content"],
            excluded=self.counts["excluded"],
            photos=self.counts["photos"],
            faces=self.counts["faces"],
            without_faces=self.counts["without_faces"],
            removed=len(known),
            named=named,
            unread=tuple(sorted(self.unread, key=lambda file: file.path)),
            still_unread=self._count_unread() - len(self.unread),
            codes_made=None if had_codes or self.hasher is None else self.settings.codes,
            links=tuple(self.found.links),
            closed=tuple(self.found.closed),
            unnamed=tuple(without_face(self.store, source)),
            seconds=time.monotonic() - start,
        )

    def _count_unread(self) -> int:
        """Count the files of the folder that could not be read, in this run or before."""
        query = (
            "SELECT count(*) FROM paths LEFT JOIN photos ON photos.id = photo_id "  # noqa: S608
            f"WHERE coalesce(paths.reason, photos.reason) IS NOT NULL AND ({UNDER})"
        )
        return int(self.store.database.value(query, under(self.folder)))

    def _is_stored(self, path: Path) -> bool:
        stored = self.store.database.value("SELECT 1 FROM paths WHERE path = ?", (bytes_of(path),))
        return stored is not None
