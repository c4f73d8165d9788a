"""Visitors of the page, and the pictures that they search for.

Everything lives in memory: an upload is never stored, and its faces are forgotten after 30 minutes
or when the server ends.
"""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from facehash.library.query.faces import QueryFace

_MOST_SESSIONS = 1000
_MOST_QUERIES = 20
_MOST_BYTES = 256_000_000
_SECONDS_BETWEEN_SWEEPS = 1.0
_IDLE_SECONDS = 12 * 3600.0


@dataclass(frozen=True)
class Query:
    """An uploaded picture: its faces, and a preview."""

    id: str
    name: str  # of the file, or empty
    made: float
    faces: tuple[QueryFace, ...]
    jpeg: bytes  # the preview
    size: tuple[int, int]  # width and height of the whole picture, in pixels
    damage: str | None = None

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        faces = sum(
            face.row.nbytes + (0 if face.crop is None else face.crop.nbytes) for face in self.faces
        )
        return len(self.jpeg) + faces


@dataclass
class Session:
    """A visitor, recognized by a cookie."""

    id: str
    csrf: str
    seen: float
    logged_in: bool = False
    queries: "OrderedDict[str, Query]" = field(default_factory=OrderedDict)
    notice: str | None = None  # shown once, on the next page

    def is_csrf(self, token: str | None) -> bool:
        """Return whether a request with this token comes from one of our own pages."""
        return token is not None and hmac.compare_digest(token.encode(), self.csrf.encode())


class Sessions:
    """All visitors. Old ones and their pictures are dropped.

    Args:
        query_seconds: How long a picture is kept.
        clock: Returns seconds.
    """

    def __init__(self, query_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._query_seconds, self._clock = query_seconds, clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()
        self._swept = clock()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, identifier: str | None) -> Session | None:
        """Return a visitor, or None if there is none with this id."""
        with self._lock:
            self._expire()
            session = self._sessions.get(identifier or "")
            if session is not None:
                session.seen = self._clock()
                self._sessions.move_to_end(session.id)
            return session

    def start(
        self, *, logged_in: bool = False, identifier: str | None = None, keep: bool = True
    ) -> Session:
        """Return a new visitor, by default with a random id; `keep` for later requests too."""
        session = Session(
            identifier or secrets.token_urlsafe(32),
            secrets.token_urlsafe(32),
            self._clock(),
            logged_in,
        )
        if not keep:
            return session
        with self._lock:
            self._sessions[session.id] = session
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def end(self, session: Session) -> None:
        """Forget a visitor."""
        with self._lock:
            self._sessions.pop(session.id, None)

    def add_query(
        self,
        session: Session,
        name: str,
        faces: tuple[QueryFace, ...],
        jpeg: bytes,
        size: tuple[int, int],
        damage: str | None,
    ) -> Query:
        """Keep a picture for a visitor."""
        query = Query(secrets.token_urlsafe(16), name, self._clock(), faces, jpeg, size, damage)
        with self._lock:
            self._expire()
            session.queries[query.id] = query
            while len(session.queries) > _MOST_QUERIES:
                session.queries.popitem(last=False)
            self._limit_bytes(query)
        return query

    def query(self, session: Session | None, identifier: str) -> Query | None:
        """Return a picture of this visitor, or None if it is not there any more."""
        with self._lock:
            self._expire()
            found = None if session is None else session.queries.get(identifier)
        return found if found is not None and self.seconds_left(found) > 0 else None

    def seconds_left(self, query: Query) -> float:
        """Return how long a picture will be kept."""
        return max(0.0, query.made + self._query_seconds - self._clock())

    def drop_old(self) -> None:
        """Drop old visitors and pictures; called regularly."""
        with self._lock:
            self._expire()

    def _expire(self) -> None:
        now = self._clock()
        if now - self._swept < _SECONDS_BETWEEN_SWEEPS:
            return
        self._swept = now
        for session in list(self._sessions.values()):
            if now - session.seen > _IDLE_SECONDS:
                del self._sessions[session.id]
                continue
            for query in list(session.queries.values()):
                if now - query.made <= self._query_seconds:
                    break  # they are in the order of time
                del session.queries[query.id]

    def _limit_bytes(self, newest: Query) -> None:
        queries = [
            (one.made, session, one)
            for session in self._sessions.values()
            for one in session.queries.values()
        ]
        total = sum(one.bytes for _, _, one in queries)
        for _, session, one in sorted(queries, key=lambda entry: entry[0]):
            if total <= _MOST_BYTES:
                return
            if one is not newest:
                del session.queries[one.id]
                total -= one.bytes
