"""Reading a chunk of photos on a worker of an executor, which may be on another machine.

Photos are decoded in a process of their own beside the worker, so that a photo that crashes it does
not take the worker with it. The process is kept for the next chunk, and ended when none comes.
"""

import asyncio
import contextlib
import functools
import multiprocessing
import multiprocessing.util
import os
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import facehash
from facehash.embedders.sface_engines import engine_versions
from facehash.errors import InputError
from facehash.files import FileState
from facehash.images.read import known_formats
from facehash.library.ingest.read import PhotoReader, ReadOptions, ReadPhoto
from facehash.library.ingest.workers import (
    CRASHED,
    Job,
    follow_parent,
    start_pool,
    submit,
    use_one_thread,
)

_IDLE = 60.0
"""Seconds after which a process without photos to read ends."""


class WorkerRefusedError(InputError):
    """A worker that would read photos in another way, or cannot read them; the message names it."""


class Environment(NamedTuple):
    """What the results of a machine depend on."""

    detector: str  # identities, with the SHA-256 of the weights
    embedder: str
    formats: tuple[str, ...]  # of pictures, see `known_formats`
    engines: str  # libraries that run the networks, with their versions


@dataclass(frozen=True)
class ReadTask:
    """What all chunks of a run have in common; passed to the workers."""

    run: str  # identifies the run
    folder: Path  # every worker must see it
    options: ReadOptions
    environment: Environment  # of the machine that writes the library


@dataclass(frozen=True)
class Chunk:
    """Photos that a worker reads together."""

    task: ReadTask
    jobs: tuple[Job, ...]
    known: frozenset[bytes]  # digests of contents that are not decoded


class ReadChunk(NamedTuple):
    """The results of a chunk, one per photo and in the same order."""

    worker: str
    photos: list[ReadPhoto]


def read_chunk(version: str, chunk: Chunk) -> ReadChunk:
    """Read a chunk; called on a worker.

    Args:
        version: That of facehash on the machine that writes the library.
        chunk: The photos.

    Raises:
        WorkerRefusedError: This worker has another version of facehash, other weights, or lacks a
            decoder, or it does not see the folder of the photos.
    """
    name = worker_name()
    with _named(name), _reader_for(version, chunk.task) as reader:
        return ReadChunk(name, reader.read(chunk.jobs, chunk.known))


async def check_worker(
    version: str, task: ReadTask, probes: Sequence[Path], dask_worker: Any = None
) -> str:
    """Check a worker before it gets photos; called on it.

    Args:
        version: As for `read_chunk`.
        task: What will be read.
        probes: Files that the machine that writes the library can read.
        dask_worker: The worker, given by Dask.

    Returns:
        The libraries that run the networks on the worker, see `Environment.engines`.

    Raises:
        WorkerRefusedError: As for `read_chunk`; or the worker cannot read one of the files.
    """
    name = worker_name() if dask_worker is None else str(dask_worker.address)
    return await asyncio.to_thread(_check, name, version, task, probes)


def _check(name: str, version: str, task: ReadTask, probes: Sequence[Path]) -> str:
    with _named(name), _reader_for(version, task) as reader:
        for path in probes:
            try:
                path.open("rb").close()
            except OSError as error:
                raise InputError(_unseen(path, error.strerror or str(error))) from error
        return reader.environment.engines


def worker_name() -> str:
    """Return the address of this Dask worker; elsewhere, the machine and the process."""
    if "distributed" in sys.modules:
        from distributed import get_worker

        with contextlib.suppress(ValueError):  # not in a task
            return str(get_worker().address)
    return f"{socket.gethostname()}:{os.getpid()}"


@contextlib.contextmanager
def _named(worker: str) -> Iterator[None]:
    """Add the name of the worker to errors."""
    try:
        yield
    except InputError as error:
        raise WorkerRefusedError(f"worker {worker}: {error}") from None


def _unseen(path: Path, problem: str) -> str:
    return (
        f"cannot read {path} ({problem}); every worker needs the photos at the same path as this "
        "machine, on a network drive for example"
    )


@contextlib.contextmanager
def _reader_for(version: str, task: ReadTask) -> "Iterator[_Reader]":
    """Lend a process that reads photos, and check that it reads them as the task expects.

    Raises:
        InputError: It would read them in another way, or cannot.
    """
    if version != facehash.__version__:
        raise InputError(
            f"has facehash {facehash.__version__}, not {version} as the machine that writes the "
            f"library; there: pip install facehash=={version}"
        )
    if not task.folder.is_dir():
        raise InputError(_unseen(task.folder, "no such folder"))
    reader = _take(task)
    try:
        reader.check(task.environment)
        yield reader
    except BaseException:
        reader.close()
        raise
    _keep(reader)


class _Reader:
    """A process that reads photos; it is replaced when a photo ends it."""

    def __init__(self, task: ReadTask) -> None:
        _allow_children()
        self._options = task.options
        self.run = task.run
        self.since = 0.0  # when it was last used
        self._pool, self.environment = self._start()
        _readers.add(self)

    def check(self, expected: Environment) -> None:
        """Raise an InputError unless this machine reads photos as another one does."""
        for mine, other in zip(self.environment[:2], expected[:2], strict=True):
            if mine != other:
                raise InputError(f"has {mine}, not {other} as the machine that writes the library")
        lacking = sorted(set(expected.formats) - set(self.environment.formats))
        if lacking:
            raise InputError(
                f"cannot decode {', '.join(lacking)}, as the machine that writes the library can; "
                "install the same extras there, such as facehash[heic]"
            )

    def read(self, jobs: Sequence[Job], known: Collection[bytes]) -> list[ReadPhoto]:
        """Read photos; one that ends the process twice is reported as ``crashed``."""
        try:
            self._begin(known)
        except BrokenProcessPool:  # it has died since the last chunk
            self._restart(known)
        return [self._read(path, state, known) for path, state in jobs]

    def close(self) -> None:
        """End the process, after the photo that it reads."""
        self._pool.shutdown(cancel_futures=True)
        _readers.discard(self)

    def _read(self, path: Path, state: FileState, known: Collection[bytes]) -> ReadPhoto:
        for _ in range(2):
            try:
                return submit(self._pool, _read, path, state).result()
            except BrokenProcessPool:
                self._restart(known)
        return ReadPhoto(path, state, reason="crashed", detail=CRASHED)

    def _restart(self, known: Collection[bytes]) -> None:
        self._pool.shutdown()
        self._pool, _ = self._start()
        self._begin(known)

    def _begin(self, known: Collection[bytes]) -> None:
        # Contents of earlier chunks are decoded again: their results may have been lost.
        submit(self._pool, _begin, frozenset(known)).result()

    def _start(self) -> tuple[ProcessPoolExecutor, Environment]:
        try:
            pool = start_pool(1, follow_parent)
            try:
                return pool, submit(pool, _open, self._options).result()
            except BaseException:
                pool.shutdown()
                raise
        except BrokenProcessPool as error:
            raise InputError(
                "its process that reads photos ends while it starts; is there too little memory?"
            ) from error


def _allow_children() -> None:
    """Let this process start others: Dask declares its workers daemons, which may not."""
    process = multiprocessing.current_process()
    if process.daemon:
        process.daemon = False
    _close_at_exit()


@functools.cache
def _close_at_exit() -> None:
    # A process of multiprocessing, such as a Dask worker, waits for its children when it ends.
    multiprocessing.util.Finalize(None, _close_all, exitpriority=100)


def _close_all() -> None:
    for reader in list(_readers):
        reader.close()


_readers: "set[_Reader]" = set()
_lock = threading.Lock()
_idle: list[_Reader] = []
_sweeping = False


def _take(task: ReadTask) -> _Reader:
    with _lock:
        found = next((one for one in _idle if one.run == task.run), None)
        if found is not None:
            _idle.remove(found)
            return found
    return _Reader(task)


def _keep(reader: _Reader) -> None:
    """Keep a process for the next chunk, which another thread may read."""
    global _sweeping
    reader.since = time.monotonic()
    with _lock:
        _idle.append(reader)
        if not _sweeping:
            _sweeping = True
            threading.Thread(target=_end_idle, daemon=True).start()


def _end_idle() -> None:
    """End processes that have had nothing to do for a while, until none is left."""
    global _sweeping
    while True:
        time.sleep(_IDLE / 4)
        with _lock:
            old = [one for one in _idle if time.monotonic() - one.since > _IDLE]
            _idle[:] = [one for one in _idle if one not in old]
            _sweeping = more = bool(_idle)
        for reader in old:
            reader.close()
        if not more:
            return


# In the process that reads photos.

_photo_reader: PhotoReader | None = None


def _open(options: ReadOptions) -> Environment:
    """Make the detector and the embedder.

    Raises:
        InputError: An unknown name, or missing or other weights.
    """
    global _photo_reader
    # One thread each, as many such processes run at a time, and no claim to a whole GPU.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _photo_reader = PhotoReader(options, ())
    use_one_thread()
    detector, embedder = _photo_reader.identities
    return environment_of(detector, embedder or "")


def environment_of(detector: str, embedder: str) -> Environment:
    """Return the environment of this process for a detector and an embedder of these identities."""
    return Environment(detector, embedder, known_formats(), engine_versions(embedder))


def _begin(known: frozenset[bytes]) -> None:
    _opened().start(known)


def _read(path: Path, state: FileState) -> ReadPhoto:
    return _opened().read(path, state)


def _opened() -> PhotoReader:
    if _photo_reader is None:
        raise RuntimeError("this process is not initialized")
    return _photo_reader
