"""The page of the library's state, with the progress of an index run; and the login."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from facehash.web.forms import read_form
from facehash.web.pages.render import go, render
from facehash.web.security import new_cookie
from facehash.web.service import status
from facehash.web.state import State, session_of, state_of

router = APIRouter(include_in_schema=False)

_SECONDS = 0.5
_LONGEST = 600
"""Seconds after which a stream ends; the browser opens it again."""


@router.get("/status")
async def show_status(request: Request) -> Response:
    """Show numbers, files that could not be read, and the index run."""
    state = state_of(request)
    return render(
        request,
        "status.html",
        "status",
        found=await status.get_status(state),
        unread=await status.list_unread(state),
        may_choose=status.may_choose_folder(state),
    )


@router.get("/status/events")
async def stream_events(request: Request) -> Response:
    """Send the progress of the index run whenever it changes (server-sent events)."""
    return StreamingResponse(
        _events(request, state_of(request)),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},  # nginx would keep the progress back
    )


async def _events(request: Request, state: State) -> AsyncIterator[str]:
    last = None
    for _ in range(int(_LONGEST / _SECONDS)):
        if state.threads.closing or await request.is_disconnected():
            return
        info = state.runs.info()
        shown = info.model_dump(exclude={"seconds"})
        if shown != last:
            last = shown
            yield f"data: {json.dumps(info.model_dump())}\n\n"
        if info.state not in ("running", "stopping"):
            return
        await asyncio.sleep(_SECONDS)


@router.post("/status/index")
async def start_index(request: Request) -> Response:
    """Start an index run."""
    state, form = state_of(request), await read_form(request)
    folder = form.text("path")
    number = None if folder or not form.text("folder") else form.number("folder")
    await status.start_index(state, number, folder, retry=form.text("retry") == "1")
    return go(request, "/status")


@router.post("/status/stop")
async def stop_index(request: Request) -> Response:
    """Stop the index run."""
    await read_form(request)
    await asyncio.to_thread(state_of(request).runs.stop)
    return go(request, "/status")


@router.get("/login")
async def show_login(request: Request) -> Response:
    """Ask for the password or token."""
    return render(request, "login.html", "login", wrong=False)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Check the password or token, and give the session a new id."""
    state, form = state_of(request), await read_form(request)
    if not state.options.is_secret(form.text("password")):
        await asyncio.sleep(0.5)
        return render(request, "login.html", "login", 403, wrong=True)
    state.sessions.end(session_of(request))
    session = state.sessions.start(logged_in=True)
    response = go(request, "/")
    new_cookie(response, session, request, state.options)
    return response


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session; its pictures are forgotten."""
    await read_form(request)
    state_of(request).sessions.end(session_of(request))
    return go(request, "/login" if state_of(request).options.needs_login else "/")
