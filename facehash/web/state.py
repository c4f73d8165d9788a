"""What all requests of a server share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from facehash.web.options import ServeOptions
from facehash.web.sessions import Session, Sessions
from facehash.web.threads import Threads

if TYPE_CHECKING:
    from facehash.web.indexing import IndexRuns


@dataclass(frozen=True)
class State:
    """The parts of a server."""

    options: ServeOptions
    threads: Threads
    sessions: Sessions
    runs: "IndexRuns"


def state_of(request: Request) -> State:
    """Return the parts of the server that got a request."""
    state: State = request.app.state.facehash
    return state


def session_of(request: Request) -> Session:
    """Return the visitor who sent a request."""
    session: Session = request.scope["session"]
    return session
