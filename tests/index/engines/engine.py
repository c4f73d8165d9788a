"""What the suite has to know about an engine, and the library that it is compared with."""

from __future__ import annotations

import abc
import contextlib
import uuid
from dataclasses import replace

import numpy as np

from facehash.index.engines.address import Address
from facehash.index.engines.base import Added, Identity, Removed
from facehash.index.engines.connect import connect
from facehash.index.exact import ExactIndex, vector_distances
from facehash.vectors import Space, unit_rows

CODES = Space("hamming", 128)
VECTORS = Space("cosine", 32)
SPACES = [VECTORS, Space("euclidean", 24), Space("hamming", 48), Space("hamming", 64), CODES]


def name_of(space):
    return f"{space.metric}-{space.dimension}"


class Engine(abc.ABC):
    """An engine of the suite. The fixture `engine` of each test class returns one.

    Attributes:
        server: The running `tests.helpers.servers.base.Server`.
        spaces: The spaces that are tested; the engine refuses the others.
        recall: Least Recall@10.
        many_libraries: Whether several libraries may use the same address.
        log_folders: Folders of the data directory with write-ahead logs. Where they hold removed
            rows after `erase`, its sentence must say so.
    """

    spaces = SPACES
    recall = 0.99
    many_libraries = True
    log_folders = ()

    def __init__(self, server):
        self.server = server

    def address(self, place, port=None, **options):
        """Return the address of a test's own place, a name of hexadecimal digits.

        Args:
            place: An engine whose default place is the same for all libraries uses it.
            port: Of a proxy, instead of the server's.
            **options: What follows the question mark.
        """
        address = Address.parse(self.server.url)
        options = {name: str(value) for name, value in options.items()}
        return replace(address, port=port or address.port, options={**address.options, **options})

    @abc.abstractmethod
    def content(self, index):
        """Read all that a server has of an index, without `index.search`.

        Returns:
            The row of each id, as in the library up to rounding; None for a row that the engine
            does not keep.
        """

    def traces(self, space, row):
        """Return the byte strings by which a row can be recognised in the server's files."""
        return [row.tobytes()]

    def wrong_passwords(self, place):
        """Return addresses whose login the server refuses."""
        return [replace(self.address(place), password="not the s3cret")]

    def tls_errors(self, place):
        """Return addresses with which no encrypted connection can be made."""
        return []


class Place:
    """A place on a server and the connections of one test to it."""

    def __init__(self, engine):
        self.engine = engine
        self.library = uuid.uuid4().hex
        self._open = []
        self._used = set()

    def identity(self, space, library=None, made_by="sface"):
        return Identity(library or self.library, space, made_by)

    def connect(self, space, *, library=None, made_by="sface", again=False, port=None, **options):
        """Connect; `again` deletes an index of the same library with another identity."""
        identity = self.identity(space, library, made_by)
        address = self.engine.address(self.library, port, **options)
        index = connect(address, identity, replace=again)
        self._open.append(index)
        self._used.add(identity)
        return index

    def drop(self):
        for identity in self._used:
            index = connect(self.engine.address(self.library), identity, replace=True)
            try:
                index.drop()
            finally:
                index.close()

    def close(self):
        for index in self._open:
            with contextlib.suppress(Exception):
                index.close()


class Library:
    """Faces as a dictionary, with the changes that a library's database would hand on."""

    def __init__(self, space, seed=0, pool=40):
        """Start empty at generation 0.

        Args:
            space: Of the rows.
            seed: Of everything random.
            pool: Number of different codes, so that many are equal; vectors are all different.
        """
        self.space = space
        self.random = np.random.default_rng(seed)
        self.rows, self.changed, self.generation = {}, {}, 0
        self._next = 1
        self._pool = self.fresh_rows(pool) if space.metric == "hamming" else None

    def fresh_rows(self, count):
        """Return rows that occur nowhere else."""
        if self.space.metric == "hamming":
            bits = self.random.integers(0, 2, (count, self.space.dimension), np.uint8)
            return np.packbits(bits, axis=1, bitorder="little")
        return self.random.standard_normal((count, self.space.dimension)).astype(np.float32)

    def some_rows(self, count):
        if self._pool is None:
            return self.fresh_rows(count)
        return self._pool[self.random.integers(len(self._pool), size=count)]

    def change(self, add=0, update=0, remove=0, rows=None):
        """Make one generation of changes, and return what `RemoteIndex.apply` takes."""
        base, self.generation = self.generation, self.generation + 1
        ids = list(range(self._next, self._next + add))
        self._next += add
        known = self.random.permutation(sorted(self.rows))
        updated, gone = known[:update].tolist(), known[update : update + remove].tolist()
        ids += updated
        rows = self.some_rows(len(ids)) if rows is None else rows
        for face, row in zip(ids, rows, strict=True):
            self.rows[face], self.changed[face] = row, self.generation
        for face in gone:
            del self.rows[face], self.changed[face]
        return base, self.generation, self._added(ids), removed(gone, self.generation)

    def everything(self, size=64):
        """Yield all faces in batches, for `RemoteIndex.rebuild`."""
        ids = sorted(self.rows)
        for start in range(0, len(ids), size):
            yield self._added(ids[start : start + size])

    def _added(self, ids):
        shape = (len(ids), self.space.width)
        return Added(
            np.array(ids, np.int64),
            np.array([self.rows[face] for face in ids], self.space.dtype).reshape(shape),
            np.array([self.changed[face] for face in ids], np.int64),
        )

    def queries(self, count=20):
        """Return half stored rows, half rows near none of them."""
        ids = sorted(self.rows)
        chosen = [self.rows[ids[i]] for i in self.random.integers(len(ids), size=count // 2)]
        return np.concatenate([np.array(chosen), self.fresh_rows(count - count // 2)])

    def recall(self, index, queries, k=10, slack=10):
        """Return Recall@k against exact search; a face at the distance of the k-th counts.

        Only ids of the library may be among the candidates.
        """
        ids = np.array(sorted(self.rows), np.int64)
        rows = np.array([self.rows[face] for face in ids], self.space.dtype)
        k = min(k, len(ids))
        last = ExactIndex.build(rows, ids, self.space).search(queries, k).distances[:, -1]
        candidates = index.search(queries, k + slack)
        assert candidates.generation == self.generation
        assert candidates.ids.dtype == np.int64 and len(candidates.ids) == len(queries)
        found = 0
        for query, proposed, limit in zip(queries, candidates.ids, last, strict=True):
            proposed = proposed[proposed >= 0]
            assert len(set(proposed.tolist())) == len(proposed)
            assert set(proposed.tolist()) <= self.rows.keys()
            near = distances(self.space, query, rows[np.searchsorted(ids, proposed)])
            found += min(k, np.count_nonzero(near <= limit + 1e-6))
        return found / (k * len(queries))


def codes_of_people(random, photos, people=2_000, latent=40):
    """Return packed codes of 128 bits as a learned hash makes them, and of as many new photos.

    Photos of a person lie around a point of a space of few dimensions; a code is the signs of
    projections. A third of the first are copies of others.

    Returns:
        uint8 (photos, 16), uint8 (200, 16).
    """
    planes = random.standard_normal((latent, 128)).astype(np.float32)
    centers = random.standard_normal((people, latent)).astype(np.float32)

    def codes(count):
        points = centers[random.integers(people, size=count)]
        points = points + 0.3 * random.standard_normal(points.shape).astype(np.float32)
        return np.packbits(points @ planes > 0, axis=1, bitorder="little")

    stored = codes(photos)
    copies = random.permutation(photos)[: photos // 3]
    stored[copies] = stored[random.integers(photos, size=len(copies))]
    return stored, codes(200)


def distances(space, query, rows):
    if space.metric == "hamming":
        return np.bitwise_count(query ^ rows).sum(axis=1, dtype=np.int64)
    rows, query = (unit_rows(a) if space.metric == "cosine" else a for a in (rows, query[None]))
    return vector_distances(rows, query, np.arange(len(rows))[None], space)[0]


def removed(ids, generation):
    return Removed(np.array(ids, np.int64), np.full(len(ids), generation, np.int64))


def nothing(space):
    none = np.zeros(0, np.int64)
    return Added(none, np.zeros((0, space.width), space.dtype), none)


def assert_content(engine, index, library):
    """The server has the generation and the rows of the library, and nothing else."""
    assert index.generation() == library.generation
    content = engine.content(index)
    assert content.keys() == library.rows.keys()
    assert len(index) == len(library.rows)
    for face, row in content.items():
        expected = library.rows[face]
        if row is None:
            continue
        if library.space.metric == "hamming":
            np.testing.assert_array_equal(row, expected)
        else:
            if library.space.metric == "cosine":
                row, expected = unit_rows(row[None])[0], unit_rows(expected[None])[0]
            np.testing.assert_allclose(row, expected, rtol=2e-3, atol=2e-3)
