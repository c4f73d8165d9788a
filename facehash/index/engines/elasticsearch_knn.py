"""The index on Elasticsearch: a document per face with a vector, searched by nearest neighbors.

A vector has floats, or the bits of a code. Both are compared one by one unless the URL asks for a
graph (HNSW): one of 10^5 vectors takes minutes to build, and many equal vectors hide others in it.

The index that a URL names, `face_recognition` by default, is an alias of the index that has the
documents. A rebuild fills a new one; then the alias changes over, and the old one is deleted. A
document `meta` has the generation and is only ever replaced in the state in which it was read, so
the second of two writers notices. Documents carry the generation of their change as their version:
a slow writer never replaces a newer one. That holds for deleted ones as long as the server
remembers them, an hour (`index.gc_deletes`).
"""

import secrets
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from facehash.index.engines import elasticsearch_documents as documents
from facehash.index.engines.address import Address
from facehash.index.engines.base import (
    NO_GENERATION,
    Added,
    Candidates,
    EngineError,
    ForeignIndexError,
    Identity,
    LostRaceError,
    Removed,
)
from facehash.index.engines.elasticsearch_server import Missing, Server, Taken
from facehash.vectors import Ids, Rows, Space

DEFAULT_INDEX = "face_recognition"
OPTIONS = {
    "index": "exact or hnsw: how it is searched",
    "shards": "number of parts of the index",
    "ca": "file with the certificates that are trusted",
    "timeout": "seconds that a search or a connection may take",
}
_META = "meta"
_BULK_BYTES = 4_000_000
_QUERIES_PER_REQUEST = 64
_ROWS_PER_READ = 2_000
_ERASE_TRIES = 3
_SEARCH_TRIES = 5
_SNAPSHOTS = "earlier snapshots of the cluster may have removed faces until they are deleted"


def connect(address: Address, identity: Identity, *, replace: bool = False) -> "ElasticsearchIndex":
    """Connect to the index of a library on Elasticsearch 8.15 or later.

    Args:
        address: ``elasticsearch://USER:PASSWORD@HOST:9200/INDEX``, or ``elasticsearch+https://``
            for TLS. With the user ``api_key``, the password is an API key. Options: ``index``
            (``exact``, the default, or ``hnsw``), ``shards``, ``ca`` and ``timeout``. The first
            two apply to the next rebuild.
        identity: What the rows are.
        replace: Whether an index of this library with another identity is deleted.

    Raises:
        InputError: An unknown option or a wrong value.
        UnreachableEngineError: No usable answer.
        ForeignIndexError: An index of this name exists and is another one.

    Example, with a server::

        address = Address.parse("elasticsearch://127.0.0.1:9200/face_recognition")
        index = connect(address, Identity(library_id, Space("hamming", 128), "sface"))
    """
    address.check_options(OPTIONS)
    kind = address.options.get("index", "exact")
    if kind not in ("exact", "hnsw"):
        raise EngineError(f"{address}: index must be exact or hnsw")
    index = ElasticsearchIndex(
        address, Server(address), identity, kind, address.number("shards", 1, 1, 1024)
    )
    try:
        index.open(replace)
    except BaseException:
        index.close()
        raise
    return index


class _State:
    """The document `meta` of an index as it was read."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.index: str = found["_index"]
        self.generation: int = found["_source"]["generation"]
        self.moved_to: str | None = found["_source"].get("moved_to")
        self.expected = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}


class ElasticsearchIndex:
    """A `facehash.index.engines.base.RemoteIndex` on Elasticsearch; made by `connect`."""

    def __init__(
        self, address: Address, server: Server, identity: Identity, kind: str, shards: int
    ) -> None:
        """Keep what `open` needs.

        Args:
            address: Names the index.
            server: The connection.
            identity: What the rows are.
            kind: ``"exact"`` or ``"hnsw"``.
            shards: Number of parts of an index that is made anew.
        """
        self._address, self._server, self._identity = address, server, identity
        self._kind, self._shards = kind, shards
        self._name = address.path or DEFAULT_INDEX

    @property
    def _space(self) -> Space:
        return self._identity.space

    def server(self) -> str:
        """Return such as ``"Elasticsearch 8.19.0"``."""
        return f"Elasticsearch {self._server.version()}"

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def open(self, replace: bool) -> None:
        """Find the index or make an empty one.

        Args:
            replace: Whether one of this library with another identity is deleted.

        Raises:
            ForeignIndexError: It is another index.
        """
        self._server.check_version()
        found = self._server.indices(self._name)
        if found:
            whose = {
                index: content["mappings"].get("_meta", {}).get("facehash", {})
                for index, content in found.items()
            }
            if any(each.get("library") != self._identity.library for each in whose.values()):
                raise ForeignIndexError(
                    f"{self._address}: the index {self._name} is not one of this library; name "
                    f"another one in the URL, such as {self._other_name()}",
                    same_library=False,
                )
            if any(each != self._marks() for each in whose.values()):
                if not replace:
                    raise ForeignIndexError(
                        f"{self._address}: the index {self._name} has the rows of another "
                        "embedder or other codes",
                        same_library=True,
                    )
                self.drop()
                found = {}
        if not found:
            self._make_empty()
        self._settle()

    def generation(self) -> int:
        """Return the generation, NO_GENERATION also where the index has been deleted."""
        state = self._state()
        return NO_GENERATION if state is None else state.generation

    def apply(self, base: int, to: int, added: Added, removed: Removed) -> None:
        """Write the documents, let searches see them, and write the generation last."""
        state = self._expect(base)
        self._write(state.index, documents.operations(self._space, added, removed))
        self._server.refresh(state.index)
        self._replace_state(state, {"generation": to})

    def rebuild(self, base: int, to: int, batches: Iterable[Added]) -> None:
        """Fill a new index, then let the alias change over to it and delete the old one."""
        state = self._expect(base)
        # From here on no rebuild that began earlier can end, so what it has made can go.
        state = self._replace_state(state, {"generation": state.generation})
        self._delete_others(state.index)
        new = f"{self._name}-{time.time_ns() // 1_000_000:x}-{secrets.token_hex(4)}"
        self._make(new)
        try:
            none = Removed(np.zeros(0, np.int64), np.zeros(0, np.int64))
            for batch in batches:
                self._write(new, documents.operations(self._space, batch, none))
            self._server.refresh(new)
            self._server.put(new, _META, {"generation": to})
            self._replace_state(state, {"generation": state.generation, "moved_to": new})
        except BaseException as error:
            self._server.delete_quietly(new, error)
            raise
        self._settle()

    def search(self, queries: Rows, k: int) -> Candidates:
        """Find candidates for the k nearest faces, at most `MOST_CANDIDATES`."""
        k = min(k, documents.MOST_CANDIDATES)
        for attempt in range(_SEARCH_TRIES):
            state = self._state()
            if state is None:
                break
            try:
                return Candidates(self._nearest(state.index, queries, k), state.generation)
            except Missing:  # a rebuild has just replaced it
                if attempt == _SEARCH_TRIES - 1:
                    raise
        return Candidates(np.full((len(queries), 1), -1, np.int64), NO_GENERATION)

    def __len__(self) -> int:
        state = self._state()
        return 0 if state is None else self._server.count(state.index, documents.FACES)

    def bytes(self) -> int:
        """Return the size of the index on the disks of all servers, in bytes."""
        state = self._state()
        return 0 if state is None else self._server.bytes(state.index)

    def erase(self) -> str:
        """Copy the index into a new one and delete the old one with all its files.

        A forced merge leaves documents that the server retains for its replicas and, in its log
        of operations, removed rows. The new index has never had a removed row.
        """
        for attempt in range(_ERASE_TRIES):
            state = self._settle()
            if state is None:
                return ""
            try:
                self.rebuild(state.generation, state.generation, self._content(state.index))
            except (LostRaceError, Missing):
                if attempt == _ERASE_TRIES - 1:
                    raise
                continue
            break
        return self._what_remains()

    def drop(self) -> None:
        """Delete the index and what broken-off rebuilds have left."""
        found = self._server.indices(self._name)
        self._server.delete([*found, *self._all_indices()])

    def _what_remains(self) -> str:
        repositories = self._server.repositories()
        if repositories is None:  # this account may not see them
            return _SNAPSHOTS
        return f"{_SNAPSHOTS} (repositories: {', '.join(repositories)})" if repositories else ""

    def _other_name(self) -> str:
        library = self._identity.library[:8]
        host = str(self._address).partition("://")[2].partition("/")[0].partition("?")[0]
        return f"{self._address.scheme}://{host}/{DEFAULT_INDEX}-{library}"

    def _marks(self) -> dict[str, Any]:
        return {
            "place": self._name,
            "library": self._identity.library,
            "metric": self._space.metric,
            "dimension": self._space.dimension,
            "made_by": self._identity.made_by,
        }

    def _all_indices(self) -> list[str]:
        """Return the indices of this library at this place, also those of broken-off rebuilds."""
        mine = {"place": self._name, "library": self._identity.library}
        found = self._server.indices(f"{self._name}-*")
        return [
            index
            for index, content in found.items()
            if mine.items() <= content["mappings"].get("_meta", {}).get("facehash", {}).items()
        ]

    def _delete_others(self, index: str) -> None:
        self._server.delete([other for other in self._all_indices() if other != index])

    def _make_empty(self) -> None:
        try:
            self._make(f"{self._name}-0", self._name)
        except Taken:
            # Another process has made it, or broke off before it had its name.
            self._server.move_alias(self._name, f"{self._name}-0", None)

    def _make(self, index: str, *aliases: str) -> None:
        mappings = documents.mappings(self._space, self._kind, self._marks())
        settings = {
            "number_of_shards": self._shards,
            "auto_expand_replicas": "0-1",
            "refresh_interval": "-1",
            "gc_deletes": "1h",
        }
        # Written only through an alias of its own: a write never makes an index by accident.
        self._server.create(index, mappings, settings, [*aliases, _writable(index)])

    def _state(self) -> _State | None:
        """Return the state of the index that is searched, or None without an index."""
        try:
            found = self._server.get(self._name, _META)
            if found is None:
                return None
            state = _State(found)
            while state.moved_to is not None:
                moved = self._server.get(state.moved_to, _META)
                if moved is None:
                    return None
                state = _State(moved)
        except Missing:
            return None
        return state

    def _settle(self) -> _State | None:
        """End a rebuild that broke off after its last step but one; return the state."""
        while True:
            try:
                found = self._server.get(self._name, _META)
            except Missing:
                return None
            if found is None:
                index = next(iter(self._server.indices(self._name)), None)
                if index is None:
                    return None
                self._server.put_if_absent(index, _META, {"generation": NO_GENERATION})
                continue
            state = _State(found)
            if state.moved_to is None:
                return state
            try:
                self._server.move_alias(self._name, state.moved_to, state.index)
            except Missing:
                if self._state() is None:
                    raise
                # Another process did the same at the same time.

    def _expect(self, base: int) -> _State:
        state = self._settle()
        if state is None and base == NO_GENERATION:
            self._make_empty()
            state = self._settle()
        if state is None or state.generation != base:
            now = "no index" if state is None else f"generation {state.generation}"
            raise LostRaceError(f"{self._address}: expected generation {base}, but there is {now}")
        return state

    def _replace_state(self, state: _State, content: dict[str, Any]) -> _State:
        try:
            written = self._server.put(state.index, _META, content, **state.expected)
        except (Taken, Missing):
            raise LostRaceError(f"{self._address}: another writer was first") from None
        return _State({**written, "_index": state.index, "_source": content})

    def _write(self, index: str, operations: Iterator[str]) -> None:
        lines: list[str] = []
        size = 0
        try:
            for line in operations:
                lines.append(line)
                size += len(line)
                if size >= _BULK_BYTES:
                    self._server.bulk(_writable(index), lines)
                    lines, size = [], 0
            if lines:
                self._server.bulk(_writable(index), lines)
        except Missing:
            raise LostRaceError(
                f"{self._address}: another writer has replaced the index meanwhile"
            ) from None

    def _nearest(self, index: str, queries: Rows, k: int) -> Ids:
        zeros: Ids | None = None
        found: list[Ids] = []
        if self._space.metric == "cosine":
            zeros = self._server.search(index, [documents.zeros(k)])[0]
        searches = (documents.nearest(text, k) for text in documents.texts(self._space, queries))
        while part := list(islice(searches, _QUERIES_PER_REQUEST)):
            found += self._server.search(index, part)
        if zeros is not None and len(zeros):
            found = [np.union1d(ids, zeros) for ids in found]
        ids = np.full((len(queries), max([1, *map(len, found)])), -1, np.int64)
        for row, each in zip(ids, found, strict=True):
            row[: len(each)] = each
        return ids

    def _content(self, index: str) -> Iterator[Added]:
        """Yield all faces of an index, with their rows, as the server has them."""
        for found in self._server.read(index, documents.FACES, documents.FIELDS, _ROWS_PER_READ):
            yield documents.faces(self._space, found)


def _writable(index: str) -> str:
    return f"{index}.writable"
