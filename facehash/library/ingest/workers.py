"""Reading photos in several processes, which a file that crashes one of them does not stop."""

from __future__ import annotations

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

# Enough waiting jobs that no worker idles while the parent embeds a batch.
_JOBS_A_WORKER = 4

Job = tuple[Path, FileState]
_Result = TypeVar("_Result")


def read_photos(
    jobs: Iterable[Job], options: ReadOptions, known: Collection[bytes], workers: int
) -> Generator[ReadPhoto, None, None]:
    """Read files, in their order: a library does not depend on which worker was faster.

    A worker that dies, of a decoder's bug or for want of memory, is replaced; the files that were
    being read are then read one at a time, and the one that kills its worker again is reported as
    ``crashed``.

    Args:
        jobs: Files with their size and time of change.
        options: How they are read.
        known: Digests of contents that need not be decoded.
        workers: Processes; 1 reads in this one.

    Yields:
        One result a file.

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
    """Read until all is done or a worker dies; then leave what was being read in `suspects`."""
    running: deque[tuple[Job, Future[ReadPhoto]]] = deque()
    pool = _start(workers, options, known)
    try:
        while waiting or running:
            while waiting and len(running) < _JOBS_A_WORKER * workers:
                future = _submit(pool, _read, *waiting[0])
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
    """Read one at a time until all are done or the worker dies, whose file is then known."""
    pool = _start(1, options, known)
    try:
        while suspects:
            path, state = suspects.popleft()
            try:
                result = _submit(pool, _read, path, state).result()
            except BrokenProcessPool:
                detail = "the process that read it died"
                yield ReadPhoto(path, state, reason="crashed", detail=detail)
                return
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _start(workers: int, options: ReadOptions, known: Collection[bytes]) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork copies the locks of OpenCV's and FAISS's threads as they stand.
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(options, frozenset(known)),
    )
    try:
        _submit(pool, _greet).result()
    except BrokenProcessPool as error:
        pool.shutdown()
        # Without this, every photo would seem to crash its worker.
        raise InputError(
            "worker processes cannot be started; use one worker, or begin the script with "
            "if __name__ == '__main__':"
        ) from error
    return pool


def _submit(pool: ProcessPoolExecutor, task: Callable[..., _Result], *args: Any) -> Future[_Result]:
    """Hand a task on; a worker that is started for it never hears of Ctrl-C.

    Ctrl-C reaches the whole group, and a worker that has only just begun would print a traceback:
    it inherits that the signal is held back, which here lasts for the blink of the call.
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
    """Set a worker up."""
    global _reader
    # The parent alone decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _reader = PhotoReader(options, known)
    opencv = sys.modules.get("cv2")
    if opencv is not None:
        # As many workers as processors are busy already.
        opencv.setNumThreads(1)


def _greet() -> None:
    """Do nothing: the worker that answers is able to work."""


def _leave_with_parent() -> None:
    """End this worker when its parent is gone, also by kill -9; the queue would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _read(path: Path, state: FileState) -> ReadPhoto:
    if _reader is None:
        raise RuntimeError("this worker was not prepared")
    return _reader.read(path, state)
