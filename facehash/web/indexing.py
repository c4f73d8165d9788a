"""Index runs that are started from the page, each in a process of its own: searching goes on."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from facehash.errors import InputError, Interrupted
from facehash.library.ingest.report import IndexReport
from facehash.library.ingest.update import index_folder
from facehash.library.storage.store import Store
from facehash.printing import listen_to_progress
from facehash.web.models import RunInfo
from facehash.web.options import ServeOptions
from facehash.web.paths import without_paths
from facehash.web.threads import settle

_BETWEEN_REPORTS = 0.25

Ending = Literal["done", "stopped", "failed"]
"""How a run ends."""


class IndexRuns:
    """The index run of a server, one at a time.

    Args:
        options: How the library is served.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._process: Any = None
        self._thread: threading.Thread | None = None
        self._started = time.monotonic()
        self._info = RunInfo(
            state="none", folder="", what="", done=0, total=None, seconds=0, message=""
        )

    def info(self) -> RunInfo:
        """Return how far the run is, or how the last one ended."""
        with self._lock:
            if self._info.state in ("running", "stopping"):
                self._info.seconds = time.monotonic() - self._started
            return self._info.model_copy()

    def start(self, folder: Path, *, retry: bool = False) -> None:
        """Start a run.

        Raises:
            InputError: One is running already, or there is no such folder.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        with self._lock:
            if self._info.state in ("running", "stopping"):
                raise InputError("an index run is going on already")
            context = multiprocessing.get_context("spawn")
            connection, other = context.Pipe(duplex=False)
            # Not a daemon: it has worker processes of its own.
            self._process = context.Process(
                target=_run, args=(other, folder, self._options, retry), daemon=False
            )
            _start_without_interrupts(self._process)
            other.close()
            self._started = time.monotonic()
            self._info = RunInfo(
                state="running", folder=folder.name, what="starting", done=0, total=None,
                seconds=0, message="",
            )  # fmt: skip
            self._thread = threading.Thread(target=self._watch, args=(connection,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the run; the photos read so far stay in the library."""
        with self._lock:
            if self._info.state == "running":
                self._info.state, self._info.what = "stopping", "stopping"
                os.kill(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """Stop the run and wait for its end."""
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def _watch(self, connection: Connection) -> None:
        state: Ending = "failed"
        message = "the process that read the photos died"
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, *values = connection.recv()
                if kind == "progress":
                    what, done, total = values
                    with self._lock:
                        if self._info.state == "running":
                            self._info.what = what
                        self._info.done, self._info.total = done, total
                else:
                    state, message = kind, values[0]
        self._process.join()
        with self._lock:
            self._info.seconds = time.monotonic() - self._started
            self._info.state = state
            self._info.message = without_paths(message, self._options.library)


def _run(connection: Connection, folder: Path, options: ServeOptions, retry: bool) -> None:
    """Index a folder and report to the server; runs in a process of its own."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report = _Reporter(connection)
    try:
        _allow_interrupts()
        with listen_to_progress(report):
            done = index_folder(
                folder,
                options.library,
                retry=retry,
                progress=False,
                make_pipeline=options.make_pipeline,
            )
            with Store.open(options.library) as store:
                settle(store, always=True)
        connection.send(("done", _in_words(done)))
    except (KeyboardInterrupt, Interrupted):
        connection.send(("stopped", "the photos read so far are in the library"))
    except (InputError, OSError) as error:
        connection.send(("failed", " ".join(str(error).split())))
    except Exception as error:
        connection.send(("failed", f"{type(error).__name__}: {error}"))
        raise


def _start_without_interrupts(process: Any) -> None:
    """Start a process in which an interruption waits until it is ready for one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        process.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _allow_interrupts() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class _Reporter:
    """Sends progress to the server, not more often than somebody can read it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._last >= _BETWEEN_REPORTS or done == total:
            self._last = now
            self._connection.send(("progress", what, done, total))


def _in_words(report: IndexReport) -> str:
    parts = [f"{report.photos:,} new photos with {report.faces:,} faces"]
    for number, what in (
        (report.unchanged, "unchanged"),
        (report.removed, "removed, as they are gone"),
        (sum(report.failed.values()), "could not be read"),
    ):
        if number:
            parts.append(f"{number:,} files {what}")
    return "; ".join(parts)


def _stop_with_parent() -> None:
    """Stop as after Ctrl-C when the server is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGINT)
