"""Reading photos on other machines, through any `concurrent.futures.Executor`.

The workers read, detect, crop and embed chunks of photos. This process receives the results in the
order of the files, and is the only one that writes the library.
"""

import math
import uuid
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path

import facehash
from facehash.errors import InputError, in_one_line
from facehash.images.video import is_video
from facehash.library.ingest.chunks import (
    Chunk,
    ReadChunk,
    ReadTask,
    environment_of,
    read_chunk,
)
from facehash.library.ingest.read import ReadOptions, ReadPhoto, unreadable_here
from facehash.library.ingest.workers import CRASHED, Job
from facehash.library.storage.settings import Settings
from facehash.library.storage.store import Store

_CHUNKS_AT_A_TIME = 64


@dataclass(frozen=True)
class Machines:
    """Where photos are read if not on this machine.

    Every worker needs facehash in the version of this process, the weights, and the photos at the
    same path. Subclasses know more about their workers, see
    `facehash.library.ingest.cluster.DaskMachines`.

    Args:
        executor: Runs functions on the workers, such as ``dask.distributed.Client.get_executor()``
            or ``mpi4py.futures.MPIPoolExecutor``. Of its futures only `result` and `cancel` are
            used.
        photos_per_chunk: How many photos a worker gets with one call. A video is a chunk by itself.

    Example:
        >>> with MPIPoolExecutor() as executor:  # doctest: +SKIP
        ...     index_folder(Path("/photos"), Path("lib"), machines=Machines(executor))
    """

    executor: Executor
    photos_per_chunk: int = 16

    def check(self, task: ReadTask, probe: Path | None) -> None:
        """Check the workers before the first chunk; here they are checked with their first one.

        Args:
            task: What all chunks have in common.
            probe: A file that this process can read, and so must the workers.

        Raises:
            InputError: A worker is refused, or there is none.
        """

    def chunks_at_a_time(self) -> int:
        """Return how many chunks are with the workers at a time, waiting ones included."""
        return _CHUNKS_AT_A_TIME

    def result(self, future: Future[ReadChunk]) -> ReadChunk | None:
        """Wait for a chunk.

        Returns:
            The results, or None if the workers that read it have died and it can be tried again.

        Raises:
            InputError: A worker is refused, or no worker is left.
        """
        try:
            return future.result()
        except BrokenExecutor as error:
            raise InputError(
                f"the executor has lost its workers ({in_one_line(error)}); what was read until "
                "then is stored, and the next run continues"
            ) from error


def read_task(folder: Path, options: ReadOptions, settings: Settings) -> ReadTask:
    """Return what the workers need to know about a run; they embed the faces as well."""
    return ReadTask(
        uuid.uuid4().hex,
        folder,
        replace(options, embed=True),
        environment_of(settings.detector_identity, settings.embedder_identity),
    )


def read_on(
    machines: Machines,
    jobs: Collection[Job],
    task: ReadTask,
    store: Store,
    chunks: int | None = None,
) -> Generator[ReadPhoto, None, None]:
    """Read files on other machines and yield the results in the order of the files.

    A chunk whose workers die is read again, one photo at a time, and a photo whose workers die once
    more is reported as ``crashed``. A photo that only crashes its decoder does not end a worker,
    see `facehash.library.ingest.chunks`.

    Args:
        machines: Where to read.
        jobs: Files with their size and time of change.
        task: What all chunks have in common.
        store: The library, of which no content is decoded again.
        chunks: How many chunks are with the workers at a time. Default: as `machines` suggests.

    Yields:
        One result per file.

    Raises:
        InputError: A worker is refused, or no worker is left.
    """
    if not jobs:
        return
    readable = (path for path, state in jobs if unreadable_here(path, state) is None)
    machines.check(task, next(readable, None))
    known = store.digests()
    by_size = store.digests_by_size({state.size for _, state in jobs})
    limit = chunks or machines.chunks_at_a_time()
    photos = max(1, min(machines.photos_per_chunk, math.ceil(len(jobs) / limit)))
    waiting = _chunks(jobs, photos)
    running: deque[tuple[tuple[Job, ...], Future[ReadChunk], bool]] = deque()

    def submit(part: tuple[Job, ...]) -> Future[ReadChunk]:
        # Not all digests: there may be a million.
        same_size = frozenset().union(*(by_size[state.size] for _, state in part))
        chunk = Chunk(task, part, same_size)
        return machines.executor.submit(read_chunk, facehash.__version__, chunk)

    try:
        while True:
            while len(running) < limit and (part := next(waiting, None)):
                running.append((part, submit(part), False))
            if not running:
                return
            limit = chunks or machines.chunks_at_a_time()  # machines come and go
            part, future, again = running[0]
            found = machines.result(future)
            running.popleft()
            if found is not None:
                for photo in found.photos:
                    yield _as_here(photo, found.worker, known)
            elif again:
                for path, state in part:
                    yield ReadPhoto(path, state, reason="crashed", detail=CRASHED)
            else:
                alone = [((job,), submit((job,)), True) for job in part]
                running.extendleft(reversed(alone))
    finally:
        for _, future, _ in running:
            future.cancel()


def _chunks(jobs: Iterable[Job], photos: int) -> Iterator[tuple[Job, ...]]:
    """Divide files into chunks, in their order; a video, which takes long, is one by itself."""
    part: list[Job] = []
    for job in jobs:
        if is_video(job[0]):
            if part:
                yield tuple(part)
            yield (job,)
            part = []
            continue
        part.append(job)
        if len(part) >= photos:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


def _as_here(photo: ReadPhoto, worker: str, known: Collection[bytes]) -> ReadPhoto:
    """Return a result as if this machine had read the photo.

    Args:
        photo: The result.
        worker: Who read the photo.
        known: Digests of contents that need no reading.
    """
    if photo.digest in known:
        return ReadPhoto(photo.path, photo.state, photo.digest, known=True)
    if photo.digest is not None or photo.reason not in ("missing", "unreadable"):
        return photo
    # A file that only the worker does not see must not count as deleted.
    detail = (
        f"worker {worker} cannot read it ({photo.detail}), but this machine can; every worker "
        "needs the photos at the same path"
    )
    return unreadable_here(photo.path, photo.state) or ReadPhoto(
        photo.path, photo.state, reason="unreadable", detail=detail
    )
