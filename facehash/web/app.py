"""The application: pages, API, static files, and how errors are shown."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

import facehash
from facehash.errors import InputError
from facehash.files import FileInUseError
from facehash.images.read import UnreadableImageError
from facehash.web import api, pages
from facehash.web.indexing import IndexRuns
from facehash.web.limits import RateLimit
from facehash.web.options import ServeOptions
from facehash.web.pages.render import render
from facehash.web.paths import without_paths
from facehash.web.security import Guard
from facehash.web.sessions import Sessions
from facehash.web.state import State, state_of
from facehash.web.threads import Threads

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_SECONDS_BETWEEN_SWEEPS = 60


def create_app(options: ServeOptions) -> FastAPI:
    """Return the application that serves a library.

    Args:
        options: The library, and how it is served.

    Example:
        >>> from fastapi.testclient import TestClient
        >>> with TestClient(create_app(ServeOptions(Path("lib"))), "http://localhost") as client:
        ...     print(client.get("/api/v1/status").json()["faces"])  # doctest: +SKIP
        412
    """
    state = State(options, Threads(options), Sessions(options.query_seconds), IndexRuns(options))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(state))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.to_thread(state.runs.close)
            await state.threads.close()

    app = FastAPI(
        title="facehash",
        version=facehash.__version__,
        description="Search, name and review the faces of a library. Every change needs the header "
        "X-CSRF-Token with the token from /api/v1/session and the cookie from there, or "
        "Authorization: Bearer with the token of --token-file.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.facehash = state
    for router in (*pages.ROUTERS, *api.ROUTERS):
        app.include_router(router)
    for name in ("static", "vendor"):
        app.mount(f"/{name}", StaticFiles(directory=_HERE / name), name)
    app.add_exception_handler(HTTPException, _show_http_error)
    app.add_exception_handler(RequestValidationError, _show_invalid)
    app.add_exception_handler(InputError, _show_input_error)
    app.add_exception_handler(OSError, _show_input_error)
    app.add_exception_handler(Exception, _show_bug)
    uploads = options.uploads_per_second
    app.add_middleware(
        Guard,
        options=options,
        sessions=state.sessions,
        requests=RateLimit(
            options.requests_per_second, burst=int(10 * options.requests_per_second)
        ),
        uploads=RateLimit(uploads, burst=int(10 * uploads)),
        logins=RateLimit(1 / 6, burst=10),
        show_error=_answer,
    )
    return app


async def _sweep(state: State) -> None:
    """Drop old pictures although nobody asks for anything."""
    while True:
        await asyncio.sleep(_SECONDS_BETWEEN_SWEEPS)
        state.sessions.drop_old()


def _answer(request: Request, status: int, message: str) -> Response:
    message = without_paths(message, state_of(request).options.library)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status)
    return render(request, "error.html", "error", status, code=status, message=message)


async def _show_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = {404: "there is no such page", 405: "this cannot be done here"}.get(error.status_code)
    detail = str(error.detail)
    if message is None or detail not in ("Not Found", "Method Not Allowed"):
        message = detail
    response = _answer(request, error.status_code, message)
    response.headers.update(error.headers or {})
    return response


async def _show_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "request"
    return _answer(request, 422, f"{where[:100]}: {first['msg'][:300]}")


async def _show_input_error(request: Request, error: Exception) -> Response:
    message = " ".join(str(error).split())
    if isinstance(error, FileInUseError):
        return _answer(request, 409, message)
    if isinstance(error, OSError):
        log.warning(f"{request.url.path}: {error}")
        return _answer(request, 503, error.strerror or "the disk cannot be read or written")
    missing = "there is no " in message or isinstance(error, UnreadableImageError)
    in_body = request.method == "POST"
    return _answer(request, 404 if missing and not in_body else 400, message)


async def _show_bug(request: Request, error: Exception) -> Response:
    return _answer(request, 500, "something went wrong; the window of the server shows more")
