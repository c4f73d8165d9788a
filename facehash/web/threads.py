"""Threads that use the library, so that the server itself never waits.

SQLite connections belong to the thread that opened them. One thread searches, as it holds the
embedder and the index; a few read pages; one writes, with the lock that commands take, too.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from facehash.errors import InputError
from facehash.library.derived.engines import push
from facehash.library.ingest.isolated import IsolatedReader
from facehash.library.query.encoder import query_detector
from facehash.library.query.library import Library, open_library
from facehash.library.storage.engines import list_engines
from facehash.library.storage.folder import write_lock
from facehash.library.storage.settings import Settings, read_settings
from facehash.library.storage.store import Store
from facehash.web.options import ServeOptions

_Result = TypeVar("_Result")
_READERS = 4

log = logging.getLogger(__name__)


class Threads:
    """The threads of a server.

    Args:
        options: How the library is served.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self.closing = False  # streams end then
        self._searching = ThreadPoolExecutor(1, "search")
        self._reading = ThreadPoolExecutor(_READERS, "read")
        self._writing = ThreadPoolExecutor(1, "write")
        # Uploads and photos have a process each, and do not wait for each other.
        self._uploading = ThreadPoolExecutor(1, "upload")
        self._decoding = ThreadPoolExecutor(1, "decode")
        # To find a frame of a long video takes seconds, in which photos do not wait.
        self._filming = ThreadPoolExecutor(1, "film")
        self._pools = (
            self._searching, self._reading, self._writing, self._uploading, self._decoding,
            self._filming,
        )  # fmt: skip
        self._local = threading.local()
        self._library: Library | None = None  # of the searching thread
        self._readers: dict[str, IsolatedReader] = {}
        self._reader_lock = threading.Lock()

    async def search(self, task: Callable[[Library], _Result]) -> _Result:
        """Run a task that searches the library.

        Raises:
            LibraryError: The library is empty or damaged, or its embedder cannot be made.
        """
        return await _in(self._searching, lambda: task(self._current_library()))

    async def read(self, task: Callable[[Store], _Result]) -> _Result:
        """Run a task that reads the library."""
        return await _in(self._reading, lambda: task(self._store()))

    async def write(self, task: Callable[[Store], _Result]) -> _Result:
        """Run a task that writes to the library, and then do what commands do after writing.

        Raises:
            FileInUseError: Another process writes to the library.
        """
        done = await _in(self._writing, lambda: self._write(task))
        # The index of the searching thread may still map what was forgotten.
        await _in(self._searching, self._drop_stale_index)
        return done

    async def decode(self, task: Callable[[IsolatedReader], _Result]) -> _Result:
        """Run a task that decodes an upload."""
        return await _in(self._uploading, lambda: task(self._reader("upload")))

    async def decode_of(
        self, task: Callable[[IsolatedReader, Store], _Result], *, video: bool = False
    ) -> _Result:
        """Run a task that decodes photos of the library, or frames of its videos."""
        pool, kind = (self._filming, "video") if video else (self._decoding, "photo")
        return await _in(pool, lambda: task(self._reader(kind), self._store()))

    async def close(self) -> None:
        """Finish what runs, and close the library."""
        self.closing = True
        with self._reader_lock:
            for reader in self._readers.values():
                reader.close()
        await _in(self._searching, self._close_library)
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def _current_library(self) -> Library:
        if self._library is not None:
            settings = read_settings(self._library.store.database)
            if settings == self._library.settings:
                return self._library
            self._close_library()  # codes were added, for example
        self._library = open_library(
            self._options.library,
            engine=self._options.engine,
            make_pipeline=self._options.make_pipeline,
        )
        return self._library

    def _close_library(self) -> None:
        if self._library is not None:
            self._library.close()
            self._library = None

    def _drop_stale_index(self) -> None:
        if self._library is not None:
            self._library.refresh()

    def _store(self) -> Store:
        if not hasattr(self._local, "store"):
            self._local.store = Store.open(self._options.library)
        store: Store = self._local.store
        return store

    def _write(self, task: Callable[[Store], _Result]) -> _Result:
        store = self._store()
        try:
            with write_lock(self._options.library, "serve"):
                return task(store)
        finally:
            settle(store)

    def _reader(self, kind: str) -> IsolatedReader:
        with self._reader_lock:
            if kind not in self._readers:
                self._readers[kind] = _new_reader(self._options, self._store().settings())
            return self._readers[kind]


def settle(store: Store, *, always: bool = False) -> None:
    """Erase on the servers of a library what was forgotten; a failure is logged and stays pending.

    Args:
        store: The library.
        always: Bring all servers up to date, as after an index run.
    """
    for engine in list_engines(store.database):
        if not (always or engine.pending_erase):
            continue
        try:
            push(store, engine.name, progress=False)
        except InputError as error:
            log.warning(f"engine {engine.name}: not up to date: {error}")


def _new_reader(options: ServeOptions, settings: Settings) -> IsolatedReader:
    spec = options.make_pipeline(query_detector(settings), settings.embedder)
    return IsolatedReader(spec, settings.crop, settings.side)


async def _in(pool: ThreadPoolExecutor, task: Callable[[], _Result]) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(pool, task)


def make_library(directory: Path) -> None:
    """Create the library if there is none, so that its page can greet.

    Raises:
        LibraryError: The folder contains something else, or a damaged library.
    """
    Store.create(directory).close()
