"""The interface of an index that a server keeps.

A library's database stays the truth. A server gets ids and rows, nothing else: neither names nor
paths nor pictures. It proposes candidates, and the library measures them again, adds what has
changed since the server's generation and drops what is gone. So a server may be late, but never
makes a result wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from facehash.errors import InputError
from facehash.vectors import Ids, Rows, Space

NO_GENERATION = -1
"""The generation of an index that was never filled, or whose first build was interrupted."""


class EngineError(InputError):
    """A server did not do what was asked; the message names it, without a password."""


class UnreachableEngineError(EngineError):
    """No usable answer: no connection, a timeout, a broken answer, a refused login."""


class ForeignIndexError(EngineError):
    """The server has an index at this place that belongs to something else.

    Attributes:
        same_library: Whether it is an index of this library, of another embedder or other codes.
    """

    def __init__(self, message: str, same_library: bool) -> None:
        super().__init__(message)
        self.same_library = same_library


class LostRaceError(EngineError):
    """Another writer was first: the generation is no longer the one that was expected."""


class CannotEraseError(EngineError):
    """The server cannot erase removed rows from its disk; the message gives the reason."""


@dataclass(frozen=True)
class Identity:
    """What an index was made of. An index with another identity is never searched.

    Attributes:
        library: Id of the library, 32 hexadecimal digits.
        space: The metric and dimension of the rows.
        made_by: The embedder and, for codes, the hasher with a digest of its arrays.
    """

    library: str
    space: Space
    made_by: str


class Added(NamedTuple):
    """Faces that are new or have another row."""

    ids: Ids  # int64 (n,)
    rows: Rows  # (n, width) of the space's dtype
    generations: Ids  # int64 (n,), in which each face changed last


class Removed(NamedTuple):
    """Faces that are gone."""

    ids: Ids  # int64 (n,)
    generations: Ids  # int64 (n,)


class Candidates(NamedTuple):
    """Faces that may be the nearest to each query, in no particular order."""

    ids: Ids  # int64 (q, m); -1 in place of a missing one
    generation: int  # of the index, read no later than the candidates


class RemoteIndex(Protocol):
    """An index that a server keeps; made by `facehash.index.engines.connect.connect`.

    Every method raises UnreachableEngineError without a usable answer, and EngineError for any
    other failure of the server (full, read-only, too old).
    """

    def server(self) -> str:
        """Return the server's kind and version, such as ``"PostgreSQL 18.1, pgvector 0.8.1"``."""

    def generation(self) -> int:
        """Return the library's generation up to which all changes are here, or NO_GENERATION."""

    def apply(self, base: int, to: int, added: Added, removed: Removed) -> None:
        """Make the changes of the generations after `base`, up to and including `to`.

        Idempotent. Where the server has no transactions, a crash may leave some changes without
        the new generation; making them again completes them.

        Args:
            base: The generation that the index is expected to have, not NO_GENERATION.
            to: The generation that it has afterwards, above `base`.
            added: Faces to insert or replace.
            removed: Faces to remove; unknown ones are ignored.

        Raises:
            LostRaceError: The index has another generation; nothing of it is lost.
        """

    def rebuild(self, base: int, to: int, batches: Iterable[Added]) -> None:
        """Replace the whole content; until the end the old content is searched.

        What an interrupted rebuild has left is erased by the next one.

        Args:
            base: The generation that the index is expected to have, or NO_GENERATION.
            to: The generation of the new content; may be below `base`.
            batches: All faces, each once.

        Raises:
            LostRaceError: The generation has changed meanwhile; the old content stays.
        """

    def search(self, queries: Rows, k: int) -> Candidates:
        """Find candidates for the k nearest faces.

        Args:
            queries: Rows of the space, (q, width), already checked.
            k: Number of candidates, at least 1. More may be returned.
        """

    def __len__(self) -> int:
        """Return the number of faces."""

    def bytes(self) -> int:
        """Return the storage that the server needs for this index, in bytes, or memory there."""

    def erase(self) -> str:
        """Erase removed rows from the server's files.

        Returns:
            What may still hold removed rows, and when that ends, as a sentence for the user; empty
            if nothing does.

        Raises:
            CannotEraseError: The server cannot, or this account may not.
        """

    def drop(self) -> None:
        """Delete the index and everything that belongs to it from the server."""

    def close(self) -> None:
        """Close the connection."""
