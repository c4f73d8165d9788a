"""The state of the library through the API."""

import asyncio

from pydantic import BaseModel, Field
from starlette.requests import Request

from facehash.web import models
from facehash.web.api.base import make_router
from facehash.web.service import status
from facehash.web.state import session_of, state_of

router = make_router("library")


class IndexRun(BaseModel):
    """The folder to be indexed."""

    folder: int | None = Field(
        None, ge=1, le=10_000, description="Position in `folders` of the status, from 1."
    )
    path: str = Field(
        "", max_length=4096, description="Or its path, where the server runs for its own user only."
    )
    retry: bool = Field(False, description="Read files again that could not be read before.")


@router.get("/session")
async def get_session(request: Request) -> models.SessionInfo:
    """Return the token that every change needs, with the cookie of this answer."""
    return models.SessionInfo(csrf_token=session_of(request).csrf)


@router.get("/status")
async def get_status(request: Request) -> models.StatusInfo:
    """Return numbers of the library, and the index run."""
    return await status.get_status(state_of(request))


@router.get("/unread")
async def list_unread(request: Request) -> list[models.UnreadInfo]:
    """List files that could not be read, with the reason; at most 200."""
    return await status.list_unread(state_of(request))


@router.post("/index", status_code=202)
async def start_index(request: Request, run: IndexRun) -> models.RunInfo:
    """Start an index run."""
    return await status.start_index(state_of(request), run.folder, run.path, run.retry)


@router.delete("/index")
async def stop_index(request: Request) -> models.RunInfo:
    """Stop the index run; the photos read so far stay in the library."""
    runs = state_of(request).runs
    await asyncio.to_thread(runs.stop)
    return runs.info()
