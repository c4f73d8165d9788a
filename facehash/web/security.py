"""What stands in front of every page: who may ask, how much, and what a browser may do with it."""

import logging
import math
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facehash.web.limits import RateLimit
from facehash.web.options import ServeOptions
from facehash.web.sessions import Session, Sessions

log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
    # Faces must not stay in the cache of a browser after they were forgotten.
    "Cache-Control": "no-store",
}
"""Headers of every response; those of static files may be cached."""

COOKIE = "facehash_session"
CSRF_HEADER = "x-csrf-token"
UPLOADS = ("/search", "/api/v1/queries")
OPEN_TO_ALL = ("/login", "/static/", "/vendor/")
"""What is there without a login."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_MOST_BYTES = 1_000_000
_BEARER_SESSION = "bearer"


class TooLargeError(Exception):
    """A request has too many bytes."""


class Guard:
    """ASGI middleware around the whole application.

    It refuses foreign hosts and origins, too many or too large requests, changes without a CSRF
    token, and visitors without a login; it gives every response its headers, and every request a
    session.

    Args:
        app: The application.
        options: How the library is served.
        sessions: The visitors.
        requests: Limit of requests per client.
        uploads: Limit of uploads per client.
        logins: Limit of attempts to log in per client.
        show_error: Returns the answer with a status code and a message.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: ServeOptions,
        sessions: Sessions,
        requests: RateLimit,
        uploads: RateLimit,
        logins: RateLimit,
        show_error: Callable[[Request, int, str], Response],
    ) -> None:
        self._show_error = show_error
        self._app, self._options, self._sessions = app, options, sessions
        self._requests, self._uploads, self._logins = requests, uploads, logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the server has no WebSockets
        connection = HTTPConnection(scope)
        session, is_new = self._session(connection)
        scope["session"] = session
        sender = _with_headers(send, connection, session if is_new else None, self._options)
        refusal = self._refusal(connection, scope["method"], session)
        if refusal is not None:
            await refusal(scope, receive, sender)
            return
        limit = _MOST_BYTES
        if connection.url.path in UPLOADS:
            limit += self._options.max_upload_bytes
        try:
            await self._app(scope, _limited(receive, limit, connection.headers), sender)
        except TooLargeError:
            most = (limit - _MOST_BYTES) // 1_000_000 or 1
            message = f"this is too large; at most {most} MB can be sent"
            await self._show_error(Request(scope), 413, message)(scope, receive, sender)

    def _session(self, connection: HTTPConnection) -> tuple[Session, bool]:
        """Return the visitor, and whether the cookie has to be sent."""
        bearer = _bearer(connection.headers)
        if bearer is not None and self._options.is_token(bearer):
            known = self._sessions.find(_BEARER_SESSION)
            return known or self._sessions.start(logged_in=True, identifier=_BEARER_SESSION), False
        cookie = connection.cookies.get(COOKIE)
        known = None if cookie == _BEARER_SESSION else self._sessions.find(cookie)
        if known is not None:
            return known, False
        path = connection.url.path
        # Only pages, and what gives the CSRF token to a client of the API, start a session.
        keep = path == "/api/v1/session" or not path.startswith(("/static/", "/vendor/", "/api/"))
        return self._sessions.start(logged_in=not self._options.needs_login, keep=keep), keep

    def _refusal(
        self, connection: HTTPConnection, method: str, session: Session
    ) -> Response | None:
        """Return the answer to a request that is refused, else None."""
        headers, path = connection.headers, connection.url.path
        host = headers.get("host", "")
        if not self._options.accepts_host(host):
            return _refuse(421, "this server has another name (see --allow-host)", connection)
        client = connection.client.host if connection.client else "unknown"
        waits = [self._requests.wait(client)]
        if method not in _SAFE_METHODS:
            if path in UPLOADS:
                waits.append(self._uploads.wait(client))
            if path == "/login":
                waits.append(self._logins.wait(client))
        if any(waits):
            refused = _refuse(429, "too many requests; wait a moment", connection)
            refused.headers["Retry-After"] = str(math.ceil(max(waits)))
            return refused
        if not session.logged_in and not path.startswith(OPEN_TO_ALL):
            if path.startswith("/api/"):
                refused = _refuse(401, "a token is needed: Authorization: Bearer", connection)
                refused.headers["WWW-Authenticate"] = "Bearer"
                return refused
            return RedirectResponse("/login", 303)
        if method not in _SAFE_METHODS:
            return self._refused_change(connection, host, session)
        return None

    def _refused_change(
        self, connection: HTTPConnection, host: str, session: Session
    ) -> Response | None:
        headers, request = connection.headers, Request(connection.scope)
        if session.id == _BEARER_SESSION:
            return None  # no browser sends a token on its own
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return self._show_error(request, 403, "this request comes from another site")
        token = headers.get(CSRF_HEADER)
        is_form = headers.get("content-type", "").partition(";")[0].strip().lower() in (
            "multipart/form-data",
            "application/x-www-form-urlencoded",
        )
        # Forms carry the token in a field, which the page checks: see `facehash.web.forms`.
        if token is None and is_form and not connection.url.path.startswith("/api/"):
            return None
        if not session.is_csrf(token):
            message = "the CSRF token is missing or old; load the page again"
            return self._show_error(request, 403, message)
        connection.scope["csrf_checked"] = True
        return None


def new_cookie(
    response: Response, session: Session, connection: HTTPConnection, options: ServeOptions
) -> None:
    """Let a browser keep the id of its session, and send it by HTTPS only where there is HTTPS."""
    secure = bool(options.proxies) or connection.url.scheme == "https"
    response.set_cookie(
        COOKIE, session.id, httponly=True, samesite="strict", path="/", secure=secure
    )


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _refuse(status: int, message: str, connection: HTTPConnection) -> Response:
    if connection.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status)
    return PlainTextResponse(f"facehash: {message}\n", status)


def _with_headers(
    send: Send, connection: HTTPConnection, session: Session | None, options: ServeOptions
) -> Send:
    """Add the headers of every response, and the cookie of a new session."""
    path = connection.url.path

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            cached = path.startswith(("/static/", "/vendor/")) and message["status"] in (200, 304)
            for name, value in HEADERS.items():
                headers[name] = value
            if cached:
                headers["Cache-Control"] = "public, max-age=3600"
            elif session is not None and "set-cookie" not in headers:
                response = Response()
                new_cookie(response, session, connection, options)
                headers.append("set-cookie", response.headers["set-cookie"])
        await send(message)

    return sender


def _limited(receive: Receive, most: int, headers: Headers) -> Callable[[], Awaitable[Message]]:
    """Raise `TooLargeError` as soon as more bytes are announced or sent."""
    announced = headers.get("content-length", "0")
    total = 0

    async def limited() -> Message:
        nonlocal total
        if announced.isdecimal() and int(announced[:20]) > most:
            raise TooLargeError
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise TooLargeError
        return message

    return limited
