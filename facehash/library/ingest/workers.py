"""Reading photos in several processes; a file that crashes a process does not stop the others."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from facehash.errors import InputError
from facehash.files import FileState
from facehash.library.ingest.read import PhotoReader, ReadOptions, ReadPhoto

# Enough queued jobs that no worker idles while the parent embeds a batch.
_JOBS_PER_WORKER = 4

Job = tuple[Path, FileState]
_Result = TypeVar("_Result")

CRASHED = "the process that read it died"
"""The detail of a photo that was not read because its process died twice."""


def read_photos(
    jobs: Iterable[Job], options: ReadOptions, known: Collection[bytes], workers: int
) -> Generator[ReadPhoto, None, None]:
    """Read files and yield the results in the order of the files.

    A worker that dies, because of a bug in a decoder or too little memory, is replaced. The files
    being read at that time are then read one at a time, and a file whose worker dies again is
    reported as ``crashed``.

    Args:
        jobs: Files with their size and time of change.
        options: How to read them.
        known: Digests of contents that are not decoded again.
        workers: Number of processes; 1 reads in this process.

    Yields:
        One result per file.

    Raises:
        InputError: No worker can be started.
    """
    if workers == 1:
        reader = PhotoReader(options, known)
        for job in jobs:
            yield reader.read(*job)
        return
    waiting, suspects = deque(jobs), deque[Job]()
    while waiting or suspects:
        if suspects:
            yield from _read_alone(suspects, options, known)
        else:
            yield from _read_together(waiting, suspects, options, known, workers)


def _read_together(
    waiting: deque[Job],
    suspects: deque[Job],
    options: ReadOptions,
    known: Collection[bytes],
    workers: int,
) -> Iterator[ReadPhoto]:
    """Read until all files are read or a worker dies; `suspects` are then the unfinished files."""
    running: deque[tuple[Job, Future[ReadPhoto]]] = deque()
    pool = _start(workers, options, known)
    try:
        while waiting or running:
            while waiting and len(running) < _JOBS_PER_WORKER * workers:
                future = submit(pool, _read, *waiting[0])
                running.append((waiting.popleft(), future))
            result = running[0][1].result()
            running.popleft()
            yield result
    except BrokenProcessPool:
        suspects.extend(job for job, _ in running)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_alone(
    suspects: deque[Job], options: ReadOptions, known: Collection[bytes]
) -> Iterator[ReadPhoto]:
    """Read one file at a time until all are read or the worker dies, and report its file."""
    pool = _start(1, options, known)
    try:
        while suspects:
            path, state = suspects.popleft()
            try:
                result = submit(pool, _read, path, state).result()
            except BrokenProcessPool:
                yield ReadPhoto(path, state, reason="crashed", detail=CRASHED)
                return
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _start(workers: int, options: ReadOptions, known: Collection[bytes]) -> ProcessPoolExecutor:
    try:
        return start_pool(workers, _prepare, options, frozenset(known))
    except BrokenProcessPool as error:
        # Otherwise every photo would be reported as crashed.
        raise InputError(
            "worker processes cannot be started; use --workers 1, or protect the script with "
            "if __name__ == '__main__':"
        ) from error


def start_pool(
    workers: int, initializer: Callable[..., None], *arguments: Any
) -> ProcessPoolExecutor:
    """Start processes and wait until one of them has called `initializer`.

    Raises:
        BrokenProcessPool: The processes die while they start.
    """
    # Spawned, not forked: a fork would copy locks held by threads of OpenCV and FAISS.
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=initializer,
        initargs=arguments,
    )
    try:
        submit(pool, _do_nothing).result()
    except BrokenProcessPool:
        pool.shutdown()
        raise
    return pool


def submit(pool: ProcessPoolExecutor, task: Callable[..., _Result], *args: Any) -> Future[_Result]:
    """Submit a task while SIGINT is blocked, so that a worker started for it ignores Ctrl-C.

    Ctrl-C reaches the whole process group, and a worker that is still starting would print a
    traceback. It inherits the blocked signal from this process.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return pool.submit(task, *args)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return pool.submit(task, *args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_reader: PhotoReader | None = None


def _prepare(options: ReadOptions, known: frozenset[bytes]) -> None:
    global _reader
    follow_parent()
    _reader = PhotoReader(options, known)
    use_one_thread()


def follow_parent() -> None:
    """Let only the parent handle Ctrl-C, and exit when it is gone; called in a new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def use_one_thread() -> None:
    """Let OpenCV use one thread: there is already one process per processor."""
    opencv = sys.modules.get("cv2")
    if opencv is not None:
        opencv.setNumThreads(1)


def _do_nothing() -> None:
    """Return, which shows that the worker has started."""


def _exit_with_parent() -> None:
    """Exit when the parent is gone, even after kill -9; the queue would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _read(path: Path, state: FileState) -> ReadPhoto:
    if _reader is None:
        raise RuntimeError("this worker is not initialized")
    return _reader.read(path, state)
