"""An index on Redis or Valkey: tables of LSH buckets.

The server keeps, for each face, its id and its keys in all tables, and for each bucket the ids of
the faces in it; rows as such are not needed. That hides little: the keys of the default settings
hold every bit of a code of up to 448 bits, and of a vector the sides of 448 hyperplanes, from which
its direction can be estimated. For vectors the server also keeps a mean, through which the
hyperplanes pass, of the first 4,096 faces of the last rebuild.

Candidates are the faces in the query's buckets, those that share buckets in the most tables first.
The default of 32 tables, 14 bits, 400 probes per table and 10,000 candidates finds at least 95 % of
the ten nearest among 10^5 faces: of random 64-bit codes 99 %, of 128-dimensional face vectors 97 %.
An index of no more faces than candidates is read whole.

Options of the URL, for example ``redis://HOST:6379/0?tables=32&bits=14``:

- ``tables`` (1 to 256), ``bits`` (1 to 24) and ``seed``: what is stored. An index with others is
  refused like one of another embedder, and replaced with ``replace=True``.
- ``probes``: number of buckets that a search reads per table (1 to 4,096, at most 2^bits).
- ``candidates``: the most candidates per query (10 k if that is more).
- ``timeout``: seconds that a search or a connection may take.
- ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``: PEM files, for ``rediss://``.

All keys begin with ``facehash:{<library id>}:``. The braces keep them on one node of a cluster, as
the scripts need. Every change is a Lua script of a few milliseconds that checks first whether this
writer still may write; the generation changes in the last one. While memory is full, no faces can
be added; from Redis 7.0 on they can still be removed.
"""

import secrets
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facehash.index.engines import redis_scripts as scripts
from facehash.index.engines.address import Address
from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    Candidates,
    ForeignIndexError,
    Identity,
    LostRaceError,
    Removed,
)
from facehash.index.engines.redis_server import RedisServer
from facehash.index.lsh import CENTER_ROWS, TableKeys, center_of, table_keys
from facehash.vectors import Rows, Space

_OPTIONS = {
    "tables": "32", "bits": "14", "seed": "0", "probes": "400", "candidates": "10000",
    "timeout": "", "ssl_ca_certs": "", "ssl_certfile": "", "ssl_keyfile": "",
}  # fmt: skip
# So that one script takes a few milliseconds, in which the server does nothing else.
_KEYS_PER_STEP = 4096
_QUERIES_PER_CALL = 32
# Entries of buckets that a search reads, per candidate; those that are near are in many buckets.
_READ_PER_CANDIDATE = 15


class _Settings(NamedTuple):
    """What the keys of an index depend on, besides the center."""

    space: Space
    tables: int
    bits: int
    seed: int

    def keys(self, center: NDArray[np.float32] | None = None) -> TableKeys:
        return table_keys(self.space, self.tables, self.bits, self.seed, center)


class RedisIndex:
    """Faces in LSH buckets on Redis or Valkey, see the module and `base.RemoteIndex`.

    Args:
        server: The connection.
        address: The server, for messages.
        identity: What the rows are.
        settings: What the keys depend on.
    """

    def __init__(
        self, server: RedisServer, address: Address, identity: Identity, settings: _Settings
    ) -> None:
        self._server, self._client, self._address = server, server.client, address
        self._identity, self._settings = identity, settings
        self._probes = min(address.number("probes", 400, 1, 4096), 1 << settings.bits)
        self._candidates = address.number("candidates", 10_000, 1, 1_000_000)
        self._prefix = f"facehash:{{{identity.library}}}:"
        self._names = [f"{self._prefix}index", f"{self._prefix}epochs"]
        self._current = "", settings.keys()

    def server(self) -> str:
        """Return such as ``"Redis 7.0.15"``; without the version if the account may not see it."""
        return self._server.version()

    def generation(self) -> int:
        """Return the generation, NO_GENERATION also where the server has lost the index."""
        with self._server.talking():
            stored = self._client.hget(self._names[0], "generation")
            return NO_GENERATION if stored is None else int(stored)

    def apply(self, base: int, to: int, added: Added, removed: Removed) -> None:
        """Make the changes up to `to`, see `base.RemoteIndex`; removals first.

        A second writer that begins later takes over: its changes include all of this one's, and
        this one gets LostRaceError at its next step.
        """
        with self._server.talking():
            epoch, keys = self._load()
            steps = [(removed.ids[part], added.ids[:0], added.rows[:0])
                     for part in self._parts(len(removed.ids))]  # fmt: skip
            steps += [(removed.ids[:0], added.ids[part], added.rows[part])
                      for part in self._parts(len(added.ids))]  # fmt: skip
            writer = self._begin(epoch, base, epoch)
            for number, (gone, ids, rows) in enumerate(steps):
                self._step(epoch, writer, number, keys, gone, ids, rows)
            self._finish(epoch, writer, len(steps), base, epoch, {"generation": to})

    def rebuild(self, base: int, to: int, batches: Iterable[Added]) -> None:
        """Replace the whole content under a new epoch, see `base.RemoteIndex`."""
        with self._server.talking():
            if base == NO_GENERATION:
                self.create()
            current, epoch = self._load()[0], secrets.token_hex(4)
            writer = self._begin(epoch, base, current)
            first, center = self._centered(iter(batches))
            keys, number = self._settings.keys(center), 0
            try:
                for batch in first:
                    for part in self._parts(len(batch.ids)):
                        none = batch.ids[:0]
                        ids, rows = batch.ids[part], batch.rows[part]
                        self._step(epoch, writer, number, keys, none, ids, rows)
                        number += 1
                stored = b"" if center is None else center.astype("<f4").tobytes()
                fields = {"generation": to, "center": stored, "keys": keys.digest()}
                self._finish(epoch, writer, number, base, current, fields)
            except LostRaceError:
                self._discard(epoch)
                raise
            self._discard()

    def search(self, queries: Rows, k: int) -> Candidates:
        """Find at most max(candidates, 10 k) faces per query, in the most common tables first."""
        most = max(self._candidates, 10 * k)
        with self._server.talking():
            found: list[NDArray[np.int64]] = []
            epoch, generation, every = self._run(scripts.EVERY, most)
            if epoch.decode() != self._current[0]:
                self.check()
            generations = [int(generation)]
            if every is not None:
                # Reading the buckets would take as long as reading it all.
                found, queries = [_ids(every)] * len(queries), queries[:0]
            for start in range(0, len(queries), _QUERIES_PER_CALL):
                for ids, generation in self._find(queries[start : start + _QUERIES_PER_CALL], most):
                    found.append(ids)
                    generations.append(generation)
        width = max(map(len, found), default=0)
        rows = np.full((len(found), width), -1, np.int64)
        for row, ids in zip(rows, found, strict=True):
            row[: len(ids)] = ids
        # The changes after the earliest generation include those after the others.
        return Candidates(rows, min(generations))

    def __len__(self) -> int:
        """Return the number of faces."""
        with self._server.talking():
            return int(self._client.hlen(f"{self._prefix}{self._load()[0]}:keys"))

    def bytes(self) -> int:
        """Return the memory of all keys, as MEMORY USAGE estimates it from 1,000 members each."""
        with self._server.talking():
            beginning = f"{self._prefix}{self._load()[0]}:"
            more = self._client.smembers(f"{beginning}more")
            parts = ["more", "keys", *range(self._settings.tables)]
            return self._server.memory([*self._names, *(f"{beginning}{p}" for p in parts), *more])

    def erase(self) -> str:
        """Let the server write its files anew (AOF, RDB), and wait until it has done so.

        A server that keeps no files needs nothing.

        Returns:
            A sentence about replicas, if there are any.

        Raises:
            CannotEraseError: The account may not do that or see whether there are files.
        """
        return self._server.rewrite_files()

    def drop(self) -> None:
        """Delete the index and what interrupted rebuilds have left."""
        with self._server.talking():
            self._client.delete(self._names[0])
            self._discard()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _parts(self, count: int) -> list[slice]:
        # With one table there is an id for each key, and a script cannot unpack 8,000 values.
        rows = max(1, _KEYS_PER_STEP // max(2, self._settings.tables))
        return [slice(start, start + rows) for start in range(0, count, rows)]

    def _begin(self, epoch: str, base: int, current: str) -> str:
        writer = secrets.token_hex(8)
        if not self._run(scripts.BEGIN, epoch, writer, base, current, when_full=True):
            raise self._lost(base)
        return writer

    def _step(
        self, epoch: str, writer: str, number: int, maker: TableKeys,
        gone: NDArray[np.int64], ids: NDArray[np.int64], rows: Rows,
    ) -> None:  # fmt: skip
        faces = [part.astype("<i8").tobytes() for part in (gone, ids)]
        keys = maker.keys(rows).astype("<u4").tobytes() if len(ids) else b""
        values = (epoch, writer, number, maker.tables, *faces, keys)
        if not self._run(scripts.STEP, *values, when_full=not len(ids)):
            raise self._lost()

    def _finish(
        self, epoch: str, writer: str, number: int, base: int, current: str, fields: dict[str, Any]
    ) -> None:
        values = [value for item in fields.items() for value in item]
        steps = (epoch, writer, number)
        if not self._run(scripts.FINISH, *steps, base, current, *values, when_full=True):
            raise self._lost(base)

    def _discard(self, epoch: str = "") -> None:
        """Delete an epoch, or all; never the current one."""
        self._run(scripts.DISCARD, self._settings.tables, epoch)

    def _centered(
        self, batches: Iterator[Added]
    ) -> tuple[Iterator[Added], NDArray[np.float32] | None]:
        """Return all batches again, and the center for their keys, None for the origin."""
        read = list[Added]()
        if self._settings.space.metric == "hamming":
            return batches, None
        for batch in batches:
            read.append(batch)
            if sum(len(one.ids) for one in read) >= CENTER_ROWS:
                break
        rows = [np.zeros((0, self._settings.space.dimension), np.float32), *(b.rows for b in read)]
        center = center_of(np.concatenate(rows)[:CENTER_ROWS], self._settings.space)
        return chain(read, batches), center

    def _find(self, queries: Rows, most: int) -> list[tuple[NDArray[np.int64], int]]:
        while True:
            epoch, maker = self._load()
            if not epoch:
                return [(np.zeros(0, np.int64), NO_GENERATION)] * len(queries)
            probes = maker.probes(queries, self._probes).astype("<u4")
            numbers = (maker.tables, most, _READ_PER_CANDIDATE * most, probes.shape[2])
            with self._client.pipeline(transaction=False) as calls:
                for tables in probes:
                    keys = [table.tobytes() for table in tables]
                    values = [*self._names, self._prefix, epoch, *numbers, *keys]
                    calls.eval(scripts.SEARCH, len(self._names), *values)
                answers = calls.execute()
            # Otherwise a rebuild by another writer has ended meanwhile.
            if all(answer[0].decode() == epoch for answer in answers):
                return [(_most_hit(_ids(ids), most), int(number)) for _, number, ids in answers]

    def _load(self) -> tuple[str, TableKeys]:
        """Return the current epoch, empty if there is no index, and what makes its keys.

        Raises:
            ForeignIndexError: Somebody has replaced the index by one of another kind.
        """
        epoch = (self._client.hget(self._names[0], "epoch") or b"").decode()
        if epoch != self._current[0]:
            self.check()
        return self._current

    def create(self) -> None:
        """Make an empty index unless there is one."""
        fields = self._described() | {"center": b"", "keys": self._settings.keys().digest()}
        values = [value for item in fields.items() for value in item]
        self._run(scripts.CREATE, secrets.token_hex(4), secrets.token_hex(8), *values)

    def check(self) -> None:
        """Read the settings of the index there.

        Raises:
            ForeignIndexError: They are not those of this one.
        """
        with self._server.talking():
            stored = self._client.hgetall(self._names[0])
        if not stored:
            self._current = "", self._current[1]
            return
        values = {name.decode(): value for name, value in stored.items()}
        center = values.pop("center", b"")
        found = {name: value.decode() for name, value in values.items()}
        for name, expected in self._described().items():
            if name != "generation" and found.get(name) != str(expected):
                raise self._foreign(f"its {name} is {found.get(name)}, not {expected}")
        mean = np.frombuffer(center, "<f4").astype(np.float32) if center else None
        keys = self._settings.keys(mean)
        if found["keys"] != keys.digest():
            raise self._foreign("its hyperplanes were drawn by another version of NumPy")
        self._current = found["epoch"], keys

    def _described(self) -> dict[str, Any]:
        """Return what is stored of an index, besides its epoch, center and keys."""
        space, tables, bits, seed = self._settings
        return {
            "generation": NO_GENERATION, "format": 1, "embedder": self._identity.made_by,
            "kind of rows": f"{space.metric} {space.dimension}",
            "number of tables": tables, "number of bits": bits, "seed": seed,
        }  # fmt: skip

    def _foreign(self, difference: str) -> ForeignIndexError:
        return ForeignIndexError(
            f"{self._address}: the index of this library there is of another kind: {difference}",
            same_library=True,
        )

    def _run(self, script: str, *values: Any, when_full: bool = False) -> Any:
        return self._server.run(script, self._names, [self._prefix, *values], when_full)

    def _lost(self, base: int | None = None) -> LostRaceError:
        expected = "" if base is None else f"; generation {base} was expected"
        return LostRaceError(f"{self._address}: another writer was first{expected}")


def _ids(text: bytes) -> NDArray[np.int64]:
    return np.frombuffer(text, "<i8").astype(np.int64)


def _most_hit(ids: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return each id once, the most frequent first, then those that came first; at most `most`."""
    each, first, counts = np.unique(ids, return_index=True, return_counts=True)
    return np.asarray(each[np.lexsort((first, -counts))[:most]])


def connect(address: Address, identity: Identity, *, replace: bool = False) -> RedisIndex:
    """Connect to the index of a library, see `connect.connect`; an empty one is made if needed.

    Raises:
        InputError: An unknown option, or a value that does not fit the rows.
        EngineError: No usable answer, or a server that is too old or would delete faces.
        ForeignIndexError: The index there has another embedder, hasher, tables, bits or seed.
    """
    address.check_options(_OPTIONS)
    space = identity.space
    most_bits = min(24, space.dimension) if space.metric == "hamming" else 24
    settings = _Settings(
        space,
        address.number("tables", 32, 1, 256),
        address.number("bits", min(14, most_bits), 1, most_bits),
        address.number("seed", 0, 0, (1 << 32) - 1),
    )
    server = RedisServer(address)
    index = RedisIndex(server, address, identity, settings)
    try:
        server.check()
        with server.talking():
            index.create()
        try:
            index.check()
        except ForeignIndexError:
            if not replace:
                raise
            index.drop()
            with server.talking():
                index.create()
    except BaseException:
        index.close()
        raise
    return index
