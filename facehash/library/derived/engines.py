"""Keeps the indexes on servers up to date with a library: ``facehash engine push``."""

import contextlib
import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from facehash.hashing import LinearHash
from facehash.index.engines.address import Address
from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    CannotEraseError,
    EngineError,
    Identity,
    LostRaceError,
    RemoteIndex,
)
from facehash.index.engines.connect import connect
from facehash.library.derived import outbox
from facehash.library.derived.arrays import spaces
from facehash.library.derived.codes import read_hasher
from facehash.library.storage import engines as registry
from facehash.library.storage.database import LibraryError
from facehash.library.storage.engines import Engine
from facehash.library.storage.store import Column, Store
from facehash.printing import progress as progress_bar
from facehash.vectors import Ids, Space

_ATTEMPTS = 20
_PAUSE = 0.2
"""Longest pause in seconds after another writer was first."""


@dataclass(frozen=True)
class Pushed:
    """What a push has done.

    Attributes:
        sent: Number of faces that were sent.
        removed: Number of faces whose removal was sent.
        rebuilt: Whether the index was built from the start.
        erased: Whether removed rows were erased from the server's files.
        remains: What may still hold removed rows after that, in a sentence, or empty.
        cannot_erase: Why the server cannot erase them, or empty.
    """

    sent: int
    removed: int
    rebuilt: bool
    erased: bool = False
    remains: str = ""
    cannot_erase: str = ""


@dataclass(frozen=True)
class Status:
    """The state of an engine.

    Attributes:
        server: Kind and version of the server.
        faces: Number of faces in its index.
        generation: Its generation, or None if it was never filled.
        behind: Number of changed faces that it does not have yet, or None if its index must be
            built again.
        bytes: Storage that the index needs on the server.
    """

    server: str
    faces: int
    generation: int | None
    behind: int | None
    bytes: int


def identity_of(store: Store, column: Column) -> Identity:
    """Return what the rows of a library are, as an engine stores it.

    Codes of a hasher are named by a digest of the arrays that they depend on; neither the scale of
    the projections nor a threshold changes a code.

    Raises:
        LibraryError: The library is empty or has no such rows.
    """
    settings = store.settings()
    hasher = read_hasher(store.database, settings)
    found = spaces(settings, hasher is not None)
    if column not in found:
        raise LibraryError(
            f"{store.directory}: has no {column}s, only {' and '.join(f'{one}s' for one in found)}"
        )
    made_by = settings.embedder_identity
    if column == "code" and hasher is not None:
        made_by = f"{made_by} {settings.codes} {_digest(hasher)}"
    return Identity(registry.library_id(store.database), found[column], made_by)


def _digest(hasher: LinearHash) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(hasher.arrays().items()):
        if name not in ("scale", "format"):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def opened(
    store: Store, engine: Engine, address: Address | None = None, *, replace: bool = False
) -> Iterator[RemoteIndex]:
    """Connect to the index of a library on a server.

    Args:
        store: The library.
        engine: The server.
        address: Its address with the password. Default: with the password in the environment.
        replace: See `facehash.index.engines.connect.connect`.

    Raises:
        EngineError: No usable answer, or the index there belongs to something else.
        InputError: The client of this kind of server is not installed.
    """
    index = connect(address or engine.address, identity_of(store, engine.by), replace=replace)
    try:
        yield index
    finally:
        index.close()


def is_valid(store: Store, name: str, generation: int) -> bool:
    """Return whether an index of this generation is one of this library that changes lead from."""
    first = outbox.start(store)
    return (
        first is not None
        and first <= generation <= store.generation()
        and registry.is_own(store.database, name, generation)
    )


def status(store: Store, engine: Engine) -> Status:
    """Ask a server for the state of its index.

    Raises:
        EngineError: As `opened`.
    """
    with opened(store, engine) as index:
        generation = index.generation()
        faces, size, server = len(index), index.bytes(), index.server()
    with store.database.snapshot():
        behind = None
        if is_valid(store, engine.name, generation):
            behind = outbox.count_after(store, generation)
    return Status(server, faces, None if generation == NO_GENERATION else generation, behind, size)


def push(
    store: Store, name: str, address: Address | None = None, *, progress: bool = True
) -> Pushed:
    """Bring an engine up to date, and erase there what was forgotten.

    It needs no lock: the library is read in short snapshots, and an engine takes changes only from
    the generation that they start from. If two processes push at once, each change is made once or
    twice, which is the same.

    The index is built from the start if it was never filled, if the outbox no longer has the
    changes since its generation, or if a copy of this library has filled it.

    Args:
        store: The library.
        name: The engine.
        address: See `opened`.
        progress: Show a progress bar.

    Raises:
        LibraryError: There is no such engine, or the library is damaged.
        EngineError: The server failed; what it has got so far is valid, and the next push continues
            there.
        InputError: The client of this kind of server is not installed.
    """
    for last in [False] * (_ATTEMPTS - 1) + [True]:
        engine = registry.get_engine(store, name)  # again, because of requests to erase
        with opened(store, engine, address, replace=True) as index:
            pusher = _Pusher(store, engine, index, progress)
            try:
                if pusher.run():
                    return pusher.erase(engine)
            except LostRaceError:
                if last:
                    raise
                time.sleep(random.uniform(0, _PAUSE))  # noqa: S311
    raise EngineError(f"{engine.url}: its index cannot be replaced")


def delete(store: Store, engine: Engine) -> str:
    """Delete the index of a library from a server, and erase it from the server's files.

    Returns:
        What may still hold its rows, in a sentence, or empty.

    Raises:
        CannotEraseError: The index is deleted, but not erased.
        EngineError: As `opened`; the index may still be there.
    """
    for last in [False] * (_ATTEMPTS - 1) + [True]:
        with opened(store, engine, replace=True) as index:
            try:
                # Empty first: what is erased must no longer be part of the index. Generation 0 of a
                # library has no faces.
                index.rebuild(index.generation(), 0, iter(()))
            except LostRaceError:
                if last:
                    raise
                continue
            try:
                return index.erase()
            finally:
                index.drop()
    raise AssertionError("unreachable")


class _Pusher:
    """One attempt to bring an engine up to date."""

    def __init__(self, store: Store, engine: Engine, index: RemoteIndex, progress: bool) -> None:
        self.store, self.name, self.column, self.index = store, engine.name, engine.by, index
        self.progress = progress
        self.space: Space = identity_of(store, engine.by).space
        self.sent = self.removed = 0
        self.rebuilt = False
        self.under_way: list[Ids] = []  # faces sent since the engine got a generation

    def run(self) -> bool:
        """Push; return False if a copy of the library had filled the index, which is now deleted.

        Raises:
            LostRaceError: Another writer was first.
        """
        base, database = self.index.generation(), self.store.database
        valid = is_valid(self.store, self.name, base)
        if valid:
            # From now on the outbox keeps all changes since then; it may have lost some before.
            registry.note_generation(database, self.name, base)
            valid = is_valid(self.store, self.name, base)
        elif base != NO_GENERATION and not registry.is_own(database, self.name, base):
            if self.index.generation() != base:
                raise LostRaceError(f"{self.name}: another process is pushing to it")
            # Otherwise it might be taken for an index of this library later.
            self.index.drop()
            return False
        self._catch_up(base if valid else self._rebuild(base))
        return True

    def erase(self, engine: Engine) -> Pushed:
        """Erase what was forgotten before `engine` was read; return what was done in all."""
        done = Pushed(self.sent, self.removed, self.rebuilt)
        if not engine.pending_erase:
            return done
        try:
            remains = self.index.erase()
        except CannotEraseError as error:
            return replace(done, cannot_erase=str(error))
        registry.erased(self.store.database, engine)
        return replace(done, erased=True, remains=remains)

    def _rebuild(self, base: int) -> int:
        """Send all faces; return the generation before the first."""
        database = self.store.database
        registry.note_generation(database, self.name, None)  # the outbox keeps all from now on
        to = self.store.generation()
        total = database.value("SELECT count(*) FROM faces")
        with progress_bar(
            total=total, shown=self.progress, desc=f"push to {self.name}", unit="face"
        ) as bar:

            def batches() -> Iterator[Added]:
                for batch in outbox.all_faces(self.store, self.column, self.space):
                    self.under_way.append(batch.ids)
                    yield batch
                    self.sent += len(batch.ids)
                    bar.update(len(batch.ids))

            with self._noted(to):
                self.index.rebuild(base, to, batches())
        self.rebuilt = True
        return to

    def _catch_up(self, base: int) -> None:
        """Send the changes after a generation."""
        total = outbox.count_after(self.store, base)
        with progress_bar(
            total=total, shown=self.progress, desc=f"push to {self.name}", unit="face"
        ) as bar:
            while chunk := outbox.next_chunk(self.store, base, self.column, self.space):
                self.under_way.append(chunk.added.ids)
                with self._noted(chunk.to):
                    self.index.apply(base, chunk.to, chunk.added, chunk.removed)
                base = chunk.to
                self.sent += len(chunk.added.ids)
                self.removed += len(chunk.removed.ids)
                bar.update(len(chunk.added.ids) + len(chunk.removed.ids))
        registry.note_generation(self.store.database, self.name, base)

    @contextlib.contextmanager
    def _noted(self, to: int) -> Iterator[None]:
        """Note before the block that the engine may get a generation."""
        database = self.store.database
        note = registry.begin_push(database, self.name, to)
        try:
            yield
        except LostRaceError:
            registry.withdraw_push(database, note)
            # What was sent in vain may have been forgotten and erased there in the meantime.
            there = np.array([face for (face,) in database.rows("SELECT id FROM faces")], np.int64)
            if not all(np.isin(ids, there).all() for ids in self.under_way):
                registry.request_erase(database, self.name)
            raise
        self.under_way.clear()
