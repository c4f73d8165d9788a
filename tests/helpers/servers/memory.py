"""A server in memory, for tests of what the library does with an engine.

Importable as a kind of server; `install` registers it under the scheme ``memory``, so that
``memory://HOST`` is the server `SERVERS[HOST]`. It can be unreachable, lose races, die after some
rows, and keeps removed rows "on disk" until they are erased.
"""

import sys
import threading
from collections import defaultdict

import numpy as np

from facehash.index.engines.base import (
    NO_GENERATION,
    Candidates,
    CannotEraseError,
    ForeignIndexError,
    LostRaceError,
    UnreachableEngineError,
)
from facehash.index.engines.connect import KINDS, Kind


class Server:
    """What the server holds, and how it behaves."""

    def __init__(self):
        self.lock = threading.Lock()
        self.identity = None
        self.rows = {}  # id -> row
        self.generation = NO_GENERATION
        self.disk = []  # removed rows that were not yet erased
        self.down = False
        self.epoch = 0  # connections of an earlier one are cut
        self.dies_after = None  # rows until it is down
        self.before_write = lambda: None  # runs before the generation is compared
        self.cannot_erase = ""
        self.remains = ""
        self.passwords = []
        self.asked = []  # k of each search
        self.written = 0  # rows in all

    def put(self, ids, rows):
        for face, row in zip(ids.tolist(), rows, strict=True):
            if self.dies_after is not None:
                if not self.dies_after:
                    self.down = True
                    raise UnreachableEngineError("memory: connection lost")
                self.dies_after -= 1
            self.remove(face)
            self.rows[face] = row.copy()
            self.written += 1

    def remove(self, face):
        if face in self.rows:
            self.disk.append(self.rows.pop(face).tobytes())


SERVERS = defaultdict(Server)


class MemoryIndex:
    def __init__(self, server, identity):
        self.state, self.identity, self.closed = server, identity, False
        self.epoch = server.epoch

    def _check(self):
        assert not self.closed
        if self.state.down:
            raise UnreachableEngineError("memory: connection refused")
        if self.epoch != self.state.epoch:
            raise UnreachableEngineError("memory: connection reset")

    def server(self):
        self._check()
        return "Memory 1.0"

    def generation(self):
        self._check()
        return self.state.generation

    def _compare(self, base):
        if self.state.generation != base:
            raise LostRaceError(f"memory: has generation {self.state.generation}, not {base}")

    def apply(self, base, to, added, removed):
        self._check()
        assert base != NO_GENERATION and to > base
        for ids, generations in ((added.ids, added.generations), removed):
            assert ids.dtype == generations.dtype == np.int64 and len(ids) == len(generations)
            assert ((base < generations) & (generations <= to)).all()
        space = self.identity.space
        assert added.rows.dtype == space.dtype and added.rows.shape[1:] == (space.width,)
        self.state.before_write()
        with self.state.lock:
            self._compare(base)
            for face in removed.ids.tolist():
                self.state.remove(face)
            self.state.put(added.ids, added.rows)
            self.state.generation = to

    def rebuild(self, base, to, batches):
        self._check()
        new = Server()
        for added in batches:
            self._check()
            new.dies_after = self.state.dies_after
            try:
                new.put(added.ids, added.rows)
            finally:
                self.state.down, self.state.dies_after = new.down, new.dies_after
        self.state.before_write()
        with self.state.lock:
            try:
                self._compare(base)
            except LostRaceError:
                self.state.disk += [row.tobytes() for row in new.rows.values()]
                raise
            self.state.disk += [row.tobytes() for row in self.state.rows.values()]
            self.state.rows, self.state.generation = new.rows, to
            self.state.written += new.written

    def search(self, queries, k):
        self._check()
        self.state.asked.append(k)
        with self.state.lock:
            ids = np.array(sorted(self.state.rows), np.int64)
            generation = self.state.generation
            rows = [self.state.rows[face] for face in ids.tolist()]
        found = np.full((len(queries), k), -1, np.int64)
        for query, row in zip(queries, found, strict=True):
            order = np.argsort(
                [distance(query, one, self.identity.space.metric) for one in rows], kind="stable"
            )[:k]
            row[: len(order)] = ids[order]
        return Candidates(found, generation)

    def __len__(self):
        self._check()
        return len(self.state.rows)

    def bytes(self):
        self._check()
        return sum(row.nbytes for row in self.state.rows.values())

    def erase(self):
        self._check()
        if self.state.cannot_erase:
            raise CannotEraseError(self.state.cannot_erase)
        self.state.disk.clear()
        return self.state.remains

    def drop(self):
        self._check()
        self.state.identity, self.state.generation = None, NO_GENERATION
        self.state.rows.clear()
        self.state.disk.clear()

    def close(self):
        self.closed = True


def distance(first, second, metric):
    """Return a distance, in another way than the library does."""
    if metric == "hamming":
        return int(np.unpackbits(first ^ second).sum())
    first, second = first.astype(np.float64), second.astype(np.float64)
    if metric == "euclidean":
        return float(np.linalg.norm(first - second))
    return 1 - float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def connect(address, identity, *, replace=False):
    address.check_options({})
    server = SERVERS[address.host]
    server.passwords.append(address.password)
    if server.down:
        raise UnreachableEngineError(f"{address}: connection refused")
    if server.identity not in (None, identity):
        same = server.identity.library == identity.library
        if not (same and replace):
            raise ForeignIndexError(f"{address}: has the index of another library", same)
        MemoryIndex(server, identity).drop()
    server.identity = identity
    return MemoryIndex(server, identity)


def install(monkeypatch):
    """Register this kind of server for one test; return its servers by host, none yet."""
    SERVERS.clear()
    monkeypatch.setitem(sys.modules, "facehash.index.engines.memory", sys.modules[__name__])
    monkeypatch.setitem(KINDS, "memory", Kind("memory", "memory", "memory"))
    return SERVERS
